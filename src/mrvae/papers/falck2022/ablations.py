r"""Section 3.4: what matters and what does not, one change at a time.

Each row is a small model with one thing changed, beside the model without the change:

- the number of latent channels, the depth being equal: the paper finds that the number of latents
  does not explain what sharing gains;
- Fourier features at the input: no gain, since pooling already imposes a Haar basis. Of binary
  images they are constant, so they are tried on grey or coloured ones;
- cells without residual connections: the paper finds the connections crucial;
- a single resolution, at equal stochastic depth and about equal parameters: all cells at 32×32. The
  encoder has some more blocks, for the parameters that biases of the coarser levels would have;
- synchronous processing: each cell reads the encoder's state at its own place, where a VDVAE reads
  the last one of the resolution.

The details of the paper's ablations, in its appendix, are not known to us, and no numbers of them
are in the text: the design above is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from mrvae.papers import columns
from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS
from mrvae.papers.compare import comparisons
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import Entry
from mrvae.papers.outcome import Budget, Extent, Extents
from mrvae.papers.workspace import Job
from mrvae.recipes import override, recipe


@dataclass(frozen=True)
class Ablation:
    """One change.

    Attributes:
        name: of the entry; also of the run's variation.
        base: name of the entry to compare with; empty for the model without a change.
        recipe: which model is changed.
        about: what was done, in words.
        changes: overrides of the recipe.
    """

    name: str
    base: str
    recipe: str
    about: str
    changes: tuple[str, ...] = ()


_X1, _COLOUR, _DIGITS = "falck2022-mnist-x1", "falck2022-cifar10-x1", "digits-vdvae"
_SINGLE = ("model.encoder=32x13", "model.decoder=32x9")
CHANGES = (
    Ablation("x1", "", _X1, "as published"),
    Ablation("latent2", "x1", _X1, "2 latent channels instead of 8", ("model.latent=2",)),
    Ablation("latent4", "x1", _X1, "4 latent channels instead of 8", ("model.latent=4",)),
    Ablation("latent16", "x1", _X1, "16 latent channels instead of 8", ("model.latent=16",)),
    Ablation("plain", "x1", _X1, "cells without residual connections", ("model.cell=plain",)),
    Ablation("synchronous", "x1", _X1, "synchronous processing", ("model.synchronous=true",)),
    Ablation("single", "x1", _X1, "a single resolution", _SINGLE),
    Ablation("digits", "", _DIGITS, "as it is"),
    Ablation("digits-fourier", "digits", _DIGITS, "Fourier features", ("model.fourier=1,2",)),
    Ablation("cifar10", "", _COLOUR, "as published"),
    Ablation("cifar10-fourier", "cifar10", _COLOUR, "Fourier features", ("model.fourier=6,7",)),
)


_SMOKE = (
    *("training.steps=1", "training.validate_every=1", "training.batch=100", "training.warmup=0"),
    *("training.compile=false", "training.precision=float32", "model.width=4"),
)
_SHORT = (
    *("training.schedule=constant", "training.optimizer.rate=1e-3"),
    *("training.steps=1000", "training.validate_every=250", "training.compile=false"),
)
_LONG = (
    *("training.schedule=constant", "training.optimizer.rate=2e-4"),
    *("training.steps=1000000", "training.validate_every=10000"),
)
_CPU = tuple(change.name for change in CHANGES if change.recipe != _COLOUR)
EXTENTS: Extents = {
    "smoke": Extent(_SMOKE, ("digits", "digits-fourier"), images=16),
    "cpu": Extent(_SHORT, _CPU),
    "paper": Extent(_LONG, tuple(change.name for change in CHANGES)),
}
_BY_NAME = {change.name: change for change in CHANGES}


def entries(budget: Budget) -> list[Entry]:
    """Return the changed models, and those that they are compared with."""
    return [_entry(change, budget) for change in CHANGES]


def _entry(change: Ablation, budget: Budget) -> Entry:
    extent = EXTENTS[budget]
    # The recipe of the digits is short as it is.
    short = change.recipe == _DIGITS and budget != "smoke"
    changed = override(recipe(change.recipe), (*(() if short else extent.changes), *change.changes))
    # Runs of other items may be of another length; each has its own directory.
    job = Job(changed, variation=f"ablation-{change.name}")
    return Entry(change.name, job, change.name in extent.default, bases=(change.base,))


COLUMNS: Columns = {
    **ENTRY,
    "change": lambda result: _BY_NAME[result.name].about,
    "compared_with": lambda result: _BY_NAME[result.name].base or None,
    **PARAMETERS,
    "depth": columns.depth,
    "latents": lambda result: result.cost.latents,
    "flops_per_image": lambda result: result.cost.flops_per_image,
    **COURSE,
    "paper_nats": lambda result: None,
}
findings = comparisons(
    lambda result, base: f"{result.name} ({_BY_NAME[result.name].about}) against {base.name}:"
)
ITEM = Item("ablations", bounded(EXTENTS, COLUMNS, findings), entries)
