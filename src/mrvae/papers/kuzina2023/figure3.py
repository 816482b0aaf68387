r"""Figure 3 (section 5.1): which context, and how large.

The paper compares the DCT with downsampling at several sizes, on MNIST and OMNIGLOT. It reports
that the DCT is better than no context at every size, best at about 5 % of the image's dimensions,
and that downsampling is worse than no context when it is large, since its prior is the harder to
fit. The figure has bars without numbers; in the text are only those of table 2.

Sizes are the side of the context: ``dct-6`` keeps 6 × 6 frequencies, ``downsample-7`` averages
4 × 4 pixels into 7 × 7. All models have the cells and latents of the baseline; the context comes
on top, and its prior has the same network at each size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS
from mrvae.papers.compare import comparisons, error
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import AnyResult
from mrvae.papers.kuzina2023 import runs
from mrvae.papers.kuzina2023.runs import context_nats, context_size, kind_of


def _share(run: AnyResult) -> float:
    model = run.entry.job.recipe.model
    return context_size(run.entry) / model.dims


def _gain(run: AnyResult) -> float | None:
    mine = run.bound("importance_nats")
    theirs = None if run.base is None else run.base.bound("importance_nats")
    return None if mine is None or theirs is None else theirs - mine


def _gain_error(run: AnyResult) -> float | None:
    return None if run.base is None else error(run, run.base, bound="importance_nats")


COLUMNS: Columns = {
    **ENTRY,
    "context": lambda run: context_size(run.entry),
    "share_of_image": _share,
    **PARAMETERS,
    **COURSE,
    **runs.IMPORTANCE,
    "importance_samples": lambda run: int(run.bound("importance_samples") or 0),
    "context_nats": context_nats,
    "gain": _gain,
    "gain_se": _gain_error,
}
findings = comparisons(
    lambda run, base: f"{run.name} ({context_size(run.entry)} numbers) against no context:",
    "importance_nats",
)


def figures(results: Sequence[AnyResult]) -> dict[str, Figure]:
    """Plot the bound against the size of the context, a line for each kind."""
    canvas = Figure(figsize=(6, 4), layout="constrained")
    axes: Axes = canvas.subplots()
    for kind, line in _lines(results):
        x, y, width = zip(*line, strict=True)
        axes.errorbar(x, y, yerr=width, marker="o", capsize=3, label=kind)
    baseline = next((run for run in results if not context_size(run.entry)), None)
    nats = None if baseline is None else baseline.bound("importance_nats")
    if nats is not None:
        axes.axhline(nats, color="black", linestyle="--", label="no context")
    axes.set_xlabel("numbers in the context")
    axes.set_ylabel("importance-weighted bound, nats (lower is better)")
    axes.legend()
    return {"figure3": canvas}


Point = tuple[int, float, float]


def _lines(results: Sequence[AnyResult]) -> Iterator[tuple[str, list[Point]]]:
    """Yield the points of each kind of context, by size."""
    kinds = dict.fromkeys(kind_of(run.entry) for run in results if context_size(run.entry))
    for name in kinds:
        points = [_point(run) for run in results if kind_of(run.entry) == name]
        yield name, sorted(point for point in points if point is not None)


def _point(run: AnyResult) -> Point | None:
    nats = run.bound("importance_nats")
    if nats is None:
        return None
    return context_size(run.entry), nats, run.bound("importance_nats_se") or 0.0


ITEM = Item("figure3", bounded(runs.MEASURED, COLUMNS, findings, figures), runs.sizes)
