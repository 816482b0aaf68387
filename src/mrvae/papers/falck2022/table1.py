r"""Table 1 (section 3.1): shared models of half the parameters reach the bounds of plain ones.

VDVAE* has Child's hyper-parameters. The block strings of the shared models (WS-VDVAE) are not
published; ours match the published number of parameters and stochastic depth both, where there is
a recipe. The two shared ImageNet models are not determined well enough to have one.

The paper's numbers are upper bounds, one sample of −ELBO over the test images at convergence: nats
on MNIST, bits per dimension elsewhere. A short run says nothing about them; its row stands beside
the paper's to show how far it is.
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
class Published:
    """A row of the paper: parameters in thousands, the bound, and the depth of shared models."""

    thousands: int
    bound: float
    depth: int | None = None


PUBLISHED = {
    "mnist-ws": Published(232, 79.98, 57),
    "mnist-vdvae": Published(339, 80.14),
    # The text gives the depth 105 to CIFAR10 without saying to which of its two models.
    "cifar10-ws25": Published(25_000, 2.88, 105),
    "cifar10-ws39": Published(39_000, 2.83, 105),
    "cifar10-vdvae": Published(39_000, 2.87),
    "imagenet32-vdvae": Published(119_000, 3.67),
    "celeba64-ws": Published(75_000, 2.02, 125),
    "celeba64-vdvae": Published(125_000, 2.02),
}


@dataclass(frozen=True)
class Plan:
    """What a budget allows: changes to the recipes, rows made unasked, test images."""

    changes: tuple[str, ...]
    default: tuple[str, ...]
    limit: int | None = None


_COURSE = ("training.schedule=constant", "training.optimizer.rate=1e-3")
PLANS: dict[Budget, Plan] = {
    "smoke": Plan(
        (
            *("training.steps=1", "training.validate_every=1", "training.batch=100"),
            *("training.warmup=0", "training.compile=false", "training.bf16=false"),
            *("model.width=4", "model.latent=1", "model.encoder=32d2,16d2,8d2,4d4,1x1"),
            "model.decoder=1x1,4m1,8m4,16m8,32m16,32x1r2",
        ),
        ("mnist-ws",),
        limit=8,
    ),
    "cpu": Plan(
        (*_COURSE, "training.steps=600", "training.validate_every=150", "training.compile=false"),
        ("mnist-ws", "mnist-vdvae"),
        limit=2000,
    ),
    "paper": Plan(
        (
            *("training.schedule=constant", "training.optimizer.rate=2e-4"),
            *("training.steps=1000000", "training.validate_every=10000"),
        ),
        tuple(PUBLISHED),
    ),
}


def cells(budget: Budget) -> list[Entry]:
    """Return the rows that there is a recipe for.

    Example:
        >>> [cell.name for cell in cells("cpu") if cell.default]
        ['mnist-ws', 'mnist-vdvae']
    """
    plan = PLANS[budget]
    return [
        Entry(name, Job(override(recipe(f"falck2022-{name}"), plan.changes)), name in plan.default)
        for name in PUBLISHED
    ]


def work(workspace: Workspace) -> Outcome:
    """Train and measure the models."""
    found = result(workspace, cells(workspace.budget), limit=PLANS[workspace.budget].limit)
    return Outcome(tuple(_row(one) for one in found), tuple(findings(found)))


def _row(one: Result) -> Row:
    paper = PUBLISHED[one.cell.name]
    binary = one.cell.job.recipe.data.binary
    return {
        "cell": one.cell.name,
        "parameters": one.cost.parameters,
        "paper_parameters": 1000 * paper.thousands,
        "depth": one.cost.stochastic_depth,
        "paper_depth": paper.depth,
        **one.course(),
        "unit": "nats" if binary else "bits/dim",
        "bound": one.measure("nats" if binary else "bits_per_dim"),
        "paper_bound": paper.bound,
    }


def findings(found: Sequence[Result]) -> list[str]:
    """Compare every shared model with the plain one of its data, at equal steps."""
    by_name = {one.cell.name: one for one in found}
    said = []
    for name, one in by_name.items():
        plain = by_name.get(f"{name.partition('-')[0]}-vdvae")
        if plain is not None and plain is not one:
            share = one.cost.parameters / plain.cost.parameters
            conditioning = compared(one, plain)
            said.append(f"{name} has {share:.0%} of the parameters; equal steps: {conditioning}")
    return said


ITEM = Item("table1", "bounds of shared models against plain ones", work, cells)
