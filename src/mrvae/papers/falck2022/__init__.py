"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets with Applications to HVAEs*."""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers.falck2022 import ablations, figure1, figure5, figure6, figure7, table1, table2
from mrvae.papers.item import Item
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace


def _theory(workspace: Workspace) -> Outcome:
    # The checks are made of tensors; a list of items is not.
    from mrvae.papers.falck2022.theory import theory

    return theory(workspace.budget, workspace.say)


_THEORY = Item("theory", "definitions and theorems as checks, each failing when it should", _theory)
_MODULES = (table1, table2, figure1, figure5, figure6, figure7, ablations)
ITEMS: Mapping[str, Item] = {
    item.name: item for item in (_THEORY, *(module.ITEM for module in _MODULES))
}
