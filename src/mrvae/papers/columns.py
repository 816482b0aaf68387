"""The columns that tables of bounds share: the name of a column, and its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mrvae.papers.engine import Columns
from mrvae.papers.entries import AnyResult, Entry
from mrvae.papers.outcome import Row, Value

Column = Callable[[AnyResult], Value]


def bound(name: str) -> Column:
    """Return the column of a measured bound."""
    return lambda result: result.bound(name)


def own(*names: str) -> Columns:
    """Return columns of the item's own measurement, which is a mapping; None if not a number."""

    def column(name: str) -> Column:
        return lambda result: _number(None if result.value is None else result.value[name])

    return {name: column(name) for name in names}


def published(rows: Mapping[str, Row], key: Callable[[Entry], str] = lambda e: e.name) -> Columns:
    """Return the columns of the paper's numbers, from rows by the names of entries."""

    def column(name: str) -> Column:
        return lambda result: rows.get(key(result.entry), {}).get(name)

    return {name: column(name) for name in next(iter(rows.values()))}


def _number(value: object) -> Value:
    return value if isinstance(value, int | float) else None


ENTRY: Columns = {"cell": lambda result: result.name}
PARAMETERS: Columns = {"parameters": lambda result: result.cost.parameters}
COURSE: Columns = {
    "seed": lambda result: result.entry.job.seed,
    "steps": lambda result: result.steps,
    "seconds": lambda result: result.seconds,
    "images": lambda result: int(result.bound("images") or 0),
    "nats": bound("nats"),
    "nats_se": bound("nats_se"),
    "bits_per_dim": bound("bits_per_dim"),
}


def depth(result: AnyResult) -> int:
    """Return the column of the stochastic depth."""
    return result.cost.stochastic_depth
