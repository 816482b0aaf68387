"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets with Applications to HVAEs*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.falck2022 import ablations, figure1, figure5, figure6, figure7, table1, table2
from mrvae.papers.item import Item

_MODULES = (table1, table2, figure1, figure5, figure6, figure7, ablations)
ITEMS: Mapping[str, Item] = {module.ITEM.name: module.ITEM for module in _MODULES}
