"""Figures 6 and 9 (section 5.3.2, appendix G): photographs from few latents, side by side.

Figure 6 of the paper shows one photograph of Kodak, not named, as VDVAE's top two latents, as
DCT-VAE's context, and as JPEG of a similar PSNR reconstruct it; figure 9 a page of reconstructions
that are not cherry-picked, with PSNR, MS-SSIM and bits per pixel. Ours are the first by file name,
and the first six, with algorithm 2 on its own, and with both settings of JPEG.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from mrvae.data import Picture
from mrvae.evaluation import LOSSY
from mrvae.models import HVAE
from mrvae.papers.engine import Item, Make
from mrvae.papers.entries import Entry, by_default, chosen
from mrvae.papers.kuzina2023 import kodak
from mrvae.papers.kuzina2023.cifar import cifar, pictures, trained_on
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace

CODECS = ("JPEG 4:4:4", "JPEG optimised")
_WIDTH = 3.0


entries = by_default(cifar, "vdvae", "dct-explicit")


def page(name: str, count: int) -> Make:
    """Return how a page is made: the first ``count`` photographs by each model, and by JPEG."""

    def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
        asked = chosen(entries, workspace.only)
        for entry in asked:
            workspace.trained(entry.job)
        models = [(entry, workspace.model(entry.job)) for entry in asked]
        photographs = pictures(workspace, count)
        shown = [_versions(models, picture) for picture in photographs]
        rows = [
            _row(p, v) for p, versions in zip(photographs, shown, strict=True) for v in versions
        ]
        names = ", ".join(picture.name for picture in photographs)
        findings = [f"the first by file name, none chosen: {names}", trained_on(asked)]
        return Outcome(rows, findings, {name: figure(photographs, shown)})

    return make


def _versions(models: Sequence[tuple[Entry, HVAE]], picture: Picture) -> list[kodak.Version]:
    """Return a photograph by every model, and by JPEG at the PSNR of the last one."""
    found = [version for entry, model in models for version in _of_model(entry, model, picture)]
    target = found[-1].psnr
    return found + [
        kodak.by_codec(codec, picture, target) for codec in LOSSY if codec.name in CODECS
    ]


def _of_model(entry: Entry, model: HVAE, picture: Picture) -> list[kodak.Version]:
    """Return the picture as in the paper, and where there is a context, without the network."""
    drawn, _, *without_network = kodak.learnt(entry, model, picture)
    return [*without_network, drawn]


def _row(picture: Picture, version: kodak.Version) -> Row:
    return {
        "picture": picture.name,
        "method": version.method,
        "rate": version.rate,
        "bpp": version.bpp,
        "psnr": version.psnr,
        "ms_ssim": version.ms_ssim,
    }


def figure(photographs: Sequence[Picture], shown: Sequence[Sequence[kodak.Version]]) -> Figure:
    """Draw each photograph and its versions in a row."""
    columns = 1 + len(shown[0])
    size = (_WIDTH * columns, _WIDTH * len(shown))
    drawing = Figure(figsize=size, dpi=120, layout="constrained")
    grid = drawing.subplots(len(shown), columns, squeeze=False)
    for places, picture, versions in zip(grid, photographs, shown, strict=True):
        captions = [picture.name, *(version.caption for version in versions)]
        pixels = [picture.pixels, *(version.pixels for version in versions)]
        for axes, caption, each in zip(places, captions, pixels, strict=True):
            axes.imshow(each.permute(1, 2, 0).numpy())
            axes.set_title(caption, fontsize=7)
            axes.set_axis_off()
    return drawing


FIGURE6 = Item("figure6", page("figure6", 1), entries)
FIGURE9 = Item("figure9", page("figure9", 6), entries)
