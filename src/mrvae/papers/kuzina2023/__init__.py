"""Kuzina & Tomczak (2023), *Discouraging Posterior Collapse in HVAEs Using Context*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import (
    defects,
    figure1,
    figure3,
    figure4,
    figure5,
    figure6,
    figure9,
    figure10,
    proofs,
    table1,
    table2,
    table3,
    table4,
    table5,
)

_TABLES = (table1, table2, table3, table4, table5)
_FIGURES = (figure1, figure3, figure4, figure5, figure6, figure9, figure10)
ITEMS: Mapping[str, Item] = {
    module.ITEM.name: module.ITEM for module in (proofs, *_TABLES, *_FIGURES, defects)
}
