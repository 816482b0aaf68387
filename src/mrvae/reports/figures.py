"""Figures of a run: its bound, the nats of its latents, and partial reconstructions.

A very deep hierarchy spends its Kullback-Leibler nats unevenly: coarse latents have few, because
they are small, and a latent without any has collapsed onto its prior. ``latents_figure`` shows
one bar a latent, coarse to fine, a colour for each resolution; ``cdf_figure`` the
distribution of nats over single units. ``keep_figure`` shows partial reconstructions.
``loss_figure`` shows −ELBO over the steps. matplotlib is imported when a figure is drawn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from mrvae.files import atomic
from mrvae.sizes import ImageSize, sides

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Event = Mapping[str, object]
Curve = tuple[list[int], list[float]]
Norms = tuple[Sequence[ImageSize], Sequence[float], Sequence[float]]
Keeping = Mapping[str, tuple[Sequence[float], Sequence[float]]]

# Smaller KL of a unit is drawn here: below it, a closed form is zero but for rounding.
_IDLE = 1e-6
# The smallest magnitude of a coefficient that a map distinguishes from zero, in units of pixels.
_FLOOR = 1e-4


@dataclass(frozen=True)
class Group:
    """Neighbouring latents of one resolution: indices ``start`` … ``stop``-1.

    Example:
        >>> groups([1, 4, 4])
        [Group(size=1, start=0, stop=1), Group(size=4, start=1, stop=3)]

    """

    size: ImageSize
    start: int
    stop: int


def groups(sizes: Sequence[ImageSize]) -> list[Group]:
    """Return the runs of equal sizes, in order."""
    runs: list[Group] = []
    for size, run in groupby(sizes):
        start = runs[-1].stop if runs else 0
        runs.append(Group(size, start, start + len(list(run))))
    return runs


def latents_figure(
    kl: Sequence[float], sizes: Sequence[ImageSize], units: Sequence[float]
) -> Figure:
    """Draw nats per latent, and beside them the empirical CDF of the nats per unit.

    Args:
        kl: KL(q‖p) of each latent, in nats per image.
        sizes: of each latent in pixels: its side, or (height, width) of a rectangle.
        units: KL of each unit, in nats per image.

    Raises:
        ValueError: if ``kl`` and ``sizes`` differ in length, or there is none.

    """
    width = max(6.0, 2.0 + 0.18 * len(kl))
    figure = new_figure(width + 5.0, 4.0)
    left, right = figure.subplots(1, 2, width_ratios=(width, 5.0))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    _bars(left, kl, sizes)
    _cdf(right, {"": units})
    return figure


def bars_figure(kl: Sequence[float], sizes: Sequence[ImageSize]) -> Figure:
    """Draw nats per latent by themselves; see :func:`latents_figure`."""
    figure, axes = empty_figure(width=max(6.0, 2.0 + 0.18 * len(kl)))
    _bars(axes, kl, sizes)
    return figure


def cdf_figure(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the empirical CDF of the KL per unit of one or more models (in nats), by name."""
    figure, axes = empty_figure(width=6.0)
    _cdf(axes, curves)
    if len(curves) > 1:
        axes.legend(frameon=False)
    return figure


