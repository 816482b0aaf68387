"""The rows of an item that are runs: which there are, which are made, and their results.

An entry is a job with a name. The entries of an item are trained and measured one after the other,
so that an interruption leaves whole entries behind. ``--only`` names the entries of one session;
a table of bounds has every entry that is finished by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from mrvae.evaluation import Description, describe
from mrvae.papers import bounds
from mrvae.papers.bounds import Validation
from mrvae.papers.outcome import Budget, Extent, Extents
from mrvae.papers.workspace import Job, Measures, Workspace, finished
from mrvae.suggestions import did_you_mean
from mrvae.training import Diverged

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """A run as a row of a table.

    Attributes:
        name: in the table, and for ``--only``.
        job: what is trained.
        default: whether it is made without being named.
        images: number of test images, where the item's number is not for it.
        bases: the entries to compare with; the first that is finished is taken.

    Example:
        >>> from mrvae.recipes import recipe
        >>> Entry("x1", Job(recipe("falck2022-mnist-x1"))).job.name
        'falck2022-mnist-x1-seed0'
    """

    name: str
    job: Job
    default: bool = True
    images: int | None = None
    bases: tuple[str, ...] = ()

    def limit(self, usual: int | None) -> int | None:
        """Return its number of test images, where ``usual`` is that of the item."""
        return usual if self.images is None else self.images


Entries = Callable[[Budget], Sequence[Entry]]


@dataclass(frozen=True)
class Result(Generic[T]):
    """A finished entry: its size, its validations, its bounds, and the item's own measurement.

    Attributes:
        entry: which.
        cost: size and operations of its model.
        curve: its validations.
        measures: its bounds; None if training diverged.
        each: the bounds of every image, where known.
        value: the item's own measurement; None if training diverged.
        base: the result to compare with, if it is finished; may be the entry's own.
    """

    entry: Entry
    cost: Description
    curve: tuple[Validation, ...]
    measures: Measures | None
    each: Mapping[str, Sequence[float]] = field(default_factory=dict)
    value: T | None = None
    base: Result[T] | None = None

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.entry.name

    @property
    def steps(self) -> int:
        """Number of updates asked for."""
        return self.entry.job.recipe.training.steps

    @property
    def seconds(self) -> float | None:
        """Seconds of training, compilation left out."""
        return self.curve[-1].seconds if self.curve else None

    def bound(self, name: str) -> float | None:
        """Return a number of the measured bounds; None if there is none."""
        value = None if self.measures is None else self.measures[name]
        return float(value) if isinstance(value, int | float) else None


AnyResult = Result[Any]


def with_defaults(entries: Sequence[Entry], names: Sequence[str]) -> list[Entry]:
    """Return the entries, those of these names made without being named and no others."""
    return [replace(entry, default=entry.name in names) for entry in entries]


def by_default(entries: Entries, *names: str) -> Entries:
    """Return the same entries at every budget, those of these names made without being named."""
    return lambda budget: with_defaults(entries(budget), names)


def by_extent(entries: Entries, extents: Extents) -> Entries:
    """Return the same entries, those that each budget's extent names made without being named."""
    return lambda budget: with_defaults(entries(budget), extents[budget].default)


def chosen(entries: Sequence[Entry], only: Sequence[str]) -> list[Entry]:
    """Return the entries that are asked for, in the order of the table.

    Raises:
        ValueError: if a name is no entry's; a near one is suggested.

    Example:
        >>> from mrvae.recipes import recipe
        >>> job = Job(recipe("digits-vdvae"))
        >>> [e.name for e in chosen([Entry("x1", job), Entry("r3", job, default=False)], [])]
        ['x1']
    """
    names = [entry.name for entry in entries]
    for name in only:
        if name not in names:
            raise ValueError(f"--only names the cell {name!r}; {did_you_mean(name, names)}")
    return [entry for entry in entries if (entry.name in only if only else entry.default)]


Measure = Callable[[Workspace, Entry], T]


def measured(workspace: Workspace, entries: Sequence[Entry], measure: Measure[T]) -> dict[str, T]:
    """Train the entries that are asked for, and return what is measured of each by its name."""
    found = {}
    for entry in chosen(entries, workspace.only):
        workspace.trained(entry.job)
        found[entry.name] = measure(workspace, entry)
    return found


def with_bounds(
    workspace: Workspace, entries: Sequence[Entry], extent: Extent, measure: Measure[T]
) -> list[Result[T]]:
    """Train the entries that are asked for; return all that are finished, with their bounds.

    ``measure`` is called first, and bounds that it keeps are not measured again. An entry whose
    training diverges has a result without bounds.
    """
    values = _made(workspace, entries, extent, measure)
    results: dict[str, Result[T]] = {}
    for entry in entries:
        job, run, count = entry.job, workspace.path(entry.job), entry.limit(extent.images)
        known = None
        if finished(run, job):
            known = bounds.recalled(workspace, job, samples=extent.draws, limit=count)
        if known is None and entry.name not in values:
            continue
        workspace.used[job.name] = job
        if entry.name not in values:
            values[entry.name] = measure(workspace, entry)
        each = bounds.of_images(workspace, job, samples=extent.draws, limit=count) if known else {}
        course, value = bounds.curve(run), values[entry.name]
        results[entry.name] = Result(entry, describe(job.recipe), course, known, each, value)
    return [replace(result, base=_base(result, results)) for result in results.values()]


def _made(
    workspace: Workspace, entries: Sequence[Entry], extent: Extent, measure: Measure[T]
) -> dict[str, T | None]:
    """Train and measure the entries that are asked for; None where training diverges."""
    values: dict[str, T | None] = {}
    for entry in chosen(entries, workspace.only):
        try:
            workspace.trained(entry.job)
        except Diverged as end:
            workspace.log(f"{entry.job.name}: {end}")
            values[entry.name] = None
        else:
            values[entry.name] = measure(workspace, entry)
            count = entry.limit(extent.images)
            bounds.measured(workspace, entry.job, samples=extent.draws, limit=count)
    return values


def _base(result: Result[T], results: Mapping[str, Result[T]]) -> Result[T] | None:
    return next((results[name] for name in result.entry.bases if name in results), None)
