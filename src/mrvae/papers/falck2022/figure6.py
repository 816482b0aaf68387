r"""Figure 6 (section 3.2): hierarchical VAEs secretly represent a notion of time.

If the cells of one resolution are Euler steps of a diffusion, then a model whose cells are shared
must tell from the state alone how far it has come. The paper finds that it can: ‖Z_i‖₂ grows from
block to block within a resolution, with jumps where the resolution changes and the state gets
another dimension. It shows the mean over 10 batches of 100 images, and 2 standard deviations.

The models are those of figure 5, trained there or here. The paper's figure is a picture without
numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry, chosen, with_defaults
from mrvae.papers.falck2022 import figure5
from mrvae.papers.item import Item
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.report import groups, norms_figure

if TYPE_CHECKING:
    from mrvae.evaluation import PassNorms


@dataclass(frozen=True)
class Plan:
    """What a budget allows: the models that are looked at unasked, and how many images."""

    default: tuple[str, ...]
    images: int


PLANS: dict[Budget, Plan] = {
    "smoke": Plan(("x1",), images=20),
    "cpu": Plan(("x1", "r5"), images=1000),
    "paper": Plan(("x4", "r5", "r20", "cifar10-x4", "cifar10-r5", "cifar10-r20"), images=1000),
}


def cells(budget: Budget) -> list[Entry]:
    """Return the models of figure 5, those of the plan by default."""
    return with_defaults(figure5.cells(budget), PLANS[budget].default)


def work(workspace: Workspace) -> Outcome:
    """Measure the norms of each model's states, on both ways."""
    rows: list[Row] = []
    said: list[str] = []
    figures = {}
    for cell in chosen(cells(workspace.budget), workspace.only):
        workspace.trained(cell.job)
        passes = _measure(workspace, cell)
        rows += [row for name, each in passes.items() for row in _rows(cell.name, name, each)]
        said += [line for name, each in passes.items() for line in findings(cell.name, name, each)]
        shown = {name: (p.sizes, p.means, p.deviations) for name, p in passes.items()}
        figures[f"figure6-{cell.name}"] = norms_figure(shown)
    return Outcome(tuple(rows), tuple(said), figures)


def _measure(workspace: Workspace, cell: Entry) -> dict[str, PassNorms]:
    """Return the norms on the way up and on the way down."""
    from mrvae.evaluation import state_norms

    workspace.say(f"norms of {cell.job.name}")
    images = workspace.images(cell.job.recipe, "test", PLANS[workspace.budget].images)
    up, down = state_norms(workspace.model(cell.job), images)
    return {"bottom-up": up, "top-down": down}


def _rows(model: str, name: str, norms: PassNorms) -> Iterator[Row]:
    blocks = zip(norms.sizes, norms.means, norms.deviations, strict=True)
    for block, (size, mean, deviation) in enumerate(blocks, start=1):
        yield {
            "cell": model,
            "pass": name,
            "block": block,
            "resolution": size,
            "norm": mean,
            "norm_sd": deviation,
        }


def findings(model: str, name: str, norms: PassNorms) -> list[str]:
    """Say in how many resolutions the mean norm rises, and by how much it jumps between them.

    Example:
        >>> from mrvae.evaluation import PassNorms
        >>> norms = PassNorms((1, 4, 4), (2.0, 8.0, 9.0), (0.0, 0.0, 0.0))
        >>> findings("x1", "top-down", norms)[0]
        'x1, top-down: from the first block to the last, the norm rises in 1 of 1 resolutions'
    """
    parts = groups(norms.sizes)
    longer = [part for part in parts if part.stop - part.start > 1]
    rises = sum(norms.means[part.stop - 1] > norms.means[part.start] for part in longer)
    return [
        f"{model}, {name}: from the first block to the last, the norm rises in {rises} of "
        f"{len(longer)} resolutions",
        f"{model}, {name}: where the resolution changes, the norm is multiplied by "
        f"{_factors([(part.stop - 1, part.stop) for part in parts[:-1]], norms.means)}; "
        f"between other blocks by {_factors(_inside(norms.sizes), norms.means)}",
    ]


def _inside(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the neighbouring blocks of one resolution."""
    neighbours = pairwise(range(len(sizes)))
    return [(before, after) for before, after in neighbours if sizes[before] == sizes[after]]


def _factors(pairs: Sequence[tuple[int, int]], means: Sequence[float]) -> str:
    """Write the range of the factors between blocks."""
    factors = [means[after] / means[before] for before, after in pairs if means[before] > 0]
    return f"{min(factors):.2f} … {max(factors):.2f}" if factors else "nothing"


ITEM = Item("figure6", "norm of the residual state after every block", work, cells)