def keep_figure(panels: Mapping[str, Keeping], pictures: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Draw the similarity of images to their partial reconstructions against the latents kept.

    Args:
        panels: by the measure's name, and by the model's: mean and standard error for m = 1, 2, ….
        pictures: of examples, by the title that stands above each; (H, W, 3).

    Raises:
        ValueError: if there is no panel.

    """
    if not panels:
        raise ValueError("no measure is given; name at least one")
    count = len(panels) + len(pictures)
    figure = new_figure(4.2 * count, 4.0)
    every = figure.subplots(1, count, squeeze=False)[0]
    for axes, (name, curves) in zip(every, panels.items(), strict=False):
        for label, (means, errors) in curves.items():
            at = range(1, len(means) + 1)
            axes.errorbar(at, means, [2 * se for se in errors], fmt=".-", label=label, capsize=2)
        axes.set(xlabel="latents of the posterior, from the top", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
        if len(curves) > 1:
            axes.legend(frameon=False)
    for axes, (title, picture) in zip(every[len(panels) :], pictures.items(), strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(title, fontsize="medium")
        axes.set_axis_off()
    return figure


def pictures_figure(pictures: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Draw pictures (H, W, 3) side by side, each below its title.

    Raises:
        ValueError: if there is none.

    """
    if not pictures:
        raise ValueError("no picture is given; give at least one")
    figure = new_figure(1.6 * len(pictures), 1.9)
    every = figure.subplots(1, len(pictures), squeeze=False)[0]
    for axes, (title, picture) in zip(every, pictures.items(), strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(title, fontsize="medium")
        axes.set_axis_off()
    return figure


def _bars(axes: Axes, kl: Sequence[float], sizes: Sequence[ImageSize]) -> None:
    """Draw one bar a latent."""
    from matplotlib.ticker import MaxNLocator

    if len(kl) != len(sizes) or not kl:
        raise ValueError(f"{len(kl)} KL values for {len(sizes)} latents; give one for each")
    for color, group in enumerate(groups(sizes)):
        indices = range(group.start + 1, group.stop + 1)
        total = math.fsum(kl[group.start : group.stop])
        axes.bar(
            indices,
            kl[group.start : group.stop],
            color=f"C{color}",
            label=f"{'×'.join(map(str, sides(group.size)))}: {total:.1f}",
        )
    axes.set_xlabel("latent, coarse to fine")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("KL in nats per image")
    axes.set_title(f"{math.fsum(kl):.1f} nats in {len(kl)} latents")
    axes.legend(title="resolution: nats", frameon=False)


def _cdf(axes: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    """Draw, for each model, the part of its units whose KL is at most a value."""
    for name, values in curves.items():
        shown = sorted(max(value, _IDLE) for value in values)
        parts = [rank / len(shown) for rank in range(1, len(shown) + 1)]
        # From the left edge at height 0 to the right of the largest value at height 1.
        axes.step([_IDLE / 2, *shown], [0.0, *parts], where="post", label=name)
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="KL per unit in nats, logarithmic")
    axes.set_ylabel("part of the units with at most this KL")


def norms_figure(
    passes: Mapping[str, Norms],
) -> Figure:
    """Draw the norm of the state after every block, one picture for each pass over the hierarchy.

    The mean is thick, mean ± 2 standard deviations are thin, and dotted lines stand where the
    resolution changes.

    Args:
        passes: by its name: size, mean norm and standard deviation for every block.

    Raises:
        ValueError: if there is no pass, or the three differ in length.

    """
    if not passes:
        raise ValueError("no pass is given; name at least one")
    figure = new_figure(4.5 * len(passes), 3.6)
    every = figure.subplots(1, len(passes), squeeze=False)[0]
    for axes, (name, (sizes, means, deviations)) in zip(every, passes.items(), strict=True):
        triples = list(zip(sizes, means, deviations, strict=True))
        parts = groups(sizes)
        for group in parts:
            at, part = range(group.start + 1, group.stop + 1), triples[group.start : group.stop]
            axes.plot(at, [m for _, m, _ in part], ".-", color="C0", linewidth=2)
            for sign in (-2, 2):
                axes.plot(at, [m + sign * s for _, m, s in part], color="C0", linewidth=0.7)
            if group is not parts[-1]:
                axes.axvline(group.stop + 0.5, color="0.7", linestyle=":", linewidth=0.8)
            middle = (group.start + group.stop + 1) / 2
            square = isinstance(group.size, int)
            side = f"{group.size}²" if square else "×".join(map(str, sides(group.size)))
            axes.text(middle, 1.0, side, transform=axes.get_xaxis_transform(), ha="center")
        axes.set(xlabel=f"block, {name}", ylabel="‖Z‖₂", yscale="log")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def band_figure(maps: Sequence[Sequence[Sequence[float]]], depth: int) -> Figure:
    """Draw magnitudes of wavelet coefficients in nested quadrants, on one logarithmic scale.

    Args:
        maps: first the mean over images, then some images; rows of |c|/2^depth each.
        depth: number of levels, between which lines are drawn.

    Raises:
        ValueError: if there is no map.

    """
    if not maps:
        raise ValueError("no map is given; give the mean over images at least")
    figure = new_figure(3.6 * len(maps) + 0.8, 3.6)
    from matplotlib.colors import LogNorm

    grid = figure.subplots(1, len(maps), squeeze=False)[0]
    top = max(value for values in maps for row in values for value in row)
    scale = LogNorm(_FLOOR, max(top, 2 * _FLOOR))
    titles = ["mean of all images", *(f"image {index}" for index in range(1, len(maps)))]
    for axes, title, values in zip(grid, titles, maps, strict=True):
        kept = [[max(value, _FLOOR) for value in row] for row in values]
        shown = axes.imshow(kept, norm=scale, interpolation="nearest")
        for level in range(1, depth + 1):
            high, wide = len(values) >> level, len(values[0]) >> level
            axes.plot([wide - 0.5] * 2, [-0.5, 2 * high - 0.5], color="white", linewidth=0.6)
            axes.plot([-0.5, 2 * wide - 0.5], [high - 0.5] * 2, color="white", linewidth=0.6)
        axes.set_title(title, fontsize="medium")
        axes.set_axis_off()
    figure.colorbar(shown, ax=list(grid), label="|c| / 2^depth")
    return figure


def loss_figure(events: Sequence[Event], dims: int | None = None) -> Figure:
    """Draw a picture of −ELBO over the steps: training, smoothed, and validation.

    Args:
        events: of ``metrics.jsonl``; other keys and values that are not finite are skipped.
        dims: values of one image, to show bits per dimension; nats per image without.

    """
    scale = 1.0 if dims is None else 1 / (dims * math.log(2))
    steps, nats = curve(events, "nats", scale)
    valid_steps, valid_nats = curve(events, "validation_nats", scale)
    figure, axes = empty_figure(width=7.0)
    if steps:
        axes.plot(steps, nats, color="C0", alpha=0.3, linewidth=0.7)
        axes.plot(steps, smoothed(nats), color="C0", label="training")
    if valid_steps:
        axes.plot(valid_steps, valid_nats, "o-", color="C1", markersize=4, label="validation")
    if steps or valid_steps:
        axes.set_ylim(*_visible(nats, valid_nats))
        axes.legend(frameon=False)
    axes.set_xlabel("step")
    axes.set_ylabel("−ELBO in nats per image" if dims is None else "−ELBO in bits per dimension")
    return figure


def run_kl_figure(events: Sequence[Event]) -> Figure:
    """Draw the KL of all latents over the steps of training, smoothed, in nats per image."""
    steps, kl = curve(events, "kl")
    figure, axes = empty_figure(width=7.0)
    axes.plot(steps, kl, color="C2", alpha=0.3, linewidth=0.7)
    axes.plot(steps, smoothed(kl), color="C2")
    axes.set_xlabel("step")
    axes.set_ylabel("KL in nats per image")
    return figure


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure in inches, whatever window system or notebook is configured.

    matplotlib reads ``MPLBACKEND`` when it is imported, and fails on one that is not installed
    here. A figure needs none: it draws PNG files by Agg.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        from matplotlib.figure import Figure
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def empty_figure(width: float) -> tuple[Figure, Axes]:
    """Return an empty figure, ``width`` by 4 inches, without a window."""
    figure = new_figure(width, 4.0)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, atomically."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")


def curve(events: Sequence[Event], key: str, scale: float = 1.0) -> Curve:
    """Return the steps of the finite values of ``key``, and these values times ``scale``.

    Example:
        >>> curve([{"step": 1, "nats": 4.0}, {"step": 2, "nats": None}, {"step": 3}], "nats", 0.5)
        ([1], [2.0])

    """
    steps, values = [], []
    for event in events:
        step, value = event.get("step"), event.get(key)
        if isinstance(step, int) and isinstance(value, int | float) and math.isfinite(value):
            steps.append(step)
            values.append(value * scale)
    return steps, values


def smoothed(values: Sequence[float], reach: int = 10) -> list[float]:
    """Return the mean of each value and its neighbours, up to ``reach`` on both sides.

    At the ends both sides are shortened equally, so that a falling curve has no bias.

    Example:
        >>> smoothed([1.0, 3.0, 8.0, 4.0], reach=1)
        [1.0, 4.0, 5.0, 4.0]

    """
    means = []
    for index in range(len(values)):
        side = min(reach, index, len(values) - 1 - index)
        part = values[index - side : index + side + 1]
        means.append(math.fsum(part) / len(part))
    return means


def _visible(nats: Sequence[float], validation: Sequence[float]) -> tuple[float, float]:
    """Return limits that leave out the first steps' much larger values."""
    later = list(nats[len(nats) // 20 :]) + list(validation)
    low, high = min(later), sorted(later)[(len(later) * 97) // 100]
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
