"""TIFF and BigTIFF: depth, samples, colour space and pages from the first directory (TIFF 6.0).

A directory is a list of tags, each with a type, a count and its values or their place, and is
followed by the place of the next directory, which is another page.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

from mrvae.data.files.formats.declared import (
    MOST_PIXELS,
    Declared,
    Excess,
    check_pixels,
    exactly,
    unread,
)

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 262, 277
_TILE_WIDTH, _TILE_HEIGHT, _EXTRA, _SAMPLE_FORMAT, _ORIENTATION = 322, 323, 338, 339, 274
_USED = {_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT}
_USED |= {_EXTRA, _SAMPLE_FORMAT, _ORIENTATION}
_BYTES = {1: 1, 3: 2, 4: 4, 16: 8}
_MOST_TAGS, _MOST_VALUES = 4096, 16
_SPACES = {0: "white as 0", 3: "a palette", 5: "CMYK", 6: "YCbCr", 8: "L*a*b*"}
_INVERTED, _GREY, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
# Bits a channel that are read of each colour space, its channels, and what it has in excess.
_DEPTHS = {_INVERTED: (1, 8), _GREY: (1, 8, 16), _RGB: (8, 16), _PALETTE: (8,), _CMYK: (8,)}
_CHANNELS = {_INVERTED: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4}
_EXCESS = {_INVERTED: Excess.INVERTED, _PALETTE: Excess.PALETTE, _CMYK: Excess.CMYK}
_ASSOCIATED, _UNASSOCIATED = 1, 2


@dataclass(frozen=True)
class _Layout:
    """Byte order, and the sizes in bytes of a place, a number of tags, and a tag."""

    order: Literal["little", "big"]
    place: int
    tags: int

    @property
    def tag(self) -> int:
        return 4 + 2 * self.place


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a TIFF file declares; see :func:`mrvae.data.files.formats.declare`."""
    tags, pages = _directory(stream)
    width, height = tags.get(_WIDTH, (0,))[0], tags.get(_HEIGHT, (0,))[0]
    check_pixels(name, width, height)
    if tags.get(_TILE_WIDTH, (1,))[0] * tags.get(_TILE_HEIGHT, (1,))[0] > MOST_PIXELS:
        raise ValueError(f"{name}: has tiles of more than {MOST_PIXELS:,} pixels; save it again")
    if set(tags.get(_SAMPLE_FORMAT, (1,))) != {1}:
        raise unread(name, "has values that are not unsigned integers")
    space, bits = tags.get(_PHOTOMETRIC, (_INVERTED,))[0], tags.get(_BITS, (1,))
    excess = _colour_excess(space, bits, tags, name)
    if pages > 1:
        excess = [(Excess.SEVERAL, "has several pages"), *excess]
    channels = 1 if space in (_INVERTED, _GREY) else 3
    largest = (1 << bits[0]) - 1
    return Declared("TIFF", channels, height, width, largest, _turn(tags), tuple(excess))


def exif_orientation(data: bytes) -> int:
    """Return the orientation 1 … 8 of an EXIF block, which is a TIFF file; 1 if it has none.

    Example:
        >>> exif_orientation(b"no EXIF")
        1

    """
    try:
        return _turn(_directory(io.BytesIO(data.removeprefix(b"Exif\0\0")))[0])
    except (EOFError, ValueError, OverflowError):
        # A picture with damaged EXIF is a picture.
        return 1


def _turn(tags: dict[int, tuple[int, ...]]) -> int:
    orientation = tags.get(_ORIENTATION, (1,))[0]
    return orientation if 1 <= orientation <= 8 else 1


def _colour_excess(
    space: int, bits: tuple[int, ...], tags: dict[int, tuple[int, ...]], name: str
) -> list[tuple[Excess, str]]:
    """Return what 8-bit grey or RGB lacks; raises ``ValueError`` for what is not even converted."""
    words = f"has {_SPACES.get(space, f'photometric interpretation {space}')}"
    if space not in _DEPTHS:
        raise unread(name, words)
    if len(set(bits)) > 1 or bits[0] not in _DEPTHS[space]:
        raise unread(name, f"has {max(bits)} bits a channel")
    excess = [(_EXCESS[space], words)] if space in _EXCESS else []
    if bits[0] == 16:
        excess.append((Excess.DEEP, "has 16 bits a channel"))
    if bits[0] == 1 and space == _GREY:
        excess.append((Excess.BILEVEL, "has 1 bit a channel"))
    samples, extra = tags.get(_SAMPLES, (1,))[0], tags.get(_EXTRA, ())
    if samples != _CHANNELS[space] + len(extra) or len(extra) > 1:
        raise unread(name, f"has samples beyond {_CHANNELS[space]}")
    if extra:
        words = f"has transparency or other samples beyond {_CHANNELS[space]}"
        known = extra[0] in (_ASSOCIATED, _UNASSOCIATED) and space in (_GREY, _RGB)
        if not known or bits[0] != 8:
            raise unread(name, words)
        excess.append((Excess.ALPHA, words))
    return excess


def _directory(stream: BinaryIO) -> tuple[dict[int, tuple[int, ...]], int]:
    """Return the tags of the first page that are used here, and the number of pages, 1 or 2."""
    magic = exactly(stream, 4)
    big = magic[:2] == b"MM"
    long = b"+" in magic
    layout = _Layout("big" if big else "little", 8 if long else 4, 8 if long else 2)
    stream.seek(8 if long else 4)
    stream.seek(_number(stream, layout.place, layout))
    count = _number(stream, layout.tags, layout)
    if not 0 < count <= _MOST_TAGS:
        raise ValueError(f"it declares {count} tags")
    entries = exactly(stream, count * layout.tag)
    following = _number(stream, layout.place, layout)
    tags = {}
    for start in range(0, len(entries), layout.tag):
        entry = entries[start : start + layout.tag]
        tag = int.from_bytes(entry[:2], layout.order)
        if tag in _USED:
            tags[tag] = _values(stream, entry, layout)
    return tags, 1 if following == 0 else 2


def _values(stream: BinaryIO, entry: bytes, layout: _Layout) -> tuple[int, ...]:
    """Return the values of a tag, from its entry or from their place."""
    kind = int.from_bytes(entry[2:4], layout.order)
    count = int.from_bytes(entry[4 : 4 + layout.place], layout.order)
    if kind not in _BYTES or not 0 < count <= _MOST_VALUES:
        raise ValueError(f"a tag has {count} values of type {kind}")
    size, data = _BYTES[kind], entry[4 + layout.place :]
    if size * count > layout.place:
        stream.seek(int.from_bytes(data, layout.order))
        data = exactly(stream, size * count)
    return tuple(
        int.from_bytes(data[i * size : (i + 1) * size], layout.order) for i in range(count)
    )


def _number(stream: BinaryIO, size: int, layout: _Layout) -> int:
    return int.from_bytes(exactly(stream, size), layout.order)
