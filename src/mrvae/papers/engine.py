"""One engine for all items: train or reuse the entries, measure them, make rows and findings.

An item is a value: a name, the entries to train with their overrides at each budget, and how their
measurements become rows, findings and figures. A table of bounds is all data:

    ITEM = Item("table1", bounded(EXTENTS, COLUMNS, findings), entries)

where ``COLUMNS`` maps the name of a column to its source, a function of a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from mrvae.papers.entries import AnyResult, Entries, Entry, Measure, chosen, measured, with_bounds
from mrvae.papers.outcome import Budget, Extents, Outcome, Value
from mrvae.papers.workspace import Workspace

Make = Callable[[Workspace, Sequence[Entry]], Outcome]
Columns = Mapping[str, Callable[[AnyResult], Value]]
Findings = Callable[[Sequence[AnyResult]], Sequence[str]]
Figures = Callable[[Sequence[AnyResult]], Mapping[str, Figure]]


@dataclass(frozen=True)
class Item:
    """A table, a figure or a check of a paper.

    Attributes:
        name: such as ``figure5``.
        make: trains and measures the entries of a budget, and makes the outcome.
        entries: what is trained at a budget; none if the item is one piece of work.
        real: the item that measures the files of which this one computes the length, if there is.
    """

    name: str
    make: Make
    entries: Entries = lambda budget: ()
    real: Item | None = None

    def work(self, workspace: Workspace) -> Outcome:
        """Make the item; at ``smoke`` without findings, since the numbers mean nothing."""
        outcome = self.make(workspace, self.entries(workspace.budget))
        return replace(outcome, findings=()) if workspace.budget == "smoke" else outcome

    def of_files(self) -> Item:
        """Return the item that measures files.

        Raises:
            ValueError: if there is none.
        """
        if self.real is None:
            raise ValueError(f"{self.name} writes no files; leave out --real")
        return self.real

    def check(self, budget: Budget, only: Sequence[str]) -> None:
        """Refuse names that are no entries of this item.

        Raises:
            ValueError: if there is one; a near name is suggested.
        """
        entries = self.entries(budget)
        if only and not entries:
            raise ValueError(f"{self.name} is one piece of work; leave out --only")
        chosen(entries, only)


def bounded(
    extents: Extents,
    columns: Columns,
    findings: Findings,
    figures: Figures = lambda results: {},
    measure: Measure[object] = lambda workspace, entry: None,
) -> Make:
    """Return how a table of bounds is made: a row for each finished entry, by columns."""

    def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
        results = with_bounds(workspace, entries, extents[workspace.budget], measure)
        rows = tuple({name: of(result) for name, of in columns.items()} for result in results)
        return Outcome(rows, tuple(findings(results)), figures(results) if results else {})

    return make


def per_entry(measure: Measure[Outcome]) -> Make:
    """Return how an item is made of one outcome for each entry that is asked for."""

    def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
        parts = measured(workspace, entries, measure).values()
        return Outcome(
            tuple(row for part in parts for row in part.rows),
            tuple(finding for part in parts for finding in part.findings),
            {name: figure for part in parts for name, figure in part.figures.items()},
        )

    return make
