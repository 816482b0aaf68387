"""BMP: bits a pixel, and whether a palette is grey values in their order."""

from __future__ import annotations

import struct
from typing import BinaryIO

from mrvae.data.files.formats.declared import (
    Declared,
    Excess,
    check_pixels,
    exactly,
    unread,
)

_OLD_HEADER = 12


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a BMP file declares; see :func:`mrvae.data.files.formats.declare`."""
    (size,) = struct.unpack("<I", exactly(stream, 18)[14:])
    old = size == _OLD_HEADER
    header = exactly(stream, (_OLD_HEADER if old else 40) - 4)
    width, height, _, bits = struct.unpack("<HHHH" if old else "<iiHH", header[: 8 if old else 12])
    check_pixels(name, width, abs(height))
    if bits == 24:
        return Declared("BMP", 3, abs(height), width)
    if bits == 32:
        excess = ((Excess.ALPHA, "has 32 bits a pixel"),)
        return Declared("BMP", 3, abs(height), width, excess=excess)
    if bits not in (1, 4, 8):
        raise unread(name, f"has {bits} bits a pixel")
    colours = 0 if old else struct.unpack("<I", header[28:32])[0]
    stream.seek(14 + size)
    entry = 3 if old else 4
    palette = exactly(stream, entry * min(colours or 1 << bits, 1 << bits))
    grey = (bytes([i, i, i]) for i in range(len(palette) // entry))
    if bits < 8:
        excess = ((Excess.PALETTE, f"has {bits} bits a pixel"),)
        return Declared("BMP", 3, abs(height), width, excess=excess)
    if any(palette[entry * i : entry * i + 3] != value for i, value in enumerate(grey)):
        excess = ((Excess.PALETTE, "has a palette"),)
        return Declared("BMP", 3, abs(height), width, excess=excess)
    return Declared("BMP", 1, abs(height), width)
