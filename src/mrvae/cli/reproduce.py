"""``mrvae reproduce``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import check_folder, check_processes
from mrvae.cli.command import Answer, stopped_early
from mrvae.cli.declaration import Argument, Option
from mrvae.cli.options import DataDir, Device, Json, Quiet
from mrvae.cli.tables import table
from mrvae.papers.outcome import Budget, Outcome, Row, Value

if TYPE_CHECKING:
    from collections.abc import Mapping


_AT_SMOKE = "the item runs; at smoke its numbers mean nothing and are not shown"


def _papers() -> str:
    from mrvae.papers.catalogue import PAPERS

    return ", ".join(PAPERS)


def _items() -> str:
    from mrvae.papers.catalogue import PAPERS

    return "; ".join(f"{paper}: {', '.join(items)}" for paper, items in PAPERS.items())


@dataclass(frozen=True)
class Reproduce:
    """Make a table, a figure or a check of a paper, and set the paper's numbers beside ours.

    The runs that an item needs are trained, resumed or reused in the folder, which the items of one
    paper at one budget share. The result is also written there: ITEM.json, ITEM.csv
    and pictures.
    """

    paper: Annotated[str, Argument(_papers, metavar="PAPER")]
    item: Annotated[str, Argument(_items, metavar="ITEM")]
    budget: Annotated[
        Budget,
        Option("smoke: seconds, shows that it runs; cpu: two cores; paper: as published"),
    ] = "cpu"
    out: Annotated[
        Path | None, Option("folder to work in; by default runs/reproduce/PAPER-BUDGET")
    ] = None
    data_dir: DataDir = None
    only: Annotated[
        tuple[str, ...],
        Option("make these rows only, such as x1,r5; the table has all that are finished"),
    ] = ()
    real: Annotated[
        bool,
        Option(
            "write compressed files and measure these, where the item has them (kuzina2023 figure5)"
        ),
    ] = False
    device: Device = None
    quiet: Quiet = False
    json: Json = False

    def run(self) -> Answer:
        """Make the item, and write its result."""
        from mrvae.papers.catalogue import find

        item = find(self.paper, self.item)
        item = item.of_files() if self.real else item
        item.check(self.budget, self.only)
        folder = self.out or Path("runs") / "reproduce" / f"{self.paper}-{self.budget}"
        check_folder(folder)
        check_processes()
        from mrvae.data.location import data_folder

        data_folder(self.data_dir)
        from mrvae.devices import choose_device
        from mrvae.papers.workspace import Workspace
        from mrvae.processes import process_state

        device = None if self.device is None else choose_device(self.device)
        first = process_state(device).is_main_process
        workspace = Workspace(
            folder, self.budget, self.data_dir, self.quiet or not first, self.only, self.device
        )
        again = f"stopped, and saved; the same command goes on from there ({folder})"
        with stopped_early(again):
            outcome = item.work(workspace)
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
        from mrvae.papers.catalogue import PAPERS

        title = f"{self.paper} {item}: {PAPERS[self.paper][self.item]}"
        shown = _AT_SMOKE if self.budget == "smoke" else _table(outcome.rows)
        parts = [title, shown, "\n".join(outcome.findings), written]
        return Answer(values, "\n\n".join(part for part in parts if part))


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
