"""WebP: size, transparency and animation from its first chunk, and EXIF (RFC 9649)."""

from __future__ import annotations

from typing import BinaryIO

from mrvae.data.files.formats.declared import Declared, Excess, check_pixels, exactly
from mrvae.data.files.formats.tiff import exif_orientation

# Its decoder holds four copies of a picture, with four bytes a pixel.
_MOST_PIXELS = 1 << 25
_ANIMATION, _EXIF, _ALPHA = 0x02, 0x08, 0x10
_MOST_CHUNKS = 10_000
_LONGEST_EXIF = 1 << 16


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a WebP file declares; see :func:`mrvae.data.files.formats.declare`."""
    head = exactly(stream, 30)
    kind, data = head[12:16], head[20:]
    orientation, animated = 1, False
    if kind == b"VP8X":
        animated = bool(data[0] & _ANIMATION)
        orientation = _orientation(stream) if data[0] & _EXIF else 1
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
    check_pixels(name, width, height, _MOST_PIXELS)
    excess = []
    if animated:
        excess.append((Excess.SEVERAL, "is an animation of several frames"))
    if alpha:
        excess.append((Excess.ALPHA, "has transparency"))
    return Declared("WEBP", 3, height, width, 255, orientation, tuple(excess))


def _orientation(stream: BinaryIO) -> int:
    """Return the orientation of the first EXIF chunk, 1 without one."""
    place = 12
    for _ in range(_MOST_CHUNKS):
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"EXIF":
            return exif_orientation(stream.read(min(length, _LONGEST_EXIF)))
        place += 8 + length + length % 2
    return 1
