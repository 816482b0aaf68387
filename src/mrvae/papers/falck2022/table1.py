r"""Table 1 (section 3.1): shared models of half the parameters reach the bounds of plain ones.

VDVAE* has Child's hyper-parameters. The block strings of the shared models (WS-VDVAE) are not
published; ours match the published number of parameters and stochastic depth both, where there is
a recipe. The two shared ImageNet models are not determined well enough to have one.

The paper's numbers are upper bounds, one sample of −ELBO over the test images at convergence: nats
on MNIST, bits per dimension elsewhere. A short run shows nothing about them; its row stands beside
the paper's to show how far it is.
"""

from __future__ import annotations

from mrvae.papers import columns
from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS
from mrvae.papers.compare import comparisons
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import AnyResult, Entry
from mrvae.papers.outcome import Budget, Extent, Extents, Row
from mrvae.papers.workspace import Job
from mrvae.recipes import override, recipe

# Parameters in thousands, the depth of shared models, and the bound. The text gives the depth 105
# to CIFAR10 without stating to which of its two models.
PUBLISHED: dict[str, Row] = {
    name: {"paper_parameters": 1000 * thousands, "paper_depth": depth, "paper_bound": bound}
    for name, thousands, depth, bound in (
        ("mnist-ws", 232, 57, 79.98),
        ("mnist-vdvae", 339, None, 80.14),
        ("cifar10-ws25", 25_000, 105, 2.88),
        ("cifar10-ws39", 39_000, 105, 2.83),
        ("cifar10-vdvae", 39_000, None, 2.87),
        ("imagenet32-vdvae", 119_000, None, 3.67),
        ("celeba64-ws", 75_000, 125, 2.02),
        ("celeba64-vdvae", 125_000, None, 2.02),
    )
}
EXTENTS: Extents = {
    "smoke": Extent(
        (
            *("training.steps=1", "training.validate_every=1", "training.batch=100"),
            *("training.warmup=0", "training.compile=false", "training.precision=float32"),
            *("model.width=4", "model.latent=1", "model.encoder=32d2,16d2,8d2,4d4,1x1"),
            "model.decoder=1x1,4m1,8m4,16m8,32m16,32x1r2",
        ),
        ("mnist-ws",),
        images=8,
    ),
    "cpu": Extent(
        (
            *("training.schedule=constant", "training.optimizer.rate=1e-3", "training.steps=600"),
            *("training.validate_every=150", "training.compile=false"),
        ),
        ("mnist-ws", "mnist-vdvae"),
        images=2000,
    ),
    "paper": Extent(
        (
            *("training.schedule=constant", "training.optimizer.rate=2e-4"),
            *("training.steps=1000000", "training.validate_every=10000"),
        ),
        tuple(PUBLISHED),
    ),
}


def entries(budget: Budget) -> list[Entry]:
    """Return the rows that there is a recipe for, each to be compared with the VDVAE of its data.

    Example:
        >>> [entry.name for entry in entries("cpu") if entry.default]
        ['mnist-ws', 'mnist-vdvae']
    """
    extent = EXTENTS[budget]
    return [
        Entry(
            name,
            Job(override(recipe(f"falck2022-{name}"), extent.changes)),
            name in extent.default,
            bases=(f"{name.partition('-')[0]}-vdvae",),
        )
        for name in PUBLISHED
    ]


def _share(result: AnyResult, plain: AnyResult) -> str:
    share = result.cost.parameters / plain.cost.parameters
    return f"{result.name} has {share:.0%} of the parameters; equal steps:"


def is_binary(result: AnyResult) -> bool:
    """Return whether the images are binary, so that the paper's bound is in nats."""
    return result.entry.job.recipe.data.binary


UNIT: Columns = {
    "unit": lambda result: "nats" if is_binary(result) else "bits/dim",
    "bound": lambda result: result.bound("nats" if is_binary(result) else "bits_per_dim"),
}
_PAPER = columns.published(PUBLISHED)
COLUMNS: Columns = {
    **ENTRY,
    **PARAMETERS,
    "paper_parameters": _PAPER["paper_parameters"],
    "depth": columns.depth,
    "paper_depth": _PAPER["paper_depth"],
    **COURSE,
    **UNIT,
    "paper_bound": _PAPER["paper_bound"],
}
findings = comparisons(_share)
ITEM = Item("table1", bounded(EXTENTS, COLUMNS, findings), entries)
