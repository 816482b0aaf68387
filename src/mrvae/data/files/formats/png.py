"""PNG: depth, colour type, transparency and frames from its chunks (ISO/IEC 15948).

After eight fixed bytes a file is a sequence of chunks: length, type, data, CRC of type and data.
``IHDR`` comes first. A ``tRNS`` chunk makes a colour or an opacity transparent, and ``acTL`` makes
the file an animation. ``eXIf`` has the orientation, and may follow the pixels in ``IDAT``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from mrvae.data.files.formats.declared import Declared, Excess, check_pixels, exactly, unread
from mrvae.data.files.formats.tiff import exif_orientation

MAGIC = b"\x89PNG\r\n\x1a\n"

_MOST_CHUNKS = 100_000
_LONGEST_EXIF = 1 << 16
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGB_ALPHA: (8, 16),
}


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a PNG file declares; see :func:`mrvae.data.files.formats.declare`."""
    declared: Declared | None = None
    pixels = False
    for kind, length in _chunks(stream, name):
        if declared is None:
            if kind != b"IHDR" or length != 13:
                raise ValueError(f"{name}: is no PNG file, for it lacks IHDR; get the file again")
            declared = _declared(exactly(stream, length), name)
        elif kind == b"tRNS" and not declared.has(Excess.ALPHA):
            declared = _with(declared, Excess.ALPHA, "has transparency (a tRNS chunk)")
            if declared.channels == 3 and declared.has(Excess.DEEP):
                # The decoder drops the bits by which the transparent colour is known.
                raise unread(name, "has 16 bits a channel and a transparent colour")
        elif kind == b"acTL":
            (frames,) = struct.unpack(">I", exactly(stream, length)[:4])
            declared = _with(declared, Excess.SEVERAL, f"is an animation of {frames:,} frames")
        elif kind == b"eXIf" and length <= _LONGEST_EXIF:
            declared = replace(declared, orientation=exif_orientation(exactly(stream, length)))
        pixels |= kind == b"IDAT"
    if declared is None or not pixels:
        raise ValueError(f"{name}: cannot be read (it holds no pixels); get the file again")
    return declared


def check(stream: BinaryIO, name: str) -> None:
    """Compare every chunk with its CRC.

    Raises ``ValueError`` if one differs, or there are very many chunks.
    """
    for kind, length in _chunks(stream, name):
        crc = zlib.crc32(exactly(stream, length), zlib.crc32(kind))
        if exactly(stream, 4) != struct.pack(">I", crc):
            raise ValueError(
                f"{name}: cannot be read (its chunk {kind.decode('latin-1')!r} is damaged); "
                "get the file again"
            )


def _declared(header: bytes, name: str) -> Declared:
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    if depth not in _DEPTHS.get(colour, ()):
        raise ValueError(
            f"{name}: cannot be read (depth {depth}, colour type {colour}); get the file again"
        )
    check_pixels(name, width, height)
    channels = 1 if colour in (_GREY, _GREY_ALPHA) else 3
    largest = 255 if colour == _PALETTE else (1 << depth) - 1
    declared = Declared("PNG", channels, height, width, largest)
    if depth == 16:
        declared = _with(declared, Excess.DEEP, "has 16 bits a channel")
    if colour == _PALETTE:
        declared = _with(declared, Excess.PALETTE, "has a palette")
    if colour in (_GREY_ALPHA, _RGB_ALPHA):
        declared = _with(declared, Excess.ALPHA, "has transparency")
    return declared


def _with(declared: Declared, excess: Excess, words: str) -> Declared:
    return replace(declared, excess=(*declared.excess, (excess, words)))


def _chunks(stream: BinaryIO, name: str) -> Iterator[tuple[bytes, int]]:
    """Yield type and length of each chunk, with the stream at the chunk's data."""
    place = len(MAGIC)
    for _ in range(_MOST_CHUNKS):
        stream.seek(place)
        length, kind = struct.unpack(">I4s", exactly(stream, 8))
        yield kind, length
        if kind == b"IEND":
            return
        place += length + 12
    raise ValueError(f"{name}: has more than {_MOST_CHUNKS:,} chunks; save it again")
