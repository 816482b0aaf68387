r"""Figure 3 (section 5.1): which context, and how large.

The paper compares the DCT with downsampling at several sizes, on MNIST and OMNIGLOT. It reports
that the DCT is better than no context at every size, best at about 5 % of the image's dimensions,
and that downsampling is worse than no context when it is large, since its prior is the harder to
fit. The figure has bars without numbers; in the text are those of table 2 alone.

Sizes are the side of the context: ``dct-6`` keeps 6 × 6 frequencies, ``downsample-7`` averages
4 × 4 pixels into 7 × 7. All models have the cells and latents of the baseline; the context comes
on top, and its prior has the same network at each size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mrvae.papers.entries import Result, compared, error, result
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023.runs import MEASURED, context_size, kind_of, sizes
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def work(workspace: Workspace) -> Outcome:
    """Train and measure the baseline and every context."""
    plan = MEASURED[workspace.budget]
    found = result(workspace, sizes(workspace.budget), samples=plan.samples, limit=plan.limit)
    rows = tuple(_row(one, _baseline(found)) for one in found)
    return Outcome(rows, tuple(findings(found)), {"figure3": figure(found)} if found else {})


def _baseline(found: Sequence[Result]) -> Result | None:
    return next((one for one in found if not context_size(one.cell)), None)


def _row(one: Result, baseline: Result | None) -> Row:
    size = context_size(one.cell)
    mine = one.measure("importance_nats")
    theirs = None if baseline is None else baseline.measure("importance_nats")
    return {
        "cell": one.cell.name,
        "context": size,
        "share_of_image": size / _dims(one),
        "parameters": one.cost.parameters,
        **one.course(),
        "importance_samples": int(one.measure("importance_samples") or 0),
        "importance_nats": mine,
        "importance_nats_se": one.measure("importance_nats_se"),
        "context_nats": context_nats(one),
        "gain": None if mine is None or theirs is None else theirs - mine,
        "gain_se": None if baseline is None else error(one, baseline, bound="importance_nats"),
    }


def _dims(one: Result) -> int:
    model = one.cell.job.recipe.model
    return model.channels * model.size**2


def context_nats(one: Result) -> float | None:
    """Return the context's term of the bound, its first column; None without a context."""
    if one.measures is None or not context_size(one.cell):
        return None
    columns = one.measures["kl"]
    return float(columns[0]) if isinstance(columns, list) else None


def findings(found: Sequence[Result]) -> list[str]:
    """Compare every context with none, by the importance-weighted bound."""
    baseline = _baseline(found)
    if baseline is None:
        return []
    return [
        f"{one.cell.name} ({context_size(one.cell)} numbers) against no context: "
        f"{compared(one, baseline, 'importance_nats')}"
        for one in found
        if one is not baseline
    ]


def figure(found: Sequence[Result]) -> Figure:
    """Plot the bound against the size of the context, a line for each kind."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(6, 4), layout="constrained")
    axes: Axes = canvas.subplots()
    for kind, line in _lines(found):
        x, y, width = zip(*line, strict=True)
        axes.errorbar(x, y, yerr=width, marker="o", capsize=3, label=kind)
    baseline = _baseline(found)
    nats = None if baseline is None else baseline.measure("importance_nats")
    if nats is not None:
        axes.axhline(nats, color="black", linestyle="--", label="no context")
    axes.set_xlabel("numbers in the context")
    axes.set_ylabel("importance-weighted bound, nats (lower is better)")
    axes.legend()
    return canvas


Point = tuple[int, float, float]


def _lines(found: Sequence[Result]) -> Iterator[tuple[str, list[Point]]]:
    """Yield the points of each kind of context, by size."""
    kinds = dict.fromkeys(kind_of(one.cell) for one in found if context_size(one.cell))
    for name in kinds:
        points = [_point(one) for one in found if kind_of(one.cell) == name]
        yield name, sorted(point for point in points if point is not None)


def _point(one: Result) -> Point | None:
    nats = one.measure("importance_nats")
    if nats is None:
        return None
    return context_size(one.cell), nats, one.measure("importance_nats_se") or 0.0


ITEM = Item("figure3", "bounds with contexts of several kinds and sizes", work, sizes)
