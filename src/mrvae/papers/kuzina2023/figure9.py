"""Figure 9 (appendix G): a page of photographs from few latents, none of them chosen.

The paper's page has reconstructions that are not cherry-picked, with PSNR, MS-SSIM and bits per
pixel. Here they are the first six by file name.
"""

from __future__ import annotations

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023.pages import cells, page
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace

_COUNT = 6


def work(workspace: Workspace) -> Outcome:
    """Show the first six photographs."""
    return page(workspace, "figure9", _COUNT)


ITEM = Item("figure9", "a page of photographs from few latents, none chosen", work, cells)
