"""What a command is, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """The values of ``--json``, and the text for people.

    An answer without either is that of a process which leaves the answer to another one.
    """

    values: Mapping[str, object]
    text: str


class Command(Protocol):
    """A command of the command line, once parsed."""

    @property
    def json(self) -> bool:
        """Whether the answer is printed as one JSON object."""
        ...

    def run(self) -> Answer:
        """Do it; a user's mistake is a ``ValueError`` or an ``OSError``."""
        ...


class Stopped(Exception):
    """A command that ended early for a reason that is no mistake, with its exit code.

    Of several processes that stop ``raise_together``, one says why; otherwise each says its own reason.
    """

    def __init__(self, message: str, code: int, raise_together: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.raise_together = raise_together


def table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as text in aligned columns, numbers to the right; the first row is the head.

    Example:
        >>> print(table([["name", "size"], ["a", 10], ["bcdef", 9]]))
        name   size
        a        10
        bcdef     9

    """
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    numeric = [isinstance(value, int | float) for value in rows[-1]]
    lines = (
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        for row in shown
    )
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    """Write a value; whole numbers in groups of three digits."""
    return f"{value:,}" if isinstance(value, int) else str(value)
