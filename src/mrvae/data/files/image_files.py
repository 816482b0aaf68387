"""From an image file to pixels: a grey or RGB picture becomes a uint8 tensor, or is refused.

First only the header of a picture is read, which must name a known format, 8 bits a channel, and no
more pixels than ``MOST_PIXELS``; only then is it decoded. Pixels are taken as stored: no rotation
by EXIF, no colour profile.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mrvae.data.files.untrusted import reading

MOST_PIXELS = 1 << 26
"""Pixels that one picture may have (8192 × 8192)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
"""Endings of the files that are read as pictures."""

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TIFF")
_CHANNELS = {"L": 1, "RGB": 3}


def header(path: Path) -> tuple[int, int, int]:
    """Return the shape (C, H, W) that a picture's file declares, without decoding it.

    Raises ``ValueError`` if it is no picture, or not grey or RGB of 8 bits, or too large.
    """
    with reading(path), Image.open(path, formats=_FORMATS) as picture:
        return shape(picture, str(path))


def read(path: Path, fit_to: int | None) -> Tensor:
    """Decode a picture's file: uint8 of shape (C, H, W), fitted to a side if one is given.

    Raises ``ValueError`` as :func:`header` does, and if the file is damaged.
    """
    with reading(path), Image.open(path, formats=_FORMATS) as picture:
        return decode(picture, str(path), fit_to)


def decode(picture: Image.Image, name: str, fit_to: int | None) -> Tensor:
    """Decode an opened picture: uint8 of shape (C, H, W), fitted to a side if one is given.

    Raises ``ValueError`` as :func:`shape` does.
    """
    shape(picture, name)
    return to_tensor(picture if fit_to is None else fit(picture, fit_to))


def shape(picture: Image.Image, name: str) -> tuple[int, int, int]:
    """Return (C, H, W) of an opened picture.

    Raises ``ValueError`` if it is not grey or RGB of 8 bits, or has more than ``MOST_PIXELS``.
    """
    width, height = picture.size
    if picture.mode not in _CHANNELS:
        raise ValueError(
            f"{name}: its mode is {picture.mode}; convert it to 8-bit grey (L) or RGB, "
            "without palette or transparency"
        )
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(f"{name}: has {width}×{height} pixels; at most {MOST_PIXELS:,} are read")
    return _CHANNELS[picture.mode], height, width


def fit(picture: Image.Image, side: int) -> Image.Image:
    """Resize the shorter side to ``side``, bicubic with antialiasing, and crop the centre square.

    Only the square is computed, so a long strip asks for no more memory. Raises
    ``ValueError`` for side < 1.
    """
    if side < 1:
        raise ValueError(f"side is {side}; images are fitted to at least 1 pixel")
    width, height = picture.size
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    square = (left, top, left + edge, top + edge)
    return picture.resize((side, side), Image.Resampling.BICUBIC, box=square)


def to_tensor(picture: Image.Image) -> Tensor:
    """Return a grey or RGB picture as uint8 of shape (C, H, W)."""
    image = torch.from_numpy(np.array(picture, dtype=np.uint8))
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


def from_tensor(image: Tensor) -> Image.Image:
    """Return uint8 of shape (C, H, W), with C = 1 or 3, as a grey or RGB picture."""
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if len(image) == 1 else array))
