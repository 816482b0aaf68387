r"""Figure 6 (section 3.2): hierarchical VAEs secretly represent a notion of time.

If the cells of one resolution are Euler steps of a diffusion, then a model whose cells are shared
must read from the state how far it has come. The paper finds that it can: ‖Z_i‖₂ grows from
block to block within a resolution, with jumps where the resolution changes and the state gets
another dimension. It shows the mean over 10 batches of 100 images, and 2 standard deviations.

The models are those of figure 5, trained there or here. The paper's figure is a picture without
numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from mrvae.evaluation import PassNorms, state_norms
from mrvae.papers.engine import Item, per_entry
from mrvae.papers.entries import Entry, by_extent
from mrvae.papers.falck2022 import figure5
from mrvae.papers.outcome import Extent, Extents, Outcome, Row
from mrvae.papers.workspace import Workspace
from mrvae.reports.figures import groups, norms_figure
from mrvae.sizes import ImageSize, sides

EXTENTS: Extents = {
    "smoke": Extent(default=("x1",), images=20),
    "cpu": Extent(default=("x1", "r5"), images=1000),
    "paper": Extent(
        default=("x4", "r5", "r20", "cifar10-x4", "cifar10-r5", "cifar10-r20"), images=1000
    ),
}


# The models of figure 5.
entries = by_extent(figure5.entries, EXTENTS)


def measure(workspace: Workspace, entry: Entry) -> Outcome:
    """Measure the norms of a model's states, bottom-up and top-down."""
    workspace.log(f"norms of {entry.job.name}")
    images = workspace.images(entry.job, EXTENTS[workspace.budget].images)
    up, down = state_norms(workspace.model(entry.job), images)
    passes = {"bottom-up": up, "top-down": down}
    drawn = norms_figure({name: (p.sizes, p.means, p.deviations) for name, p in passes.items()})
    return Outcome(
        [row for name, norms in passes.items() for row in _rows(entry.name, name, norms)],
        [line for name, norms in passes.items() for line in findings(entry.name, name, norms)],
        {f"figure6-{entry.name}": drawn},
    )


def _rows(model: str, name: str, norms: PassNorms) -> Iterator[Row]:
    blocks = zip(norms.sizes, norms.means, norms.deviations, strict=True)
    for block, (size, mean, deviation) in enumerate(blocks, start=1):
        yield {
            "cell": model,
            "pass": name,
            "block": block,
            "resolution": sides(size)[0],
            "norm": mean,
            "norm_sd": deviation,
        }


def findings(model: str, name: str, norms: PassNorms) -> list[str]:
    """Return in how many resolutions the mean norm rises, and by how much it jumps between them.

    Example:
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


def _inside(sizes: Sequence[ImageSize]) -> list[tuple[int, int]]:
    """Return the neighbouring blocks of one resolution."""
    neighbours = pairwise(range(len(sizes)))
    return [(before, after) for before, after in neighbours if sizes[before] == sizes[after]]


def _factors(pairs: Sequence[tuple[int, int]], means: Sequence[float]) -> str:
    """Write the range of the factors between blocks."""
    factors = [means[after] / means[before] for before, after in pairs if means[before] > 0]
    return f"{min(factors):.2f} … {max(factors):.2f}" if factors else "nothing"


ITEM = Item("figure6", per_entry(measure), entries)
