"""Photographs side by side, a row for each of them: figures 6 and 9."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mrvae.papers.entries import Entry, chosen
from mrvae.papers.kuzina2023 import kodak
from mrvae.papers.kuzina2023.cifar import cifar, pictures, trained_on
from mrvae.papers.outcome import Budget, Outcome, Row
from mrvae.papers.workspace import Workspace

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mrvae.data import Picture
    from mrvae.models import HVAE

CODECS = ("JPEG 4:4:4", "JPEG optimised")
_DEFAULT = ("vdvae", "dct-explicit")
_WIDTH = 3.0


def cells(budget: Budget) -> list[Entry]:
    """Return the models of the experiment, the two that the pages show by default."""
    from mrvae.papers.entries import with_defaults

    return with_defaults(cifar(budget), _DEFAULT)


def page(workspace: Workspace, item: str, count: int) -> Outcome:
    """Show the first ``count`` photographs by each model, and by JPEG at the last one's PSNR."""
    asked = chosen(cells(workspace.budget), workspace.only)
    for cell in asked:
        workspace.trained(cell.job)
    models = [(cell, workspace.model(cell.job)) for cell in asked]
    photographs = pictures(workspace, count)
    shown = [_versions(models, each) for each in photographs]
    rows = tuple(_row(p, v) for p, each in zip(photographs, shown, strict=True) for v in each)
    said = (*_findings(rows), trained_on(asked))
    return Outcome(rows, said, {item: figure(photographs, shown)})


def _versions(models: Sequence[tuple[Entry, HVAE]], picture: Picture) -> list[kodak.Version]:
    """Return a photograph by every method, in the order of the page."""
    from mrvae.evaluation import LOSSY

    found = [version for cell, model in models for version in _of_model(cell, model, picture)]
    target = found[-1].psnr
    return found + [
        kodak.by_codec(codec, picture, target) for codec in LOSSY if codec.name in CODECS
    ]


def _of_model(cell: Entry, model: HVAE, picture: Picture) -> list[kodak.Version]:
    """Return the picture as in the paper, and where there is a context, without the network."""
    drawn, _, *alone = kodak.learnt(cell, model, picture)
    return [*alone, drawn]


def _row(picture: Picture, version: kodak.Version) -> Row:
    return {
        "picture": picture.name,
        "method": version.method,
        "rate": version.rate,
        "bpp": version.bpp,
        "psnr": version.psnr,
        "ms_ssim": version.ms_ssim,
    }


def _findings(rows: Sequence[Row]) -> tuple[str, ...]:
    names = dict.fromkeys(str(row["picture"]) for row in rows)
    return (f"the first by file name, none chosen: {', '.join(names)}",)


def figure(photographs: Sequence[Picture], shown: Sequence[Sequence[kodak.Version]]) -> Figure:
    """Draw each photograph and its versions in a row."""
    from matplotlib.figure import Figure

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
