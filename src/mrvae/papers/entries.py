"""Tables whose rows are runs: which cells there are, which are asked for, and what each came to.

A cell is a job with a name. An item's cells are worked on one after the other, each trained and
then measured, so that whatever ends the work leaves whole cells behind. ``--only`` names the cells
of one session; the table has every cell that is finished by then.

Two models of different cost are compared at equal compute on their validation curves. With f the
floating-point operations of one image's bound and S the steps of a run, another model has spent as
much after S·f/f′ steps; between two validations −ELBO is interpolated linearly in log step, which
flatters a convex curve less than a straight line in step wrongs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mrvae.papers.outcome import Row, standard_error
from mrvae.papers.workspace import Job, Measures, Workspace
from mrvae.run_log import read_events
from mrvae.suggestions import did_you_mean

if TYPE_CHECKING:
    from mrvae.evaluation import Description


@dataclass(frozen=True)
class Entry:
    """A row of a table that is one run; ``default`` tells whether it is made without being named.

    ``images`` is how many test images it is measured on, where its item's number is not for it.

    Example:
        >>> from mrvae.recipes import recipe
        >>> Entry("x1", Job(recipe("falck2022-mnist-x1"))).job.name
        'falck2022-mnist-x1-seed0'
    """

    name: str
    job: Job
    default: bool = True
    images: int | None = None

    def limit(self, usual: int | None) -> int | None:
        """Return how many test images it is measured on, where ``usual`` is its item's number."""
        return usual if self.images is None else self.images


@dataclass(frozen=True)
class Validation:
    """−ELBO per validation image after a step, and the seconds of training until then."""

    step: int
    seconds: float
    nats: float


