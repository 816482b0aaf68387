"""What figures 5, 6 and 9 have in common: a photograph by one method, with its three numbers.

Of a learnt model there are three pictures of the same rate: the other latents at temperature 0.1,
as in the paper, at their prior's mean, and, where there is a context, what algorithm 2 makes of it
without any network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from mrvae.papers.kuzina2023.cifar import kept, meaning
from mrvae.papers.outcome import Row

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.data import Picture
    from mrvae.evaluation import Codec
    from mrvae.models import HVAE
    from mrvae.papers.cells import Cell

TEMPERATURE = 0.1
"""Of the latents that are not kept, in the paper."""

SHOWN = 0
"""Which of a cell's versions the paper shows."""


@dataclass(frozen=True)
class Version:
    """A photograph as a method gives it back."""

    method: str
    rate: str
    bpp: float
    psnr: float
    ms_ssim: float | None
    pixels: Tensor

    @property
    def caption(self) -> str:
        """What stands over the picture."""
        similar = "" if self.ms_ssim is None else f", MS-SSIM {self.ms_ssim:.3f}"
        return f"{self.method}\n{self.bpp:.3f} bpp, {self.psnr:.2f} dB{similar}"


def learnt(cell: Cell, model: HVAE, picture: Picture) -> list[Version]:
    """Return a photograph as the top of a model tells it: as in the paper, and otherwise."""
    from mrvae.evaluation import context_picture, sketches

    drawn, mean = sketches(model, picture, kept(cell), (TEMPERATURE, 0.0))
    pixels = {
        f"{cell.name}, t = {TEMPERATURE}": drawn.pixels,
        f"{cell.name}, t = 0": mean.pixels,
    }
    if model.top.shapes:
        pixels[f"{cell.name}, algorithm 2"] = context_picture(model, picture)
    return [
        _version(name, meaning(cell), drawn.bpp, picture, each) for name, each in pixels.items()
    ]


def by_codec(codec: Codec, picture: Picture, target: float) -> Version:
    """Return a photograph in the codec's file whose PSNR is nearest to ``target`` dB."""
    from mrvae.evaluation import comparable

    file = comparable(codec, picture.pixels, target)
    return _version(codec.name, "file", file.bpp, picture, file.picture)


def _version(method: str, rate: str, bpp: float, picture: Picture, pixels: Tensor) -> Version:
    from mrvae.evaluation import ms_ssim, psnr

    x = picture.pixels
    return Version(method, rate, bpp, psnr(x, pixels), ms_ssim(x, pixels), pixels)


def averaged(versions: Sequence[Version], matched: str | None) -> Row:
    """Return the row of one method over photographs; ``matched`` names whose PSNR it was to have.

    Example:
        >>> import torch
        >>> one, two = (Version("JPEG", "file", b, p, None, torch.zeros(3, 1, 1))
        ...             for b, p in ((0.25, 20.0), (0.75, 24.0)))
        >>> row = averaged([one, two], None)
        >>> row["images"], row["bpp"], row["bpp_se"], row["psnr"]
        (2, 0.5, 0.25, 22.0)
    """
    similar = [each.ms_ssim for each in versions if each.ms_ssim is not None]
    bpp, psnr = ([each.bpp for each in versions], [each.psnr for each in versions])
    return {
        "method": versions[0].method,
        "rate": versions[0].rate,
        "matched": matched,
        "images": len(versions),
        "bpp": fmean(bpp),
        "bpp_se": _error(bpp),
        "psnr": fmean(psnr),
        "psnr_se": _error(psnr),
        "ms_ssim": fmean(similar) if similar else None,
    }


def _error(values: Sequence[float]) -> float | None:
    """Return the standard error of a mean; None of one value."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
