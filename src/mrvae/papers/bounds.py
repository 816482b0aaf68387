"""The bounds of a trained run, over all images and of each, and its validations.

Two models of different cost are compared at equal compute on their validation curves. With f the
floating-point operations of one image's bound and S the steps of a run, another model has spent as
much after S·f/f′ steps; between two validations −ELBO is interpolated linearly in log step, which
flatters a convex curve less than a straight line in step wrongs it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

from mrvae import evaluation
from mrvae.evaluation import LikelihoodReport
from mrvae.papers.workspace import Job, Measures, Workspace
from mrvae.run_log import read_events

BOUNDS = ("nats", "importance_nats")


@dataclass(frozen=True)
class Validation:
    """−ELBO per validation image after a step, and the seconds of training until then."""

    step: int
    seconds: float
    nats: float


def measured(
    workspace: Workspace, job: Job, *, samples: int = 1, limit: int | None = None
) -> Measures:
    """Return the bounds of a finished job over the first ``limit`` test images, made or recalled.

    Args:
        workspace: with the run.
        job: a finished one.
        samples: K of the importance-weighted bound.
        limit: number of images, from the first; all by default.

    Returns:
        The values of :meth:`mrvae.evaluation.LikelihoodReport.summary`.

    Raises:
        ValueError: if the run cannot be read or the data are missing.
    """
    known = recalled(workspace, job, samples=samples, limit=limit)
    if known is not None:
        return known
    workspace.log(f"measure {job.name}")
    images = workspace.images(job, limit)
    report = evaluation.evaluate(workspace.model(job), images, samples=samples)
    return keep(workspace, job, report, limit)


def recalled(
    workspace: Workspace, job: Job, *, samples: int = 1, limit: int | None = None
) -> Measures | None:
    """Return the bounds that are known of a job's weights; None if they were not measured."""
    found = workspace.recall(_name("measured", samples, limit), job)
    return None if found is None else cast(Measures, found["measures"])


def of_images(
    workspace: Workspace, job: Job, *, samples: int = 1, limit: int | None = None
) -> Mapping[str, list[float]]:
    """Return the bounds of every image, in nats, by the name of the bound.

    Empty where they were not measured here: a run that was copied may come without them.
    """
    found = workspace.recall(_name("each", samples, limit), job) or {}
    return {name: cast(list[float], found[name]) for name in BOUNDS if name in found}


def keep(workspace: Workspace, job: Job, report: LikelihoodReport, limit: int | None) -> Measures:
    """Keep a report on the first ``limit`` images for :func:`measured` and :func:`of_images`."""
    key: Measures = {"samples": report.samples, "limit": limit, "split": "test"}
    measures: Measures = dict(report.summary())
    values = (report.nats, report.importance_nats)
    each = {name: nats.tolist() for name, nats in zip(BOUNDS, values, strict=True)}
    workspace.keep(_name("each", report.samples, limit), job, {**key, **each})
    workspace.keep(_name("measured", report.samples, limit), job, {**key, "measures": measures})
    return measures


def _name(kind: str, samples: int, limit: int | None) -> str:
    return f"{kind}-test-k{samples}-n{limit or 'all'}"


def curve(run: Path) -> tuple[Validation, ...]:
    """Return the validations of a run in the order of their steps."""
    found, compiling = [], 0.0
    for event in read_events(run / "metrics.jsonl"):
        compiling += cast("float", event.get("compile_seconds") or 0.0)
        nats, seconds, step = (event.get(k) for k in ("validation_nats", "seconds", "step"))
        if isinstance(nats, float) and isinstance(seconds, float) and isinstance(step, int):
            found.append(Validation(step, seconds - compiling, nats))
    return tuple(found)


def nats_after(points: Sequence[tuple[float, float]], spent: float) -> float | None:
    """Return −ELBO after ``spent`` units of work, from (work, nats) in rising order of work.

    None before the first point and after the last one, where nothing was measured.

    Example:
        >>> nats_after([(1.0, 8.0), (4.0, 4.0)], 2.0)
        6.0
    """
    for (before, high), (after, low) in pairwise(points):
        if before <= spent <= after:
            share = math.log(spent / before) / math.log(after / before)
            return high + share * (low - high)
    return points[-1][1] if points and spent == points[-1][0] else None
