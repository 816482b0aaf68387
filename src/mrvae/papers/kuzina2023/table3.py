r"""Tables 3 and 5 (section 5.1, appendix D): bits per dimension on CIFAR-10, with the DCT and not.

Beside the two models table 3 has three of other groups of about the same size; table 5 has more,
VAEs of up to six times as many parameters, and one trained on augmented data. Below the ``paper``
budget ours are the small models of the Kodak experiment, trained on a part of CIFAR-10, and
comparable with one another only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mrvae.papers import columns
from mrvae.papers.columns import COURSE, ENTRY, PARAMETERS, bound
from mrvae.papers.compare import comparisons
from mrvae.papers.engine import Columns, Item, Make, bounded
from mrvae.papers.entries import Entry, by_default
from mrvae.papers.kuzina2023.cifar import cifar
from mrvae.papers.kuzina2023.runs import MEASURED, NO_BASELINE, context_nats, context_size
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace

# Millions of parameters, stochastic depth and bits per dimension, as printed.
_PRINTED = ("paper_size_millions", "paper_depth", "paper_bits")
Others = Sequence[tuple[str, int | None, int, float]]
PUBLISHED: dict[str, Row] = {
    "vdvae": dict(zip(_PRINTED, (21, 29, 3.28), strict=True)),
    "dct": dict(zip(_PRINTED, (22, 29, 3.26), strict=True)),
}
OTHERS: Others = (
    ("OU-VAE", 10, 3, 3.39),
    ("Residual flows", 25, 1, 3.28),
    ("i-DenseNet flows", 25, 1, 3.25),
)
OF_ANY_SIZE: Others = (
    ("Attentive VAE", 119, 16, 2.79),
    ("VDVAE", 39, 45, 2.87),
    *OTHERS,
    ("CR-NVAE, augmented data", 131, 30, 2.51),
    ("NVAE", None, 30, 2.91),
    ("BIVA", 103, 15, 3.08),
    ("GLOW", None, 1, 3.46),
    ("IAF-VAE", None, 12, 3.11),
)
COLUMNS: Columns = {
    **ENTRY,
    **PARAMETERS,
    "depth": columns.depth,
    "context": lambda result: context_size(result.entry),
    **COURSE,
    "importance_samples": bound("importance_samples"),
    "importance_bits_per_dim": bound("importance_bits_per_dim"),
    "context_nats": context_nats,
    **columns.published(PUBLISHED),
}


entries = by_default(cifar, *PUBLISHED)
findings = comparisons(
    lambda result, base: f"{result.name} against no context:", without_base=NO_BASELINE
)
_OURS = bounded(MEASURED, COLUMNS, findings)


def beside(others: Others) -> Make:
    """Return how the table of our models is made, with those that the paper compares with."""

    def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
        ours = _OURS(workspace, entries)
        empty: Row = dict.fromkeys(COLUMNS) if ours.rows else {}
        printed = [
            {**empty, "cell": name, **dict(zip(_PRINTED, numbers, strict=True))}
            for name, *numbers in others
        ]
        return replace(ours, rows=(*ours.rows, *printed))

    return make


ITEM = Item("table3", beside(OTHERS), entries)
TABLE5 = Item("table5", beside(OF_ANY_SIZE), entries)
