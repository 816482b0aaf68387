r"""Section 3.4: what matters and what does not, one change at a time.

Each row is a small model with one thing changed, beside the model without the change:

- the number of latent channels, the depth being equal: the paper finds that the number of latents
  does not explain what sharing gains;
- Fourier features at the input: no gain, since pooling already imposes a Haar basis. Of binary
  images they are constant and can tell nothing, so they are tried on grey or coloured ones;
- cells without residual connections: the paper finds the connections crucial;
- a single resolution, at equal stochastic depth and about equal parameters: all cells at 32×32. The
  encoder has some more blocks, for the parameters that biases of the coarser levels would have;
- synchronous processing: each cell reads the encoder's state at its own place, where a VDVAE reads
  the last one of the resolution.

The details of the paper's ablations, in its appendix, are not known to us, and no numbers of them
are in the text: the design above is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrvae.papers.entries import Entry, Result, compared, result
from mrvae.papers.item import Item
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override, recipe


@dataclass(frozen=True)
class Change:
    """One ablation.

    Attributes:
        name: of the cell; also of the run's variation.
        base: name of the cell to compare with; empty for one that is compared with.
        recipe: which model is changed.
        changes: what is changed in it.
        about: what was done, in words.
    """

    name: str
    base: str
    recipe: str
    about: str
    changes: tuple[str, ...] = ()


_X1, _COLOUR, _DIGITS = "falck2022-mnist-x1", "falck2022-cifar10-x1", "digits-vdvae"
_SINGLE = ("model.encoder=32x13", "model.decoder=32x9")
CHANGES = (
    Change("x1", "", _X1, "as published"),
    Change("latent2", "x1", _X1, "2 latent channels instead of 8", ("model.latent=2",)),
    Change("latent4", "x1", _X1, "4 latent channels instead of 8", ("model.latent=4",)),
    Change("latent16", "x1", _X1, "16 latent channels instead of 8", ("model.latent=16",)),
    Change("plain", "x1", _X1, "cells without residual connections", ("model.cell=plain",)),
    Change("synchronous", "x1", _X1, "synchronous processing", ("model.synchronous=true",)),
    Change("single", "x1", _X1, "a single resolution", _SINGLE),
    Change("digits", "", _DIGITS, "as it is"),
    Change("digits-fourier", "digits", _DIGITS, "Fourier features", ("model.fourier=1,2",)),
    Change("cifar10", "", _COLOUR, "as published"),
    Change("cifar10-fourier", "cifar10", _COLOUR, "Fourier features", ("model.fourier=6,7",)),
)


@dataclass(frozen=True)
class Plan:
    """What a budget allows: changes to all recipes, rows made unasked, test images."""

    mnist: tuple[str, ...]
    digits: tuple[str, ...]
    default: tuple[str, ...]
    limit: int | None = None


_SMOKE = (
    *("training.steps=1", "training.validate_every=1", "training.batch=100", "training.warmup=0"),
    *("training.compile=false", "training.bf16=false", "model.width=4"),
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

PLANS: dict[Budget, Plan] = {
    "smoke": Plan(_SMOKE, _SMOKE, ("digits", "digits-fourier"), limit=16),
    "cpu": Plan(_SHORT, (), _CPU),
    "paper": Plan(_LONG, (), tuple(change.name for change in CHANGES)),
}


def cells(budget: Budget) -> list[Entry]:
    """Return the changed models, and those that they are compared with."""
    return [_cell(change, budget) for change in CHANGES]


def _cell(change: Change, budget: Budget) -> Entry:
    plan = PLANS[budget]
    course = plan.digits if change.recipe == _DIGITS else plan.mnist
    changed = override(recipe(change.recipe), (*course, *change.changes))
    # Runs of other items may be of another length; each has its own directory.
    variation = f"ablation-{change.name}"
    return Entry(change.name, Job(changed, variation=variation), change.name in plan.default)


def work(workspace: Workspace) -> Outcome:
    """Train and measure the models."""
    found = result(workspace, cells(workspace.budget), limit=PLANS[workspace.budget].limit)
    by_name = {one.cell.name: one for one in found}
    rows = tuple(_row(by_name[c.name], c) for c in CHANGES if c.name in by_name)
    return Outcome(rows, tuple(findings(found)))


def _row(one: Result, change: Change) -> Row:
    return {
        "cell": change.name,
        "change": change.about,
        "compared_with": change.base or None,
        "parameters": one.cost.parameters,
        "depth": one.cost.stochastic_depth,
        "latents": one.cost.latents,
        "flops_per_image": one.cost.flops_per_image,
        **one.course(),
        "paper_nats": None,
    }


def findings(found: Sequence[Result]) -> list[str]:
    """Compare each changed model with the one that it was made from, at equal steps."""
    by_name = {one.cell.name: one for one in found}
    said = []
    for change in CHANGES:
        one, base = by_name.get(change.name), by_name.get(change.base)
        if one is not None and base is not None:
            conditioning = compared(one, base)
            said.append(f"{change.name} ({change.about}) against {base.cell.name}: {conditioning}")
    return said


ITEM = Item("ablations", "one change at a time", work, cells)
