"""Kuzina & Tomczak (2023), *Discouraging Posterior Collapse in HVAEs Using Context*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import (
    defects,
    figure1,
    figure3,
    figure4,
    figure10,
    proofs,
    table1,
    table2,
    table4,
)

_MODULES = (proofs, table1, figure1, table2, figure3, table4, figure4, figure10, defects)
ITEMS: Mapping[str, Item] = {module.ITEM.name: module.ITEM for module in _MODULES}
