"""The columns that tables of bounds share: the name of a column, and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mrvae.papers.engine import Columns
from mrvae.papers.entries import Entry, Result
from mrvae.papers.outcome import Row, Value

Column = Callable[[Result[Any]], Value]


def bound(name: str) -> Column:
    """Return the column of a measured bound."""
    return lambda one: one.bound(name)


def own(*names: str) -> Columns:
    """Return columns of the item's own measurement, which is a mapping; None if not a number."""

    def column(name: str) -> Column:
        return lambda one: _number(None if one.value is None else one.value[name])

    return {name: column(name) for name in names}


def published(rows: Mapping[str, Row], key: Callable[[Entry], str] = lambda e: e.name) -> Columns:
    """Return the columns of the paper's numbers, from rows by the names of entries."""

    def column(name: str) -> Column:
        return lambda one: rows.get(key(one.entry), {}).get(name)

    return {name: column(name) for name in next(iter(rows.values()))}


def _number(value: object) -> Value:
    return value if isinstance(value, int | float) else None


ENTRY: Columns = {"cell": lambda one: one.name}
PARAMETERS: Columns = {"parameters": lambda one: one.cost.parameters}
COURSE: Columns = {
    "seed": lambda one: one.entry.job.seed,
    "steps": lambda one: one.steps,
    "seconds": lambda one: one.seconds,
    "images": lambda one: int(one.bound("images") or 0),
    "nats": bound("nats"),
    "nats_se": bound("nats_se"),
    "bits_per_dim": bound("bits_per_dim"),
}


def depth(one: Result[Any]) -> int:
    """Return the column of the stochastic depth."""
    return one.cost.stochastic_depth
