"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence


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
