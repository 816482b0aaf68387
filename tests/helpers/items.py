"""Items of papers with their findings, which ``Item.work`` leaves out at smoke."""

from __future__ import annotations

from mrvae.papers.engine import Item
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace


def made(item: Item, workspace: Workspace) -> Outcome:
    """Make an item at a workspace's budget, whatever it is."""
    return item.make(workspace, item.entries(workspace.budget))
