"""Kuzina & Tomczak (2023), *Discouraging Posterior Collapse in HVAEs Using Context*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023 import defects, figure3, proofs

_MODULES = (figure3, proofs, defects)
ITEMS: Mapping[str, Item] = {module.ITEM.name: module.ITEM for module in _MODULES}
