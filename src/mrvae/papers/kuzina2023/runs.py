"""The models that the paper's tables and figures share, as cells: a run is made once for all.

On MNIST there are the baseline and three contexts above it: the DCTSpec, block averages, and the coarse
part of a wavelet transform, which is ours. At ``smoke`` the built-in digits stand for all of them.
The bounds of a run are measured once, too: a few images with many samples, the same for all, so
that runs can be compared in pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mrvae.papers.entries import Entry
from mrvae.papers.outcome import Budget
from mrvae.papers.workspace import Job
from mrvae.recipes import Recipe, override, recipe
from mrvae.recipes.context import DCTSpec, NoContextSpec, PooledSpec, WaveletSpec

KINDS = ("vdvae", "dct", "downsample", "wavelet")
DEPTHS = (4, 6, 8, 10)
SIZES = ("dct-4", "dct-8", "dct-10", "downsample-4", "downsample-14")


@dataclass(frozen=True)
class Measured:
    """How a run is measured: K of the importance-weighted bound, and the number of test images."""

    samples: int
    limit: int | None


MEASURED: dict[Budget, Measured] = {
    "smoke": Measured(2, 8),
    "cpu": Measured(64, 1000),
    "paper": Measured(1000, None),
}
_SMOKE = (
    *("training.steps=2", "training.validate_every=1", "training.batch=100", "training.warmup=1"),
    *("model.width=8", "model.latent=1"),
)
# Of so short a run more is learnt from more steps than from larger batches.
_CPU = (
    *("training.steps=2000", "training.batch=16"),
    *("training.validate_every=500", "training.checkpoint_every=500"),
)


def mnist(budget: Budget) -> list[Entry]:
    """Return the baseline and its three contexts, in this order.

    Example:
        >>> [cell.name for cell in mnist("smoke")]
        ['vdvae', 'dct']
    """
    if budget == "smoke":
        return [_digits("vdvae"), _digits("dct")]
    return [Entry(kind, Job(_at_budget(kind, budget))) for kind in KINDS]


def depths(budget: Budget) -> list[Entry]:
    """Return the models of section 3.2, of equal size and 4 to 10 latents; 8 are the baseline's.

    Example:
        >>> [cell.name for cell in depths("smoke")]
        ['vdvae', 'dct']
    """
    if budget == "smoke":
        return mnist(budget)
    names = {depth: "vdvae" if depth == 8 else f"L{depth}" for depth in DEPTHS}
    return [Entry(f"L{depth}", Job(_at_budget(name, budget))) for depth, name in names.items()]


def sizes(budget: Budget) -> list[Entry]:
    """Return :func:`mnist`, and the contexts of other sizes, some only if they are named.

    Example:
        >>> [cell.name for cell in sizes("smoke")]
        ['vdvae', 'dct', 'dct-2']
    """
    if budget == "smoke":
        return [*mnist(budget), _sized("dct-2", _digits("dct").job.recipe)]
    others = [_sized(name, _at_budget(name.partition("-")[0], budget)) for name in SIZES]
    wanted = [replace(cell, default=budget == "paper" or kind_of(cell) == "dct") for cell in others]
    return [*mnist(budget), *wanted]


def kind_of(cell: Entry) -> str:
    """Return the kind of context of a cell, its name without a size.

    Example:
        >>> [kind_of(cell) for cell in sizes("smoke")]
        ['vdvae', 'dct', 'dct']
    """
    return cell.name.partition("-")[0]


def context_size(cell: Entry) -> int:
    """Return how many numbers the context of a cell has; 0 if there is none.

    Example:
        >>> [context_size(cell) for cell in sizes("smoke")]
        [0, 9, 4]
    """
    model = cell.job.recipe.hierarchy
    match model.context:
        case NoContextSpec():
            side = 0
        case DCTSpec(frequencies=size):
            side = size
        case PooledSpec(factor=factor):
            side = model.size // factor
        case WaveletSpec(depth=depth):
            side = model.size >> depth
    return model.channels * side**2


def _sized(name: str, known: Recipe) -> Entry:
    """Return a model with another size of its context."""
    side = int(name.partition("-")[2])
    pooled = isinstance(known.hierarchy.context, PooledSpec)
    size = f"factor={known.model.size // side}" if pooled else f"frequencies={side}"
    return Entry(name, Job(override(known, [f"model.context.{size}"]), variation=f"side{side}"))


def _at_budget(kind: str, budget: Budget) -> Recipe:
    return override(recipe(f"kuzina2023-mnist-{kind}"), _CPU if budget == "cpu" else ())


def _digits(kind: str) -> Entry:
    return Entry(kind, Job(override(recipe(f"digits-{kind}"), _SMOKE), variation="kuzina2023"))
