"""PNG: depth, colour type, transparency and frames from its chunks (ISO/IEC 15948).

After eight fixed bytes a file is a sequence of chunks: length, type, data, CRC of type and data.
``IHDR`` comes first. A ``tRNS`` chunk makes a colour or an opacity transparent, and ``acTL`` makes
the file an animation; both precede the pixels in ``IDAT``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from mrvae.data.files.formats.declared import Declared, check_pixels, exactly, unread

MAGIC = b"\x89PNG\r\n\x1a\n"

_MOST_CHUNKS = 100_000
_GREY, _RGB = 0, 2
_REFUSED_COLOURS = {3: "has a palette", 4: "has transparency", 6: "has transparency"}


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a PNG file declares; see :func:`mrvae.data.files.formats.declare`."""
    declared: Declared | None = None
    for kind, length in _chunks(stream, name):
        if declared is None:
            if kind != b"IHDR" or length != 13:
                raise ValueError(f"{name}: is no PNG file, for it lacks IHDR; get the file again")
            declared = _declared(exactly(stream, length), name)
        elif kind == b"tRNS":
            raise unread(name, "has transparency (a tRNS chunk)")
        elif kind == b"acTL":
            (frames,) = struct.unpack(">I", exactly(stream, length)[:4])
            raise unread(name, f"is an animation of {frames:,} frames")
        elif kind == b"IDAT":
            return declared
    raise ValueError(f"{name}: cannot be read (it holds no pixels); get the file again")


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
    if depth == 16:
        raise unread(name, "has 16 bits a channel")
    if colour in _REFUSED_COLOURS:
        raise unread(name, _REFUSED_COLOURS[colour])
    if (colour, depth) not in [(_GREY, 1), (_GREY, 2), (_GREY, 4), (_GREY, 8), (_RGB, 8)]:
        raise ValueError(
            f"{name}: cannot be read (depth {depth}, colour type {colour}); get the file again"
        )
    check_pixels(name, width, height)
    return Declared("PNG", 1 if colour == _GREY else 3, height, width, (1 << depth) - 1)


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
