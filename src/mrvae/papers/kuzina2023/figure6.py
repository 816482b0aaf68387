"""Figure 6 (section 5.3.2): one photograph, by two latents, by the context alone, and by JPEG.

The paper shows one photograph of Kodak, it does not say which, as VDVAE's top two latents, as
DCT-VAE's context, and as JPEG of a similar PSNR give it back. Ours is the first by file name, with
algorithm 2 alone, and with both settings of JPEG.
"""

from __future__ import annotations

from mrvae.papers.item import Item
from mrvae.papers.kuzina2023.pages import cells, page
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace


def work(workspace: Workspace) -> Outcome:
    """Show the first photograph."""
    return page(workspace, "figure6", 1)


ITEM = Item("figure6", "a photograph from few latents, side by side", work, cells)
