"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets with Applications to HVAEs*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.falck2022 import figure1, figure5, figure6, figure7, table1
from mrvae.papers.item import Item

ITEMS: Mapping[str, Item] = {
    each.ITEM.name: each.ITEM for each in (table1, figure1, figure5, figure6, figure7)
}
