r"""Figure 7 (section 3.3): unconditional samples, at a temperature chosen by a rule.

The paper shows samples that are not cherry-picked, at temperatures "tuned for maximum fidelity", by
a rule that it does not give. Ours needs no eye. Of each image two numbers are taken, its ink
Σ x and its edges Σ |∇x|, x from 0 to 1 and ∇ the differences of neighbours along both axes. A
temperature t is as far from the data as the first two moments of both are,

    d(t) = Σ_s ((μ_s(t) - μ_s)/σ_s)² + log²(σ_s(t)/σ_s),      s in {ink, edges},

μ and σ being those of the test images. The temperature with the least d is shown first, all others
below it. All samples of one model come from the same noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mrvae.papers.engine import Item, per_entry
from mrvae.papers.entries import Entry, by_extent
from mrvae.papers.falck2022 import figure5, table1
from mrvae.papers.outcome import Budget, Extent, Extents, Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.reports.image_grid import arrange

_BATCH = 64
_SHOWN = 40
_COLUMNS = 20
# As many samples at each temperature as test images.
EXTENTS: Extents = {
    "smoke": Extent(default=("x1",), images=8),
    "cpu": Extent(default=("x1", "r5"), images=500),
    "paper": Extent(default=("mnist-vdvae", "cifar10-vdvae", "celeba64-vdvae"), images=1000),
}
_GRID = (0.6, 0.7, 0.8, 0.9, 1.0)
TEMPERATURES: Mapping[Budget, tuple[float, ...]] = {
    "smoke": (0.8, 1.0),
    "cpu": _GRID,
    "paper": _GRID,
}


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of ink and edges over images."""

    ink: float
    ink_sd: float
    edges: float
    edges_sd: float

    def distance(self, data: Moments) -> float:
        """Return d of these from the data's.

        Example:
            >>> data = Moments(10.0, 2.0, 30.0, 5.0)
            >>> Moments(12.0, 2.0, 30.0, 5.0).distance(data), data.distance(data)
            (1.0, 0.0)
        """
        pairs = (
            (self.ink, self.ink_sd, data.ink, data.ink_sd),
            (self.edges, self.edges_sd, data.edges, data.edges_sd),
        )
        if any(sd <= 0 or data_sd <= 0 for _, sd, _, data_sd in pairs):
            return math.inf
        return math.fsum(
            ((mean - data_mean) / data_sd) ** 2 + math.log(sd / data_sd) ** 2
            for mean, sd, data_mean, data_sd in pairs
        )


def moments(images: Tensor, bins: int) -> Moments:
    """Return the moments of images (N, C, H, W) with values 0 … bins-1, N ≥ 2.

    Example:
        >>> x = torch.tensor([[[[1, 0], [1, 0]]], [[[1, 1], [1, 1]]]], dtype=torch.uint8)
        >>> m = moments(x, bins=2)
        >>> m.ink, m.edges
        (3.0, 1.0)
    """
    x = images.double() / (bins - 1)
    ink = x.flatten(1).sum(dim=1)
    edges = sum(x.diff(dim=axis).abs().flatten(1).sum(dim=1) for axis in (2, 3))
    values = [(float(v.mean()), float(v.std())) for v in (ink, ink.new_zeros(()) + edges)]
    return Moments(*values[0], *values[1])


def _models(budget: Budget) -> list[Entry]:
    return [*figure5.entries(budget), *table1.entries(budget)]


entries = by_extent(_models, EXTENTS)


def measure(workspace: Workspace, entry: Entry) -> Outcome:
    """Sample a model over the grid of temperatures and choose by the rule."""
    bins = entry.job.recipe.model.likelihood.bins
    images = workspace.images(entry.job, EXTENTS[workspace.budget].images)
    data = moments(images.tensor(), bins)
    temperatures = TEMPERATURES[workspace.budget]
    drawn = dict(zip(temperatures, _samples(workspace, entry), strict=True))
    found = {t: moments(x, bins) for t, x in drawn.items()}
    best = nearest(found, data)
    order = sorted(drawn, key=lambda t: (t != best, -t))
    figure = _figure([(t, drawn[t]) for t in order], bins)
    finding = (
        f"{entry.name}: temperature {best} is nearest to the test images, d = "
        f"{found[best].distance(data):.3f}; at 1.0 it is {found[max(found)].distance(data):.3f}"
    )
    rows = _rows(entry.name, found, data, best)
    return Outcome(list(rows), [finding], {f"figure7-{entry.name}": figure})


def nearest(found: dict[float, Moments], data: Moments) -> float:
    """Return the temperature with the least d; of equal ones, the highest.

    Example:
        >>> data = Moments(10.0, 2.0, 30.0, 5.0)
        >>> nearest({0.8: Moments(8.0, 2.0, 30.0, 5.0), 1.0: Moments(11.0, 2.0, 30.0, 5.0)}, data)
        1.0
    """
    return min(found, key=lambda t: (found[t].distance(data), -t))


def _samples(workspace: Workspace, entry: Entry) -> Iterator[Tensor]:
    """Yield the samples of each temperature, all from the same noise."""
    workspace.log(f"sample {entry.job.name}")
    model = workspace.model(entry.job)
    device = next(model.parameters()).device
    count = EXTENTS[workspace.budget].images or 0
    sizes = [min(_BATCH, count - start) for start in range(0, count, _BATCH)]
    for temperature in TEMPERATURES[workspace.budget]:
        generator = torch.Generator(device).manual_seed(0)
        with torch.inference_mode():
            yield torch.cat([model.sample(n, temperature, generator).cpu() for n in sizes])


def _rows(model: str, found: dict[float, Moments], data: Moments, best: float) -> Iterator[Row]:
    for temperature, those in found.items():
        yield {"cell": model, "temperature": temperature, **vars(those)} | {
            "distance": those.distance(data),
            "chosen": temperature == best,
        }
    yield {"cell": model, "temperature": None, **vars(data)} | {"distance": 0.0, "chosen": None}


def _figure(drawn: Sequence[tuple[float, Tensor]], bins: int) -> Figure:
    figure = Figure(figsize=(9.0, 1.3 * len(drawn)), dpi=120, layout="constrained")
    for axes, (temperature, images) in zip(
        figure.subplots(len(drawn), 1, squeeze=False)[:, 0], drawn, strict=True
    ):
        axes.imshow(arrange(images[:_SHOWN].numpy(), bins, _COLUMNS, enlarge=2))
        chosen = ", chosen" if temperature == drawn[0][0] else ""
        axes.set_title(f"t = {temperature}{chosen}", loc="left", fontsize=9)
        axes.set_axis_off()
    return figure


ITEM = Item("figure7", per_entry(measure), entries)
