"""Write the numbers into the pages: README.md and docs/ hold none that a file here does not.

    python results/fill.py            rewrites every marked block
    python results/fill.py --check    only says which pages are behind, and exits with 1

A block lies between two comments, and what stands between them is replaced:

    <!-- results:NAME -->…<!-- /results -->    the bounds measured under NAME, mean over seeds
    <!-- results:all -->…<!-- /results -->     a table of everything that was recorded
    <!-- bench:SCRIPT -->…<!-- /bench -->      what benchmarks/SCRIPT.py measured, in SCRIPT.json
    <!-- bench:SCRIPT FILE -->…<!-- /bench --> the same, in FILE.json
    <!-- table:SCRIPT NAME -->…<!-- /table -->   another table of benchmarks/SCRIPT.py
    <!-- number:SCRIPT NAME -->…<!-- /number --> a number of it
    <!-- rows:NAME -->…<!-- /rows -->          rows and findings of a paper's item in NAME.json
    <!-- rows:NAME a,b -->…<!-- /rows -->      the same, of the columns a and b alone
    <!-- finding:NAME 0 -->…<!-- /finding -->  the first finding of a paper's item in NAME.json
    <!-- recipe:NAME -->…<!-- /recipe -->      parameters and stochastic layers of a recipe
    <!-- status:NAME -->…<!-- /status -->      whether there is a measurement
    <!-- status:NAME nats<=97.65 -->…          whether the mean of a metric holds what was claimed

A name that was never recorded is no error: its block says that it was not run.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import tyro

import mrvae
from benches import number_of, table_of, timings
from mrvae.cli.reproduce import shown
from mrvae.papers.outcome import Value
from mrvae.recipes import from_json
from record import ROOT, Result, read

_KINDS = "results|bench|table|number|rows|finding|recipe|status"
_BLOCK = re.compile(rf"(<!-- ({_KINDS}):(\S+?)(?: (\S+))? -->).*?(<!-- /\2 -->)", re.DOTALL)
_CONDITION = re.compile(r"(\w+)<=(\d+(?:\.\d+)?)")
_ABSENT = "not run yet"

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Options:
    """Which pages to fill.

    Attributes:
        check: change nothing; exit with 1 if a page is behind its results.
        root: folder of README.md, docs/ and results/.
    """

    check: bool = False
    root: Path = ROOT


@dataclass(frozen=True)
class Group:
    """The runs recorded under one name, which differ in their seed alone."""

    runs: tuple[Result, ...]

    def __post_init__(self) -> None:
        first, *others = self.runs
        # Read, and not compared as they stand: a value that came later may be missing from one.
        if any(from_json(other.recipe) != from_json(first.recipe) for other in others):
            raise ValueError(f"the runs recorded as {first.name} have different recipes")

    @property
    def binary(self) -> bool:
        """Whether the images are binary, so that bounds are shown in nats."""
        return bool(cast("dict[str, object]", self.runs[0].recipe["data"])["binary"])

    @property
    def unit(self) -> str:
        """The unit in which bounds of such images are usually given."""
        return "nats" if self.binary else "bits/dim"

    def values(self, metric: str) -> list[float]:
        """Return a metric of each run, as it was recorded."""
        return [float(cast("float", run.metrics[metric])) for run in self.runs]

    def shown(self, metric: str) -> str:
        """Write a metric in nats in the group's unit: with its error, or its range over seeds."""
        scales = self._scales()
        values = [v * s for v, s in zip(self.values(metric), scales, strict=True)]
        digits = 2 if self.binary else 3
        if len(values) > 1:
            low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
            return f"{statistics.fmean(values):.{digits}f} ({low}–{high})"
        error = self.values(f"{metric}_se")[0] * scales[0]
        return f"{values[0]:.{digits}f} ± {error:.{digits}f}"

    def _scales(self) -> list[float]:
        """Return what one nat is in the unit, for each run."""
        if self.binary:
            return [1.0] * len(self.runs)
        pairs = zip(self.values("bits_per_dim"), self.values("nats"), strict=True)
        return [bits / nats for bits, nats in pairs]

    @property
    def samples(self) -> str:
        """K of the importance-weighted bound."""
        return str(self.runs[0].metrics["importance_samples"])

    @property
    def sentence(self) -> str:
        """Both bounds on one line."""
        seeds = f", mean of {len(self.runs)} seeds" if len(self.runs) > 1 else ""
        weighted = f"IW-{self.samples} {self.shown('importance_nats')}"
        return f"−ELBO {self.shown('nats')}, {weighted} {self.unit}{seeds}"


def main(options: Options) -> int:
    """Fill the pages, or say which are behind; return the exit code."""
    behind = 0
    for page in pages(options.root):
        old = page.read_text("utf-8")
        new = filled(old, options.root / "results")
        if new == old:
            continue
        behind += 1
        if options.check:
            print(f"{page} is behind its results; run python results/fill.py")
        else:
            page.write_text(new, "utf-8")
            print(f"wrote {page}")
    return int(options.check and behind > 0)


def pages(root: Path) -> list[Path]:
    """Return the pages that may hold marked blocks."""
    shown = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    measured = root / "benchmarks" / "README.md"
    return [*shown, measured] if measured.is_file() else shown


