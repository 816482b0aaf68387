r"""Table 2 (section 3.2): learning needs the norm of the residual state.

If the state's norm is the model's clock (figure 6), a model whose state is divided by its norm
after every block, on both ways, has none. The paper finds that learning deteriorates after a short
while: 464.68 against 81.69 nats on MNIST, 6.80 against 2.93 and 6.76 against 3.68 bits per
dimension on CIFAR10 and ImageNet32. Which models these were it does not say. Ours are those of
figure 5, with which the plain runs are shared; at the published settings ImageNet32 has Child's
model. A run that diverges has a row without a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mrvae.papers.entries import Entry, Result, compared, result
from mrvae.papers.falck2022 import figure5, table1
from mrvae.papers.item import Item
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import override

_NORMALISED = "normalised"
PUBLISHED = {
    ("mnist", False): 81.69,
    ("mnist", True): 464.68,
    ("cifar10", False): 2.93,
    ("cifar10", True): 6.80,
    ("imagenet32", False): 3.68,
    ("imagenet32", True): 6.76,
}
_PLAIN = ("x1", "r5", "cifar10-x1", "imagenet32-vdvae")
DEFAULT: dict[Budget, tuple[str, ...]] = {
    "smoke": ("x1",),
    "cpu": ("x1",),
    "paper": ("x1", "r5", "cifar10-x1", "imagenet32-vdvae"),
}


def cells(budget: Budget) -> list[Entry]:
    """Return each plain model and its normalised twin."""
    every = {cell.name: cell for cell in (*figure5.cells(budget), *table1.cells(budget))}
    return [
        twin
        for name in _PLAIN
        for twin in _twins(replace(every[name], default=name in DEFAULT[budget]))
    ]


def _twins(plain: Entry) -> Iterator[Entry]:
    yield plain
    changed = override(plain.job.recipe, ["model.normalise=true"])
    job = Job(changed, plain.job.seed, _NORMALISED)
    yield Entry(f"{plain.name}-{_NORMALISED}", job, plain.default)


def work(workspace: Workspace) -> Outcome:
    """Train and measure both of each pair."""
    found = result(workspace, cells(workspace.budget), limit=figure5.PLANS[workspace.budget].limit)
    return Outcome(tuple(_row(one) for one in found), tuple(findings(found)))


def _row(one: Result) -> Row:
    normalised = bool(one.cell.job.variation)
    recipe = one.cell.job.recipe
    binary = recipe.data.binary
    return {
        "cell": one.cell.name,
        "normalised": normalised,
        **one.course(),
        "unit": "nats" if binary else "bits/dim",
        "bound": one.measure("nats" if binary else "bits_per_dim"),
        "paper_bound": PUBLISHED[recipe.name.split("-")[1], normalised],
    }


def findings(found: Sequence[Result]) -> list[str]:
    """Compare each normalised model with its twin, at equal steps."""
    by_name = {one.cell.name: one for one in found}
    said = []
    for name, plain in by_name.items():
        twin = by_name.get(f"{name}-{_NORMALISED}")
        if twin is not None:
            said.append(f"{name}: with the state normalised {compared(twin, plain)}")
    return said


ITEM = Item("table2", "bounds with the residual state normalised, and without", work, cells)