@dataclass(frozen=True)
class Result:
    """A finished cell: its size, its course and its bounds.

    ``measures`` is None if training diverged; ``each`` has the bounds of every image, where known.
    """

    cell: Entry
    cost: Description
    curve: tuple[Validation, ...]
    measures: Measures | None
    each: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of updates asked for."""
        return self.cell.job.recipe.training.steps

    @property
    def seconds(self) -> float | None:
        """Seconds of training, compilation left out."""
        return self.curve[-1].seconds if self.curve else None

    def measure(self, name: str) -> float | None:
        """Return one number of what was measured; None if there is none."""
        value = None if self.measures is None else self.measures[name]
        return float(value) if isinstance(value, int | float) else None

    def course(self) -> Row:
        """Return the columns that say how the run was made and what it came to."""
        return {
            "seed": self.cell.job.seed,
            "steps": self.steps,
            "seconds": self.seconds,
            "images": int(self.measure("images") or 0),
            "nats": self.measure("nats"),
            "nats_se": self.measure("nats_se"),
            "bits_per_dim": self.measure("bits_per_dim"),
        }


def with_defaults(cells: Sequence[Entry], names: Sequence[str]) -> list[Entry]:
    """Return the cells, those of these names made without being asked for and no others."""
    return [replace(cell, default=cell.name in names) for cell in cells]


def chosen(cells: Sequence[Entry], only: Sequence[str]) -> list[Entry]:
    """Return the cells that are asked for, in the order of the table.

    Raises:
        ValueError: if a name is no cell's; a near one is suggested.

    Example:
        >>> from mrvae.recipes import recipe
        >>> job = Job(recipe("digits-vdvae"))
        >>> [c.name for c in chosen([Entry("x1", job), Entry("r3", job, default=False)], [])]
        ['x1']
    """
    names = [cell.name for cell in cells]
    for name in only:
        if name not in names:
            raise ValueError(f"--only names the cell {name!r}; {did_you_mean(name, names)}")
    return [cell for cell in cells if (cell.name in only if only else cell.default)]


def result(
    workspace: Workspace,
    cells: Sequence[Entry],
    *,
    samples: int = 1,
    limit: int | None = None,
    measure: Callable[[Workspace, Entry], object] | None = None,
) -> list[Result]:
    """Make the cells that the desk asks for; return these and all others that are finished.

    ``measure`` is called of every trained cell; the bounds that it lets the desk remember are not
    measured again.
    """
    from mrvae.training import Diverged

    asked = chosen(cells, workspace.only)
    diverged = set()
    for cell in asked:
        try:
            workspace.trained(cell.job)
        except Diverged as end:
            workspace.say(f"{cell.job.name}: {end}")
            diverged.add(cell.name)
        else:
            if measure is not None:
                measure(workspace, cell)
            workspace.measured(cell.job, samples=samples, limit=cell.limit(limit))
    return list(_found(workspace, cells, diverged, samples, limit))


def _found(
    workspace: Workspace,
    cells: Sequence[Entry],
    diverged: set[str],
    samples: int,
    limit: int | None,
) -> Iterator[Result]:
    from mrvae.evaluation import describe

    for cell in cells:
        count = cell.limit(limit)
        measures = workspace.remembered(cell.job, samples=samples, limit=count)
        if measures is None and cell.name not in diverged:
            continue
        workspace.used[cell.job.name] = cell.job
        each = workspace.each(cell.job, samples=samples, limit=count)
        yield Result(
            cell, describe(cell.job.recipe), curve(workspace.path(cell.job)), measures, each
        )


def curve(run: Path) -> tuple[Validation, ...]:
    """Return the validations of a run in the order of their steps."""
    path = run / "metrics.jsonl"
    found, compiling = [], 0.0
    for event in read_events(path):
        compiling += cast("float", event.get("compile_seconds") or 0.0)
        nats, seconds, step = (event.get(k) for k in ("validation_nats", "seconds", "step"))
        if isinstance(nats, float) and isinstance(seconds, float) and isinstance(step, int):
            found.append(Validation(step, seconds - compiling, nats))
    return tuple(found)


def nats_after(points: Sequence[tuple[float, float]], spent: float) -> float | None:
    """Return −ELBO after ``spent`` units of work, from (work, nats) in rising order of work.

    None before the first point or after the last one: a curve says nothing where it is not.

    Example:
        >>> nats_after([(1.0, 8.0), (4.0, 4.0)], 2.0)
        6.0
    """
    for (before, high), (after, low) in pairwise(points):
        if before <= spent <= after:
            share = math.log(spent / before) / math.log(after / before)
            return high + share * (low - high)
    return points[-1][1] if points and spent == points[-1][0] else None


def error(a: Result, b: Result, images: int | None = None, bound: str = "nats") -> float | None:
    """Return the standard error of the difference of two means of a bound, in nats.

    Where the bounds of single images are known, that of the mean of their differences. Otherwise
    the combined error √(se_a² + se_b²), as if the images were not the same; it is larger, so that a
    difference that is large by it is large. ``images`` is the number of images if it was not
    that of the measurement: a mean over n of N images has √(N/n) times the error.
    """
    paired = paired_error(a, b, bound) if images is None else None
    if paired is not None:
        return paired
    errors = [one.measure(f"{bound}_se") for one in (a, b)]
    counts = [one.measure("images") for one in (a, b)]
    scaled = [
        se * math.sqrt(1 if images is None else count / images)
        for se, count in zip(errors, counts, strict=True)
        if se is not None and count is not None
    ]
    return math.hypot(*scaled) if len(scaled) == len(errors) else None


def paired_error(a: Result, b: Result, bound: str = "nats") -> float | None:
    """Return the standard error of the mean difference of a bound over the images, in nats.

    None where the bounds of single images are not known, or the images are not as many.
    """
    one, other = a.each.get(bound, ()), b.each.get(bound, ())
    if len(one) != len(other):
        return None
    return standard_error([x - y for x, y in zip(one, other, strict=True)])


def compared(one: Result, other: Result, bound: str = "nats") -> str:
    """Say how a bound of one run compares with another's, at equal steps."""
    if one.measures is None:
        return "training diverges"
    return verdict(one.measure(bound), other.measure(bound), error(one, other, bound=bound))


def verdict(a: float | None, b: float | None, standard_error: float | None) -> str:
    """Say whether a is lower than b by more than two standard errors.

    Example:
        >>> verdict(98.0, 100.0, 0.5)
        '98.00 against 100.00 nats, 4.0 standard errors lower: better'
        >>> verdict(100.5, 100.0, 0.5)
        '100.50 against 100.00 nats, 1.0 standard errors higher: no clear difference'
    """
    if a is None or b is None or not standard_error:
        return "not measured"
    apart = (b - a) / standard_error
    word = "no clear difference" if abs(apart) <= 2 else "better" if apart > 0 else "worse"
    side = "lower" if apart > 0 else "higher"
    return f"{a:.2f} against {b:.2f} nats, {abs(apart):.1f} standard errors {side}: {word}"
