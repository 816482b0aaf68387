"""The models that the paper's tables and figures share, as cells: a run is made once for all.

On MNIST there are the baseline and three contexts above it: the DCT, block averages, and the coarse
part of a wavelet transform, which is ours. At ``smoke`` the built-in digits stand for all of them.
"""

from __future__ import annotations

from mrvae.papers.cells import Cell
from mrvae.papers.desk import Job
from mrvae.papers.outcome import Budget
from mrvae.recipes import Recipe, override, recipe

KINDS = ("vdvae", "dct", "downsample", "wavelet")
_SMOKE = (
    *("training.steps=2", "training.validate_every=1", "training.batch=100", "training.warmup=1"),
    *("model.width=8", "model.latent=1"),
)
_CPU = (
    *("training.steps=2500", "training.batch=32", "training.optimizer.rate=1e-3"),
    *("training.validate_every=250", "training.checkpoint_every=250"),
)


def mnist(budget: Budget) -> list[Cell]:
    """Return the baseline and its three contexts, in this order.

    Example:
        >>> [cell.name for cell in mnist("smoke")]
        ['vdvae', 'dct']
    """
    if budget == "smoke":
        return [_digits("vdvae"), _digits("dct")]
    return [Cell(kind, Job(at_budget(f"kuzina2023-mnist-{kind}", budget))) for kind in KINDS]


def at_budget(name: str, budget: Budget) -> Recipe:
    """Return a recipe on MNIST as the ``cpu`` budget trains it, or as it is."""
    return override(recipe(name), _CPU if budget == "cpu" else ())


def _digits(kind: str) -> Cell:
    return Cell(kind, Job(override(recipe(f"digits-{kind}"), _SMOKE), variation="kuzina2023"))