def filled(text: str, results: Path) -> str:
    """Return a page with every marked block written anew from the files in ``results``."""
    groups = read_groups(results)

    def block(match: re.Match[str]) -> str:
        begin, kind, name, condition, end = match.groups()
        return begin + content(kind, name, condition, groups, results) + end

    return _BLOCK.sub(block, text)


def read_groups(results: Path) -> dict[str, Group]:
    """Return what was recorded, by name; other files of measurements are passed over."""
    found: dict[str, list[Result]] = {}
    for path in sorted(results.glob("*-seed*.json")):
        result = read(path)
        found.setdefault(result.name, []).append(result)
    return {
        name: Group(tuple(sorted(runs, key=lambda run: run.seed))) for name, runs in found.items()
    }


def content(
    kind: str, name: str, condition: str | None, groups: dict[str, Group], results: Path
) -> str:
    """Return what stands in a block."""
    match kind:
        case "recipe":
            recipe = mrvae.recipe(name)
            return f"{recipe.parameters:,} parameters, {recipe.depth} stochastic layers"
        case "bench":
            return speed(name, results / f"{condition or name}.json")
        case "table":
            rows = table_of(name, condition or "", results / f"{name}.json")
            return f"\n\n{table(rows)}\n\n"
        case "number":
            return number_of(name, condition or "", results / f"{name}.json")
        case "rows":
            return items(results / f"{name}.json", condition)
        case "finding":
            return finding(results / f"{name}.json", int(condition or 0))
        case "status":
            return status(groups.get(name), condition)
        case _ if name == "all":
            return overview(groups)
    return groups[name].sentence if name in groups else _ABSENT


def status(group: Group | None, condition: str | None) -> str:
    """Say whether a claim, the mean of a metric being at most a number, was seen to hold.

    Raises:
        ValueError: if the condition is not written as METRIC<=NUMBER.
    """
    if group is None:
        return _ABSENT
    if condition is None:
        return "measured"
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise ValueError(f"cannot read the condition {condition!r}; write metric<=number")
    metric, limit = found.groups()
    return "holds" if statistics.fmean(group.values(metric)) <= float(limit) else "does not hold"


def overview(groups: dict[str, Group]) -> str:
    """Return a table of every group, and below it what each run was made with."""
    if not groups:
        return "\n\nNothing has been recorded yet.\n\n"
    head = ["name", "seeds", "steps", "minutes", "images", "−ELBO", "IW bound", "K", "unit"]
    rows = [_row(name, group) for name, group in sorted(groups.items())]
    made = "\n".join(line for _, group in sorted(groups.items()) for line in _made_with(group))
    return f"\n\n{table([head, *rows])}\n\n{made}\n\n"


def _row(name: str, group: Group) -> list[str]:
    """Return a group's line of the overview."""
    first = group.runs[0]
    minutes = statistics.fmean(run.seconds for run in group.runs) / 60
    return [
        name,
        ", ".join(str(run.seed) for run in group.runs),
        f"{first.steps:,}",
        f"{minutes:.1f}",
        f"{first.metrics['images']:,}",
        group.shown("nats"),
        group.shown("importance_nats"),
        group.samples,
        group.unit,
    ]


def _made_with(group: Group) -> Iterator[str]:
    """Yield one line for each run: hardware, commit and note."""
    for run in group.runs:
        note = f" {run.note}" if run.note else ""
        code = run.commit[:10] + ("+changes" if run.commit.endswith("+changes") else "")
        yield f"- **{run.name}**, seed {run.seed}: {run.hardware}; commit `{code}`.{note}"


def speed(script: str, path: Path) -> str:
    """Return the table of a benchmark, and what it was measured on."""
    if not path.is_file():
        return f"\n\nThe benchmark was {_ABSENT}.\n\n"
    rows, made = timings(script, path)
    return f"\n\n{table(rows)}\n\n{made}\n\n"


def items(path: Path, columns: str | None) -> str:
    """Return the rows and the findings of an item that results/keep.py kept.

    A column X_se stands behind its X, as X ± X_se.
    """
    if not path.is_file():
        return f"\n\n{_ABSENT.capitalize()}.\n\n"
    found = json.loads(path.read_text("utf-8"))
    every = [name for name in found["rows"][0] if any(r[name] is not None for r in found["rows"])]
    names = columns.split(",") if columns else [n for n in every if not n.endswith("_se")]
    body = [[_cell(row, name) for name in names] for row in found["rows"]]
    said = "".join(f"- {sentence}\n" for sentence in found["findings"])
    made = found["made_with"]
    origin = f"{made['processor']}; torch {made['torch']}; commit `{found['commit'][:10]}`."
    note = f" {found['note']}" if found["note"] else ""
    return f"\n\n{table([names, *body])}\n\n{said}\n{origin}{note}\n\n"


def finding(path: Path, index: int) -> str:
    """Return one of the sentences that an item computed from its rows."""
    if not path.is_file():
        return _ABSENT
    sentence: str = json.loads(path.read_text("utf-8"))["findings"][index]
    return sentence


def _cell(row: dict[str, Value], name: str) -> str:
    error = row.get(f"{name}_se")
    return shown(row[name]) + (f" ± {shown(error)}" if error is not None else "")


def table(rows: Rows) -> str:
    r"""Return rows as a Markdown table; the first is the head.

    Example:
        >>> print(table([["name", "nats"], ["p(x | z)", "1.0"]]))
        | name | nats |
        | --- | --- |
        | p(x \| z) | 1.0 |

    """
    # A bar in a cell would end it.
    head, *body = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
