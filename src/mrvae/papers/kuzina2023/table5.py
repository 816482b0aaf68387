r"""Table 5 (appendix D): bits per dimension on CIFAR-10 beside models of any size.

It is table 3 with more of the models that the paper compares with: VAEs of up to six times as many
parameters, and one trained on augmented data.
"""

from __future__ import annotations

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import table3
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace

OTHERS = (
    ("Attentive VAE", 119, 16, 2.79),
    ("VDVAE", 39, 45, 2.87),
    *table3.OTHERS,
    ("CR-NVAE, augmented data", 131, 30, 2.51),
    ("NVAE", None, 30, 2.91),
    ("BIVA", 103, 15, 3.08),
    ("GLOW", None, 1, 3.46),
    ("IAF-VAE", None, 12, 3.11),
)


def work(workspace: Workspace) -> Outcome:
    """Train and measure the baseline and the DCT; they are those of table 3."""
    return table3.tabled(workspace, OTHERS)


ITEM = Item("table5", "table 3 beside models of any size", work, table3.cells)
