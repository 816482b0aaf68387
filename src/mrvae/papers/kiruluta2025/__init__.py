"""Kiruluta (2025), *Wavelet-based VAEs for High-Resolution Image Generation*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025 import ablation_noise, families, figure1, figure2, kl, table1

_MODULES = (table1, ablation_noise, figure1, figure2, families, kl)
ITEMS: Mapping[str, Item] = {module.ITEM.name: module.ITEM for module in _MODULES}
