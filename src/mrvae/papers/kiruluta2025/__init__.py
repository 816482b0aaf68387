"""Kiruluta (2025), *Wavelet-based Variational Autoencoders for High-Resolution Image Generation*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.item import Item
from mrvae.papers.kiruluta2025 import ablation_noise, table1

ITEMS: Mapping[str, Item] = {module.ITEM.name: module.ITEM for module in (table1, ablation_noise)}
