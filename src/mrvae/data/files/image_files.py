"""From an image file to pixels: a grey or RGB picture becomes a uint8 tensor, or is refused.

The tensor holds exactly the values that the file holds, and they are what its own header says, see
:mod:`mrvae.data.files.formats`: a grey picture of 4 bits has values 0 … 15, a PGM file of maxval 16
has 0 … 16. What uint8 grey or RGB cannot hold is refused: 16 bits, transparency, palettes, several
frames, CMYK. Of a JPEG file the values are those that libjpeg decodes. There is no rotation by EXIF
and no colour profile.

Only the header is read first. A picture with more than ``MOST_PIXELS`` is never decoded, and one
whose coded bytes are cut short or damaged, as far as these show it, is refused.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mrvae.data.files.formats import Declared, declare, jpeg, netpbm, png, unread
from mrvae.data.files.formats.declared import MOST_PIXELS, check_pixels
from mrvae.data.files.untrusted import opened

__all__ = [
    "MOST_PIXELS",
    "SUFFIXES",
    "declared",
    "decode",
    "fit",
    "from_tensor",
    "header",
    "read",
    "to_tensor",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
"""Endings of the files that are read as pictures."""

_MOST_BYTES = 1 << 28
_CHANNELS = {"L": 1, "RGB": 3}


def declared(path: Path) -> Declared:
    """Return what a picture's file declares, without decoding it: shape, and largest value.

    Raises ``ValueError`` if it is no picture, or one whose values a uint8 grey or RGB tensor cannot
    hold, or too large.
    """
    with opened(path) as stream:
        return _declared(stream, path)


def header(path: Path) -> tuple[int, int, int]:
    """Return the shape (C, H, W) that a picture's file declares, without decoding it.

    Raises ``ValueError`` as :func:`declared` does.
    """
    return declared(path).shape


def read(path: Path, fit_to: int | None) -> Tensor:
    """Decode a picture's file: uint8 of shape (C, H, W), fitted to a side if one is given.

    Without ``fit_to`` the values are exactly those of the file. Raises ``ValueError`` as
    :func:`declared` does, and if the file is damaged.
    """
    with opened(path) as stream:
        file = _declared(stream, path)
        stream.seek(0)
        picture = _picture(stream, str(path), file)
        if fit_to is None:
            return to_tensor(picture)
        # Bicubic interpolation may exceed the largest value.
        return to_tensor(fit(picture, fit_to)).clamp(max=file.largest)


def decode(picture: Image.Image, name: str, fit_to: int | None) -> Tensor:
    """Decode a picture that Pillow has opened: uint8 (C, H, W), fitted to a side if one is given.

    Raises ``ValueError`` if it is not grey or RGB of 8 bits, has transparency, or is too large.
    """
    check_pixels(name, *picture.size)
    if picture.mode not in _CHANNELS:
        raise unread(name, f"its mode is {picture.mode}")
    if "transparency" in picture.info:
        raise unread(name, "has transparency")
    return to_tensor(picture if fit_to is None else fit(picture, fit_to))


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


def _declared(stream: BinaryIO, path: Path) -> Declared:
    """Return what an opened file declares, if it is not longer than a picture can be."""
    if (length := path.stat().st_size) > _MOST_BYTES:
        raise ValueError(
            f"{path}: has {length:,} bytes; pictures of up to {_MOST_BYTES:,} are read"
        )
    return declare(stream, str(path))


def _picture(stream: BinaryIO, name: str, file: Declared) -> Image.Image:
    """Decode a file to a picture whose values are the file's own."""
    if file.format == "PPM":
        return Image.fromarray(netpbm.values(stream, name))
    if file.format == "PNG":
        png.check(stream, name)
        stream.seek(0)
        picture = _decoded(stream, name, file)
        return picture if file.largest == 255 else Image.fromarray(_levels(picture, file.largest))
    if file.format == "JPEG":
        return _whole_jpeg(stream.read(), name, file)
    return _decoded(stream, name, file)


def _decoded(stream: BinaryIO, name: str, file: Declared) -> Image.Image:
    """Decode by Pillow, and refuse what it takes for something else than the header declares."""
    with Image.open(stream, formats=(file.format,)) as picture:
        picture.load()
    mode = "1" if file.largest == 1 else "L" if file.channels == 1 else "RGB"
    if picture.mode != mode or picture.size != (file.width, file.height):
        raise unread(name, f"decodes to {picture.size} pixels of mode {picture.mode}")
    return picture


def _levels(picture: Image.Image, largest: int) -> NDArray[np.uint8]:
    """Return values 0 … largest of a picture that Pillow has scaled to 0 … 255, or to booleans."""
    if largest == 1:
        return np.array(picture).astype(np.uint8)
    return np.array(picture) // np.uint8(255 // largest)


def _whole_jpeg(data: bytes, name: str, file: Declared) -> Image.Image:
    """Decode a JPEG file of which no scan is too short or too long, as far as can be seen."""
    probes = jpeg.probes(data, name, file.width * file.height)
    # A digest, for two decoded pictures may be more than there is memory for.
    expected = _digest(_decoded(io.BytesIO(probes.padded), name, file))
    picture = _decoded(io.BytesIO(data), name, file)
    if _digest(picture) != expected or (probes.shortened and _decodes(probes.shortened)):
        raise ValueError(f"{name}: cannot be read (a scan is damaged); get the file again")
    return picture


def _decodes(data: bytes) -> bool:
    """Tell whether Pillow finds all pixels in a JPEG file."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            picture.load()
    except OSError:
        return False
    return True


def _digest(picture: Image.Image) -> bytes:
    return hashlib.blake2b(np.asarray(picture).data, digest_size=16).digest()
