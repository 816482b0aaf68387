"""What figures 5, 6 and 9 have in common: a photograph by one method, with its three numbers.

Of a learnt model there are three pictures of the same rate: the other latents at temperature 0.1,
as in the paper, at their prior's mean, and, where there is a context, what algorithm 2 makes of it
without any network. What the decoder adds to the context is the difference of two PSNR of one
photograph; its mean over photographs has the standard error of the pairs. How much of a photograph
the quantiser takes is measured against algorithm 2 of frequencies that are not quantised, which are
real numbers and have no rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Picture
from mrvae.data.patches import cut_patches, join_patches
from mrvae.distributions import Bins
from mrvae.evaluation import (
    ImageCodec,
    comparable,
    context_picture,
    ms_ssim,
    psnr,
    sketches,
)
from mrvae.models import HVAE
from mrvae.papers.entries import Entry
from mrvae.papers.kuzina2023.cifar import kept, meaning
from mrvae.papers.outcome import Row, mean, standard_error
from mrvae.resolution import DCT

TEMPERATURE = 0.1
"""Of the latents that are not kept, in the paper."""

SHOWN = 0
"""Which of an entry's versions the paper shows."""

DECODED = 2
"""How many of its versions are a decoder's; the one after these, if any, is algorithm 2's."""


UNWRITTEN = "none"
"""The rate of what is no file."""


@dataclass(frozen=True)
class Version:
    """A photograph as a method gives it back; ``bpp`` is None where nothing can be written."""

    method: str
    rate: str
    bpp: float | None
    psnr: float
    ms_ssim: float | None
    pixels: Tensor

    @property
    def caption(self) -> str:
        """What stands over the picture."""
        rate = "" if self.bpp is None else f"{self.bpp:.3f} bpp, "
        similar = "" if self.ms_ssim is None else f", MS-SSIM {self.ms_ssim:.3f}"
        return f"{self.method}\n{rate}{self.psnr:.2f} dB{similar}"


def learnt(entry: Entry, model: HVAE, picture: Picture) -> list[Version]:
    """Return a photograph from the top latents of a model: as in the paper, and otherwise."""
    drawn, mean = sketches(model, picture, kept(entry), (TEMPERATURE, 0.0))
    pixels = {
        f"{entry.name}, t = {TEMPERATURE}": drawn.pixels,
        f"{entry.name}, t = 0": mean.pixels,
    }
    if model.context.shapes:
        pixels[f"{entry.name}, algorithm 2"] = context_picture(model, picture)
    return [
        _version(name, meaning(entry), drawn.bpp, picture, each) for name, each in pixels.items()
    ]


def by_codec(codec: ImageCodec, picture: Picture, target: float) -> Version:
    """Return a photograph in the codec's file whose PSNR is nearest to ``target`` dB."""
    file = comparable(codec, picture.pixels, target)
    return _version(codec.name, "file", file.bpp, picture, file.picture)


def unquantised(picture: Picture, side: int, size: int) -> Version:
    """Return a photograph of size × size frequencies in each patch of ``side``, not quantised.

    Example:
        >>> ramp = Picture("ramp", (8 * torch.arange(8)).to(torch.uint8).expand(3, 8, 8))
        >>> version = unquantised(ramp, side=8, size=8)
        >>> version.bpp is None, torch.equal(version.pixels, ramp.pixels)
        (True, True)
    """
    dct, bins = DCT(size), Bins(256)
    patches = bins.to_unit(cut_patches(picture.pixels, side), torch.float64)
    levels = bins.to_bin(dct.synthesis(dct.analysis(patches), side, side))
    pixels = join_patches(levels, *picture.pixels.shape[1:])
    return _version(
        f"algorithm 2, {size} × {size}, not quantised", UNWRITTEN, None, picture, pixels
    )


def _version(
    method: str, rate: str, bpp: float | None, picture: Picture, pixels: Tensor
) -> Version:
    x = picture.pixels
    return Version(method, rate, bpp, psnr(x, pixels), ms_ssim(x, pixels), pixels)


def averaged(
    versions: Sequence[Version], matched: str | None, context_only: Sequence[Version] = ()
) -> Row:
    """Return the row of one method over photographs.

    Args:
        versions: every photograph by this method.
        matched: whose PSNR it was to have.
        context_only: the same photographs by algorithm 2, where the method is a decoder above it.

    Example:
        >>> one, two = (Version("JPEG", "file", b, p, None, torch.zeros(3, 1, 1))
        ...             for b, p in ((0.25, 20.0), (0.75, 24.0)))
        >>> row = averaged([one, two], None, context_only=[two, two])
        >>> row["images"], row["bpp"], row["bpp_se"], row["psnr"]
        (2, 0.5, 0.25, 22.0)
        >>> row["decoder_gain"], row["decoder_gain_se"]
        (-2.0, 2.0)
    """
    bpp = [each.bpp for each in versions if each.bpp is not None]
    similar = [each.ms_ssim for each in versions if each.ms_ssim is not None]
    psnr = [each.psnr for each in versions]
    pairs = zip(versions, context_only, strict=True) if context_only else ()
    gains = [decoded.psnr - context.psnr for decoded, context in pairs]
    return {
        "method": versions[0].method,
        "rate": versions[0].rate,
        "matched": matched,
        "images": len(versions),
        "bpp": mean(bpp),
        "bpp_se": standard_error(bpp),
        "psnr": mean(psnr),
        "psnr_se": standard_error(psnr),
        "decoder_gain": mean(gains),
        "decoder_gain_se": standard_error(gains),
        "ms_ssim": mean(similar),
    }
