"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets with Applications to HVAEs*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.falck2022 import figure5
from mrvae.papers.item import Item

ITEMS: Mapping[str, Item] = {item.name: item for item in (figure5.ITEM,)}
