"""What an item of a paper, a table, a figure or a check, comes to.

An item is asked for at a budget: ``smoke`` shows within seconds that it runs, ``cpu`` is sized for
two cores, ``paper`` has the published settings. Its rows hold the paper's number beside ours
wherever the paper has one; its findings state which of the paper's claims hold. After two steps of
a narrowed model nothing holds or fails, so that an item has no findings at ``smoke``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Budget = Literal["smoke", "cpu", "paper"]
Value = str | int | float | bool | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class Outcome:
    """Rows, figures and findings of one item.

    Attributes:
        rows: the table, all rows with the same keys.
        findings: sentences on what the rows show.
        figures: to be written as ``NAME.png``, by name.
    """

    rows: Sequence[Row]
    findings: Sequence[str] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Extent:
    """How much an item does at a budget.

    Attributes:
        changes: overrides of the recipes.
        default: names of the entries made without being named; empty for the item's own choice.
        images: number of test images, from the first; all if None.
        draws: of the importance-weighted bound, or of whatever else the item draws.
    """

    changes: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    images: int | None = None
    draws: int = 1


Extents = Mapping[Budget, Extent]


def number(row: Mapping[str, object], name: str, missing: float = math.nan) -> float:
    """Return a number of a row, or ``missing`` where there is none.

    Example:
        >>> number({"nats": 2, "nats_se": None}, "nats"), number({"nats_se": None}, "nats_se", 0.0)
        (2.0, 0.0)
    """
    value = row[name]
    return float(value) if isinstance(value, int | float) else missing


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of a column's values; None of none.

    Example:
        >>> mean([1.0, 2.0]), mean([])
        (1.5, None)
    """
    return fmean(values) if values else None


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of that mean; None of fewer than two values.

    Example:
        >>> standard_error([1.0, 3.0]), standard_error([1.0])
        (1.0, None)
    """
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
