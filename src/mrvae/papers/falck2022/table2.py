r"""Table 2 (section 3.2): learning needs the norm of the residual state.

If the state's norm is the model's clock (figure 6), a model whose state is divided by its norm
after every block, on both ways, has none. The paper finds that learning deteriorates after a short
while: 464.68 against 81.69 nats on MNIST, 6.80 against 2.93 and 6.76 against 3.68 bits per
dimension on CIFAR10 and ImageNet32. The paper does not name the models. Ours are those of
figure 5, with which the plain runs are shared; at the published settings ImageNet32 has Child's
model. A run that diverges has a row without a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mrvae.papers.columns import COURSE, ENTRY
from mrvae.papers.compare import comparisons
from mrvae.papers.engine import Columns, Item, bounded
from mrvae.papers.entries import Entry
from mrvae.papers.falck2022 import figure5, table1
from mrvae.papers.outcome import Budget
from mrvae.papers.workspace import Job
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
DEFAULT: dict[Budget, tuple[str, ...]] = {"smoke": ("x1",), "cpu": ("x1",), "paper": _PLAIN}


def entries(budget: Budget) -> list[Entry]:
    """Return each plain model and its normalised twin."""
    every = {entry.name: entry for entry in (*figure5.entries(budget), *table1.entries(budget))}
    return [
        twin
        for name in _PLAIN
        for twin in _twins(replace(every[name], default=name in DEFAULT[budget], bases=()))
    ]


def _twins(plain: Entry) -> Iterator[Entry]:
    yield plain
    changed = override(plain.job.recipe, ["model.normalise=true"])
    job = Job(changed, plain.job.seed, _NORMALISED)
    yield Entry(f"{plain.name}-{_NORMALISED}", job, plain.default, bases=(plain.name,))


COLUMNS: Columns = {
    **ENTRY,
    "normalised": lambda result: bool(result.entry.job.variation),
    **COURSE,
    **table1.UNIT,
    "paper_bound": lambda result: PUBLISHED[
        result.entry.job.recipe.name.split("-")[1], bool(result.entry.job.variation)
    ],
}
findings = comparisons(lambda result, base: f"{base.name}: with the state normalised")
ITEM = Item("table2", bounded(figure5.EXTENTS, COLUMNS, findings), entries)
