"""PGM and PPM: values 0 … maxval, taken as they are (netpbm's formats P2, P3, P5 and P6).

The header is a magic number, width, height and maxval, separated by white space and comments. In
P5 and P6 one white-space byte follows, then one byte a value; in P2 and P3 the values are decimal
numbers.
"""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrvae.data.files.formats.declared import Declared, check_pixels, unread

_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_PLAIN = (b"P2", b"P3")
_LONGEST_HEADER = 1 << 16
_MOST_PLAIN = 1 << 22
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"(P[0-9])" + rb"".join([_GAP + rb"([0-9]{1,9})"] * 3) + rb"\s")


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a file declares, with the stream at its values.

    See :func:`mrvae.data.files.formats.declare`.
    """
    head = stream.read(_LONGEST_HEADER)
    if head[:2] not in _CHANNELS:
        raise unread(name, f"is a {head[:2].decode()} file, neither PGM nor PPM")
    header = _HEADER.match(head)
    if header is None:
        raise ValueError(f"{name}: cannot be read (its header is damaged); get the file again")
    width, height, maxval = map(int, header.groups()[1:])
    if maxval > 255:
        raise unread(name, f"has maxval {maxval}, that is 16 bits a channel")
    if maxval < 1:
        raise ValueError(f"{name}: cannot be read (maxval is 0); get the file again")
    check_pixels(name, width, height)
    stream.seek(header.end())
    return Declared("PPM", _CHANNELS[header[1]], height, width, maxval)


def values(stream: BinaryIO, name: str) -> NDArray[np.uint8]:
    """Read the values, uint8 (H, W) or (H, W, 3).

    Raises ``ValueError`` if there are more or fewer than declared, or one exceeds maxval.
    """
    declared = declare(stream, name)
    start = stream.tell()
    stream.seek(0)
    plain = stream.read(2) in _PLAIN
    stream.seek(start)
    channels, height, width = declared.shape
    count = channels * height * width
    read = _plain(stream, name, count) if plain else _raw(stream, name, count)
    if (largest := int(read.max())) > declared.largest:
        raise ValueError(
            f"{name}: holds a value of {largest} and declares maxval {declared.largest}; "
            "it is damaged, get the file again"
        )
    return read.reshape((height, width) if channels == 1 else (height, width, channels))


def _raw(stream: BinaryIO, name: str, count: int) -> NDArray[np.uint8]:
    array = np.empty(count, np.uint8)
    _check_count(name, count, stream.readinto(array.data))  # type: ignore[attr-defined]
    if stream.read(64).strip():
        raise unread(name, "holds more than one picture")
    return array


def _plain(stream: BinaryIO, name: str, count: int) -> NDArray[np.uint8]:
    if count > _MOST_PLAIN:
        raise ValueError(
            f"{name}: has {count:,} values as text, and at most {_MOST_PLAIN:,} are read so; "
            "save it in binary"
        )
    text = stream.read(8 * _MOST_PLAIN)
    words = text.split()
    _check_count(name, count, len(words))
    if any(not (word.isdigit() and len(word) < 4) for word in words):
        raise ValueError(f"{name}: cannot be read (a value is no number); get the file again")
    return np.array([min(int(word), 255) for word in words], np.uint8)


def _check_count(name: str, declared: int, held: int) -> None:
    if declared != held:
        raise ValueError(
            f"{name}: declares {declared:,} values and holds {held:,}; it is truncated or "
            "damaged, get the file again"
        )
