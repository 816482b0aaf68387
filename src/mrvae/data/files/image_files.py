"""From an image file to pixels: a grey or RGB picture becomes a uint8 tensor, or is refused.

Without a request, the tensor holds exactly the values that the file holds, and they are what its
own header says, see :mod:`mrvae.data.files.formats`: a grey picture of 4 bits has values 0 … 15, a
PGM file of maxval 16 has 0 … 16. What uint8 grey or RGB cannot hold is refused: 16 bits,
transparency, palettes, several frames, CMYK; and the pixels are in the order in which they are
stored. Of a JPEG file the values are those that libjpeg decodes. There is no colour profile.

The pictures of a data set are upright, and converted where a recipe asks for it, see
:mod:`mrvae.data.files.conversion`.

Only the header is read first. A picture with more than ``MOST_PIXELS`` is never decoded, and one
whose coded bytes are cut short or damaged, as far as these show it, is refused.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from torch import Tensor

from mrvae.data.files.conversion import (
    Conversion,
    Levels,
    Values,
    from_pillow,
    to_tensor,
    turned_back,
    unpacked,
)
from mrvae.data.files.formats import Declared, declare, jpeg, netpbm, png, unread
from mrvae.data.files.formats.declared import MOST_PIXELS, check_pixels
from mrvae.data.files.untrusted import opened

__all__ = [
    "MOST_PIXELS",
    "SUFFIXES",
    "declared",
    "decode",
    "examined",
    "from_tensor",
    "header",
    "read",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
"""Endings of the files that are read as pictures."""

_MOST_BYTES = 1 << 28
_MODES = ("1", "L", "LA", "La", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B")


def examined(path: Path) -> Declared:
    """Return what a picture's file declares, without decoding it.

    Raises ``ValueError`` if it is no picture, one of a kind that is never converted, or too large.
    """
    with opened(path) as stream:
        return _declared(stream, path)


def declared(path: Path) -> Declared:
    """Return what a picture's file declares, without decoding it: shape, and largest value.

    Raises ``ValueError`` as :func:`examined` does, and if the picture's values are not those of a
    uint8 grey or RGB tensor.
    """
    with opened(path) as stream:
        return _exact(_declared(stream, path), path)


def header(path: Path) -> tuple[int, int, int]:
    """Return the shape (C, H, W) that a picture's file declares, without decoding it.

    Raises ``ValueError`` as :func:`declared` does.
    """
    return declared(path).shape


def read(path: Path, conversion: Conversion | None) -> Tensor:
    """Decode a picture's file: uint8 of shape (C, H, W), converted as it is asked for.

    Without ``conversion`` the values are exactly those of the file, as they are stored there.
    Raises ``ValueError`` as :func:`declared` does, and if the file is damaged.
    """
    with opened(path) as stream:
        file = _declared(stream, path)
        obstacles = () if conversion is None else conversion.obstacles(file)
        if conversion is None:
            _exact(file, path)
        elif obstacles:
            raise unread(str(path), obstacles[0])
        stream.seek(0)
        values, opacity = _values(stream, str(path), file)
        if conversion is None:
            return to_tensor(values.astype(np.uint8, copy=False))
        return conversion.image(values, opacity, file)


def decode(picture: Image.Image, name: str, conversion: Conversion) -> Tensor:
    """Decode a picture that Pillow has opened: uint8 (C, H, W), converted as it is asked for.

    Raises ``ValueError`` if it is not grey or RGB of 8 bits and is not to be converted, or too
    large.
    """
    check_pixels(name, *picture.size)
    file = from_pillow(picture, name)
    if obstacles := conversion.obstacles(file):
        raise unread(name, obstacles[0])
    return conversion.image(*unpacked(picture, file), file)


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


def _exact(file: Declared, path: Path) -> Declared:
    """Refuse a picture whose values are not those of a uint8 grey or RGB tensor."""
    if file.excess:
        raise unread(str(path), file.excess[0][1])
    return file


def _values(stream: BinaryIO, name: str, file: Declared) -> tuple[Values, Levels | None]:
    """Decode a file to its own values, and its opacity if it has any."""
    if file.format == "PPM":
        return netpbm.values(stream, name), None
    if file.format == "PNG":
        png.check(stream, name)
        stream.seek(0)
    if file.format == "JPEG":
        return unpacked(_whole_jpeg(stream.read(), name, file), file)
    return unpacked(_decoded(stream, name, file), file)


def _decoded(stream: BinaryIO, name: str, file: Declared) -> Image.Image:
    """Decode by Pillow, and refuse what it takes for something else than the header declares."""
    with Image.open(stream, formats=(file.format,)) as opened_picture:
        opened_picture.load()
    # Pillow turns TIFF files, and no others.
    turn = file.orientation if file.format == "TIFF" else 1
    picture = turned_back(opened_picture, turn)
    mode = "1" if file.largest == 1 else "L" if file.channels == 1 else "RGB"
    expected = _MODES if file.excess else (mode,)
    if picture.mode not in expected or picture.size != (file.width, file.height):
        raise unread(name, f"decodes to {picture.size} pixels of mode {picture.mode}")
    return picture


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
