r"""Table 3 (section 5.1): bits per dimension on CIFAR-10, with the DCT and without.

Beside the two models the paper has three of other groups of about the same size; table 5 of its
appendix has larger ones, too. Below the ``paper`` budget ours are the small models of the Kodak
experiment, trained on a part of CIFAR-10, and comparable with one another alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers.entries import Entry, Result, compared, result, with_defaults
from mrvae.papers.item import Item
from mrvae.papers.kuzina2023.cifar import cifar
from mrvae.papers.kuzina2023.figure3 import context_nats
from mrvae.papers.kuzina2023.runs import MEASURED, context_size
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace

PUBLISHED = {"vdvae": 3.28, "dct": 3.26}
OTHERS = (
    ("OU-VAE", 10, 3, 3.39),
    ("Residual flows", 25, 1, 3.28),
    ("i-DenseNet flows", 25, 1, 3.25),
)


def cells(budget: Budget) -> list[Entry]:
    """Return the models of the Kodak experiment, the baseline and the DCT by default."""
    return with_defaults(cifar(budget), tuple(PUBLISHED))


def work(workspace: Workspace) -> Outcome:
    """Train and measure the baseline and the DCT."""
    return tabled(workspace, OTHERS)


def tabled(workspace: Workspace, others: Sequence[tuple[str, int | None, int, float]]) -> Outcome:
    """Return the table of our models, and of those that the paper compares with."""
    plan = MEASURED[workspace.budget]
    found = result(workspace, cells(workspace.budget), samples=plan.samples, limit=plan.limit)
    rows = [_row(one) for one in found]
    empty: Row = dict.fromkeys(rows[0]) if rows else {}
    published = [
        {
            **empty,
            "cell": name,
            "paper_size_millions": size,
            "paper_depth": depth,
            "paper_bits": bits,
        }
        for name, size, depth, bits in others
    ]
    return Outcome((*rows, *published), tuple(findings(found)))


def _row(one: Result) -> Row:
    ours = one.cell.name in PUBLISHED
    return {
        "cell": one.cell.name,
        "parameters": one.cost.parameters,
        "depth": one.cost.stochastic_depth,
        "context": context_size(one.cell),
        **one.course(),
        "importance_samples": one.measure("importance_samples"),
        "importance_bits_per_dim": one.measure("importance_bits_per_dim"),
        "context_nats": context_nats(one),
        "paper_size_millions": {"vdvae": 21, "dct": 22}.get(one.cell.name),
        "paper_depth": 29 if ours else None,
        "paper_bits": PUBLISHED.get(one.cell.name),
    }


def findings(found: Sequence[Result]) -> list[str]:
    """Compare each context with none, by −ELBO over the same images."""
    baseline = next((one for one in found if one.cell.name == "vdvae"), None)
    if baseline is None:
        return ["the model without a context is not finished; nothing to compare"]
    return [
        f"{one.cell.name} against no context: {compared(one, baseline)}"
        for one in found
        if one is not baseline
    ]


ITEM = Item("table3", "bits per dimension on CIFAR-10, with a context and without", work, cells)
