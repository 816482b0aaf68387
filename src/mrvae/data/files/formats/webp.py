"""WebP: size, transparency and animation from its first chunk (RFC 9649)."""

from __future__ import annotations

from typing import BinaryIO

from mrvae.data.files.formats.declared import Declared, check_pixels, exactly, unread

# Its decoder holds four copies of a picture, with four bytes a pixel.
_MOST_PIXELS = 1 << 25
_ANIMATION, _ALPHA = 0x02, 0x10


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a WebP file declares; see :func:`mrvae.data.files.formats.declare`."""
    head = exactly(stream, 30)
    kind, data = head[12:16], head[20:]
    if kind == b"VP8X":
        if data[0] & _ANIMATION:
            raise unread(name, "is an animation of several frames")
        alpha = bool(data[0] & _ALPHA)
        width, height = (1 + int.from_bytes(data[i : i + 3], "little") for i in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        alpha = bool(bits >> 28 & 1)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        alpha = False
        width, height = (int.from_bytes(data[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    else:
        raise ValueError(f"{name}: cannot be read (its first chunk is unknown); get the file again")
    if alpha:
        raise unread(name, "has transparency")
    check_pixels(name, width, height, _MOST_PIXELS)
    return Declared("WEBP", 3, height, width)
