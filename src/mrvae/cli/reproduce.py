"""``mrvae reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from mrvae.cli.answer import Answer, Stopped, table
from mrvae.cli.options import DataDir, Flag, Json, MaybeFile, MaybeName
from mrvae.papers.catalogue import PAPERS, find
from mrvae.papers.outcome import Budget, Outcome, Row, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrvae.papers.engine import Item
    from mrvae.papers.workspace import Workspace

_KNOWN = "; ".join(f"{paper}: {', '.join(items)}" for paper, items in PAPERS.items())

_ITS_NUMBERS_MEAN_NOTHING = "the item runs; at smoke its numbers mean nothing and are not shown"

PaperName = Annotated[Positional[str], arg(metavar="PAPER", help=", ".join(PAPERS))]
ItemName = Annotated[Positional[str], arg(metavar="ITEM", help=_KNOWN)]


@dataclass(frozen=True)
class Reproduce:
    """Make a table, a figure or a check of a paper, and set the paper's numbers beside ours.

    The runs that an item needs are trained, resumed or reused in the folder, which the items of one
    paper at one budget share. The rows, findings and figures are also written there: ITEM.json,
    ITEM.csv and pictures.
    """

    paper: PaperName
    item: ItemName
    budget: Annotated[
        Budget, arg(help="smoke: seconds, shows that it runs; cpu: two cores; paper: as published")
    ] = "cpu"
    out: MaybeFile = None
    """folder to work in; by default runs/reproduce/PAPER-BUDGET"""
    data_dir: DataDir = None
    only: MaybeName = None
    """make these rows only, such as x1,r5; the table has all that are finished"""
    real: Annotated[bool, Flag] = False
    """write files and measure these, where the item has them (kuzina2023 figure5)"""
    quiet: Annotated[bool, Flag] = False
    """show no progress"""
    json: Json = False

    def run(self) -> Answer:
        """Make the item, and write its outcome."""
        item = find(self.paper, self.item)
        item = item.of_files() if self.real else item
        only = () if self.only is None else tuple(self.only.split(","))
        item.check(self.budget, only)
        folder = self.out or Path("runs") / "reproduce" / f"{self.paper}-{self.budget}"
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"--out is {folder}, which is a file; name a folder")
        from accelerate import PartialState

        from mrvae.papers.workspace import Workspace

        first = PartialState().is_main_process
        workspace = Workspace(folder, self.budget, self.data_dir, self.quiet or not first, only)
        outcome = _work(item, workspace)
        if not first:
            return Answer({}, "")
        from mrvae.papers.writing import write

        paths = write(self.paper, item.name, workspace, outcome)
        return self._answer(item.name, outcome, folder, paths)

    def _answer(self, item: str, outcome: Outcome, folder: Path, paths: Sequence[Path]) -> Answer:
        values: Mapping[str, object] = {
            "paper": self.paper,
            "item": item,
            "budget": self.budget,
            "rows": [dict(row) for row in outcome.rows],
            "findings": list(outcome.findings),
            "folder": str(folder),
        }
        written = "\n".join(f"wrote {path}" for path in paths)
        shown = _ITS_NUMBERS_MEAN_NOTHING if self.budget == "smoke" else _table(outcome.rows)
        parts = [shown, "\n".join(outcome.findings), written]
        return Answer(values, "\n\n".join(part for part in parts if part))


def _work(item: Item, workspace: Workspace) -> Outcome:
    """Work, and turn a training that stopped early into its one line and exit code."""
    from mrvae.training import Diverged, Failed, Interrupted

    try:
        return item.work(workspace)
    except Interrupted as stop:
        again = f"stopped, and saved; the same command goes on from there ({workspace.folder})"
        raise Stopped(again, 128 + stop.signal_number) from None
    except Diverged as stop:
        raise Stopped(str(stop), 1) from None
    except Failed as stop:
        raise Stopped(str(stop), 1, raise_together=False) from None


def _table(rows: Sequence[Row]) -> str:
    """Write rows as a table; columns without any value are left out."""
    columns = [name for name in (rows[0] if rows else ()) if any(r[name] is not None for r in rows)]
    if not columns:
        return "no rows yet"
    return table([columns, *([shown(row[name]) for name in columns] for row in rows)])


def shown(value: Value) -> str:
    """Write a value of a row for people.

    Example:
        >>> [shown(v) for v in (None, True, 106689, 98.7654, 0.0123, 1234.5)]
        ['–', 'yes', '106,689', '98.77', '0.0123', '1,234']

    """
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            size = abs(value)
            return (
                f"{value:,.0f}" if size >= 1000 else f"{value:.2f}" if size >= 1 else f"{value:.3g}"
            )
        case str():
            return value
