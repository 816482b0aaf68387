"""The models that the paper's tables and figures share, as entries: a run is made once for all.

On MNIST there are the baseline and three contexts: the DCT, block averages, and the coarse part of
a wavelet transform, which is ours. At ``smoke`` the built-in digits stand for all of them.
The bounds of a run are measured once, too: a few images with many samples, the same for all, so
that runs can be compared in pairs.
"""

from __future__ import annotations

from dataclasses import replace

from mrvae.papers.columns import bound
from mrvae.papers.engine import Columns
from mrvae.papers.entries import AnyResult, Entry
from mrvae.papers.outcome import Budget, Extent, Extents
from mrvae.papers.workspace import Job
from mrvae.recipes import Recipe, override, recipe
from mrvae.recipes.context import DCTSpec, NoContextSpec, PooledSpec, WaveletSpec
from mrvae.sizes import sides

KINDS = ("vdvae", "dct", "downsample", "wavelet")
DEPTHS = (4, 6, 8, 10)
SIZES = ("dct-4", "dct-8", "dct-10", "downsample-4", "downsample-14")


# How a run is measured: K of the importance-weighted bound, and the number of test images.
MEASURED: Extents = {
    "smoke": Extent(images=8, draws=2),
    "cpu": Extent(images=1000, draws=64),
    "paper": Extent(draws=1000),
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
    """Return the baseline and its three contexts, each to be compared with the baseline.

    Example:
        >>> [entry.name for entry in mnist("smoke")]
        ['vdvae', 'dct']
    """
    if budget == "smoke":
        return [_digits("vdvae"), _digits("dct")]
    return [_against_none(kind, Job(_at_budget(kind, budget))) for kind in KINDS]


def depths(budget: Budget) -> list[Entry]:
    """Return the models of section 3.2, of equal size and 4 to 10 latents; 8 are the baseline's.

    Example:
        >>> [entry.name for entry in depths("smoke")]
        ['vdvae', 'dct']
    """
    if budget == "smoke":
        return mnist(budget)
    names = {depth: "vdvae" if depth == 8 else f"L{depth}" for depth in DEPTHS}
    return [Entry(f"L{depth}", Job(_at_budget(name, budget))) for depth, name in names.items()]


def sizes(budget: Budget) -> list[Entry]:
    """Return :func:`mnist`, and the contexts of other sizes, some only if they are named.

    Example:
        >>> [entry.name for entry in sizes("smoke")]
        ['vdvae', 'dct', 'dct-2']
    """
    if budget == "smoke":
        return [*mnist(budget), _sized("dct-2", _digits("dct").job.recipe)]
    others = [_sized(name, _at_budget(name.partition("-")[0], budget)) for name in SIZES]
    every = budget == "paper"
    wanted = [replace(entry, default=every or kind_of(entry) == "dct") for entry in others]
    return [*mnist(budget), *wanted]


def kind_of(entry: Entry) -> str:
    """Return the kind of context of an entry, its name without a size.

    Example:
        >>> [kind_of(entry) for entry in sizes("smoke")]
        ['vdvae', 'dct', 'dct']
    """
    return entry.name.partition("-")[0]


def context_size(entry: Entry) -> int:
    """Return how many numbers the context of an entry has; 0 if there is none.

    Example:
        >>> [context_size(entry) for entry in sizes("smoke")]
        [0, 9, 4]
    """
    model = entry.job.recipe.hierarchy
    match model.context:
        case NoContextSpec():
            side = 0
        case DCTSpec(frequencies=size):
            side = sides(size)[0]
        case PooledSpec(factor=factor):
            side = model.sides[0] // factor
        case WaveletSpec(depth=depth):
            side = model.sides[0] >> depth
    return model.channels * side**2


def _sized(name: str, known: Recipe) -> Entry:
    """Return a model with another size of its context."""
    side = int(name.partition("-")[2])
    pooled = isinstance(known.hierarchy.context, PooledSpec)
    size = f"factor={known.model.sides[0] // side}" if pooled else f"frequencies={side}"
    changed = override(known, [f"model.context.{size}"])
    return _against_none(name, Job(changed, variation=f"side{side}"))


def _at_budget(kind: str, budget: Budget) -> Recipe:
    return override(recipe(f"kuzina2023-mnist-{kind}"), _CPU if budget == "cpu" else ())


def _digits(kind: str) -> Entry:
    changed = override(recipe(f"digits-{kind}"), _SMOKE)
    return _against_none(kind, Job(changed, variation="kuzina2023"))


def _against_none(name: str, job: Job) -> Entry:
    return Entry(name, job, bases=("vdvae",))


def context_nats(result: AnyResult) -> float | None:
    """Return the context's term of the bound, its first column; None without a context."""
    if result.measures is None or not context_size(result.entry):
        return None
    columns = result.measures["kl"]
    return float(columns[0]) if isinstance(columns, list) else None


IMPORTANCE: Columns = {
    "importance_samples": bound("importance_samples"),
    "importance_nats": bound("importance_nats"),
    "importance_nats_se": bound("importance_nats_se"),
}
NO_BASELINE = ("the model without a context is not finished; nothing to compare",)
