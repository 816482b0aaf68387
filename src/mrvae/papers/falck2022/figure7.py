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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry, chosen, with_defaults
from mrvae.papers.falck2022 import figure5, table1
from mrvae.papers.item import Item
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

_TOGETHER = 64
_SHOWN = 40
_COLUMNS = 20


@dataclass(frozen=True)
class Plan:
    """What a budget allows.

    Attributes:
        default: models that are sampled unasked.
        samples: number of samples at each temperature, and of test images.
        temperatures: the grid.
    """

    default: tuple[str, ...]
    samples: int
    temperatures: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 1.0)


PLANS: dict[Budget, Plan] = {
    "smoke": Plan(("x1",), samples=8, temperatures=(0.8, 1.0)),
    "cpu": Plan(("x1", "r5"), samples=500),
    "paper": Plan(("mnist-vdvae", "cifar10-vdvae", "celeba64-vdvae"), samples=1000),
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
        import math

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


def moments(images: Tensor, levels: int) -> Moments:
    """Return the moments of images (N, C, H, W) of levels 0 … levels-1, N ≥ 2.

    Example:
        >>> import torch
        >>> x = torch.tensor([[[[1, 0], [1, 0]]], [[[1, 1], [1, 1]]]], dtype=torch.uint8)
        >>> m = moments(x, levels=2)
        >>> m.ink, m.edges
        (3.0, 1.0)
    """
    x = images.double() / (levels - 1)
    ink = x.flatten(1).sum(dim=1)
    edges = sum(x.diff(dim=axis).abs().flatten(1).sum(dim=1) for axis in (2, 3))
    values = [(float(v.mean()), float(v.std())) for v in (ink, ink.new_zeros(()) + edges)]
    return Moments(*values[0], *values[1])


def cells(budget: Budget) -> list[Entry]:
    """Return the models of figure 5 and table 1, those of the plan by default."""
    every = [*figure5.cells(budget), *table1.cells(budget)]
    return with_defaults(every, PLANS[budget].default)


def work(workspace: Workspace) -> Outcome:
    """Sample each model over the grid and choose by the rule."""
    plan = PLANS[workspace.budget]
    rows: list[Row] = []
    said: list[str] = []
    figures = {}
    for cell in chosen(cells(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        levels = cell.job.recipe.model.likelihood.bins
        drawn = dict(zip(plan.temperatures, _samples(workspace, cell, plan), strict=True))
        data = moments(_test_images(workspace, cell, plan.samples), levels)
        found = {t: moments(x, levels) for t, x in drawn.items()}
        best = nearest(found, data)
        rows += _rows(cell.name, found, data, best)
        said.append(_finding(cell.name, found, data, best))
        order = sorted(drawn, key=lambda t: (t != best, -t))
        figures[f"figure7-{cell.name}"] = _figure([(t, drawn[t]) for t in order], levels)
    return Outcome(tuple(rows), tuple(said), figures)


def nearest(found: dict[float, Moments], data: Moments) -> float:
    """Return the temperature with the least d; of equal ones, the highest.

    Example:
        >>> data = Moments(10.0, 2.0, 30.0, 5.0)
        >>> nearest({0.8: Moments(8.0, 2.0, 30.0, 5.0), 1.0: Moments(11.0, 2.0, 30.0, 5.0)}, data)
        1.0
    """
    return min(found, key=lambda t: (found[t].distance(data), -t))


def _samples(workspace: Workspace, cell: Entry, plan: Plan) -> Iterator[Tensor]:
    """Yield the samples of each temperature, all from the same noise."""
    import torch

    workspace.say(f"sample {cell.job.name}")
    model = workspace.model(cell.job)
    device = next(model.parameters()).device
    sizes = [min(_TOGETHER, plan.samples - start) for start in range(0, plan.samples, _TOGETHER)]
    for temperature in plan.temperatures:
        generator = torch.Generator(device).manual_seed(0)
        with torch.inference_mode():
            yield torch.cat([model.sample(n, temperature, generator).cpu() for n in sizes])


def _test_images(workspace: Workspace, cell: Entry, count: int) -> Tensor:

    images = workspace.images(cell.job.recipe, "test", count)
    return images.tensor()


def _rows(model: str, found: dict[float, Moments], data: Moments, best: float) -> Iterator[Row]:
    for temperature, each in found.items():
        yield {"cell": model, "temperature": temperature, **vars(each)} | {
            "distance": each.distance(data),
            "chosen": temperature == best,
        }
    yield {"cell": model, "temperature": None, **vars(data)} | {"distance": 0.0, "chosen": None}


def _finding(model: str, found: dict[float, Moments], data: Moments, best: float) -> str:
    return (
        f"{model}: temperature {best} is nearest to the test images, d = "
        f"{found[best].distance(data):.3f}; at 1.0 it is {found[max(found)].distance(data):.3f}"
    )


def _figure(drawn: Sequence[tuple[float, Tensor]], levels: int) -> Figure:
    """Draw the first samples of each temperature."""
    from matplotlib.figure import Figure

    from mrvae.image_grid import arrange

    figure = Figure(figsize=(9.0, 1.3 * len(drawn)), dpi=120, layout="constrained")
    for axes, (temperature, images) in zip(
        figure.subplots(len(drawn), 1, squeeze=False)[:, 0], drawn, strict=True
    ):
        axes.imshow(arrange(images[:_SHOWN].numpy(), levels, _COLUMNS, enlarge=2))
        chosen_ = ", chosen" if temperature == drawn[0][0] else ""
        axes.set_title(f"t = {temperature}{chosen_}", loc="left", fontsize=9)
        axes.set_axis_off()
    return figure


ITEM = Item("figure7", "samples, at a temperature chosen by a rule", work, cells)
