"""Kuzina & Tomczak (2023), *Discouraging Posterior Collapse in HVAEs Using Context*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import figure1, figure4, table1, table4

_MODULES = (table1, figure1, table4, figure4)
ITEMS: Mapping[str, Item] = {item.name: item for item in (module.ITEM for module in _MODULES)}
