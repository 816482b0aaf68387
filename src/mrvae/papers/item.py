"""An item of a paper: a table, a figure or a check that can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mrvae.papers.entries import Entry, chosen
from mrvae.papers.outcome import Budget, Outcome
from mrvae.papers.workspace import Workspace


def no_cells(budget: Budget) -> Sequence[Entry]:
    """Return the cells of an item that is one piece of work."""
    return ()


@dataclass(frozen=True)
class Item:
    """A piece of a paper, by the name under which it is asked for.

    Attributes:
        name: such as ``figure5``.
        about: one sentence on what it shows.
        work: makes it on a desk.
        cells: its rows that are runs, at a budget; none if it cannot be cut into cells.
        real: the item that measures the files of which this one computes the length, if there is.
    """

    name: str
    about: str
    work: Callable[[Workspace], Outcome]
    cells: Callable[[Budget], Sequence[Entry]] = no_cells
    real: Item | None = None

    def of_files(self) -> Item:
        """Return the item that measures files.

        Raises:
            ValueError: if there is none.
        """
        if self.real is None:
            raise ValueError(f"{self.name} writes no files; leave out --real")
        return self.real

    def check(self, budget: Budget, only: Sequence[str]) -> None:
        """Refuse names that are no cells of this item.

        Raises:
            ValueError: if there is one; a near name is suggested.
        """
        cells = self.cells(budget)
        if only and not cells:
            raise ValueError(f"{self.name} is one piece of work; leave out --only")
        chosen(cells, only)
