"""What a picture's file declares, read from its own header, format by format.

A decoder may reduce what a file holds without a word: 16 bits to 8, several frames to the first,
levels 0 … 15 to 0, 17, …, 255. So depth, transparency, palette, frames and colour space are read
from the file here, before any decoder sees it.
"""

from __future__ import annotations

from typing import BinaryIO

from mrvae.data.files.formats import bmp, jpeg, netpbm, png, tiff, webp
from mrvae.data.files.formats.declared import Declared, Excess, unread

__all__ = ["Declared", "Excess", "declare", "unread"]

_LONGEST_MAGIC = 12


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a picture's file declares, without decoding it.

    ``excess`` of the result has what a uint8 grey or RGB image cannot hold. Raises ``ValueError``
    that begins with ``name`` if the picture is of no known format, or no conversion is known.

    Example:
        >>> import io
        >>> declare(io.BytesIO(b"P5 3 2 16 ......"), "grey.pgm")
        Declared(format='PPM', channels=1, height=2, width=3, largest=16, orientation=1, excess=())

    """
    magic = stream.read(_LONGEST_MAGIC)
    stream.seek(0)
    if magic.startswith(png.MAGIC):
        return png.declare(stream, name)
    if magic.startswith(jpeg.MAGIC):
        return jpeg.declare(stream, name)
    if magic[:1] == b"P" and magic[1:2].isdigit():
        return netpbm.declare(stream, name)
    if magic.startswith(b"BM"):
        return bmp.declare(stream, name)
    if magic[:4] in tiff.MAGICS:
        return tiff.declare(stream, name)
    if magic[:4] == b"RIFF" and magic[8:] == b"WEBP":
        return webp.declare(stream, name)
    if len(magic) < _LONGEST_MAGIC:
        raise ValueError(f"{name}: cannot be read (it has {len(magic)} bytes); get the file again")
    raise ValueError(
        f"{name}: cannot be read (it begins as no PNG, JPEG, BMP, WebP, PGM, PPM or TIFF file "
        "does); convert it to one of these, or move it away"
    )
