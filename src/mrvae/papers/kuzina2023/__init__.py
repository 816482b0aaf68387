"""Kuzina & Tomczak (2023), *Discouraging Posterior Collapse in HVAEs Using Context*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import figure5, figure6, figure9

_MODULES = (figure5, figure6, figure9)
ITEMS: Mapping[str, Item] = {item.name: item for item in (module.ITEM for module in _MODULES)}
