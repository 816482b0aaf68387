"""The figure of ``mrvae score``: histograms of scores, and how well they separate two sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mrvae.reports.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def score_figure(
    sets: Mapping[str, Mapping[str, Sequence[float]]],
    curve: Sequence[tuple[float, float, float]],
    likelihood: float | None,
) -> Figure:
    """Draw histograms of −ELBO and of a likelihood ratio, and the AUROC of the ratios for every k.

    Args:
        sets: by name one or two sets of images, and of each its scores by name.
        curve: AUROC of LLR>k and the ends of its interval, for k = 1, 2, …; nothing for one set.
        likelihood: AUROC of −ELBO.

    Raises:
        ValueError: if there is no set.

    """
    if not sets:
        raise ValueError("no set is given; name at least one")
    depth = sum(name.startswith("llr_") for name in next(iter(sets.values())))
    half = max(depth // 2, 1)
    shown = {"nats": "−ELBO in nats", f"llr_{half}": f"LLR>{half} in nats"}
    panels = {key: label for key, label in shown.items() if key == "nats" or depth}
    figure = new_figure(4.5 * (len(panels) + bool(curve)), 3.8)
    every = figure.subplots(1, len(panels) + bool(curve), squeeze=False)[0]
    for axes, (key, label) in zip(every, panels.items(), strict=False):
        _histograms(axes, {name: scores[key] for name, scores in sets.items()})
        axes.set(xlabel=label, ylabel="part of the images")
    if curve:
        _auroc_curve(every[-1], curve, likelihood)
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        # Above the picture, where it hides nothing.
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def _histograms(axes: Axes, sets: Mapping[str, Sequence[float]]) -> None:
    """Draw one histogram a set, over the same bins."""
    every = [value for values in sets.values() for value in values]
    low, high = min(every), max(every)
    for number, (name, values) in enumerate(sets.items()):
        weights = [1 / len(values)] * len(values)
        axes.hist(
            values, bins=25, range=(low, high if high > low else low + 1), weights=weights,
            histtype="stepfilled", alpha=0.5, color=f"C{number}", label=name,
        )  # fmt: skip


def _auroc_curve(
    axes: Axes, curve: Sequence[tuple[float, float, float]], likelihood: float | None
) -> None:
    """Draw the AUROC against the number of latents from the prior, with intervals."""
    from matplotlib.ticker import MaxNLocator

    values, low, high = zip(*curve, strict=True)
    widths = [
        [v - a for v, a in zip(values, low, strict=True)],
        [b - v for v, b in zip(values, high, strict=True)],
    ]
    axes.errorbar(range(1, len(values) + 1), values, widths, fmt=".-", capsize=2, label="LLR>k")
    if likelihood is not None:
        axes.axhline(likelihood, color="C3", linestyle="--", label="−ELBO")
    axes.axhline(0.5, color="0.7", linestyle=":", label="chance")
    axes.set(xlabel="k, finest latents from the prior", ylabel="AUROC", ylim=(-0.02, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
