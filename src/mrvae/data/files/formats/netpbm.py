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

from mrvae.data.files.formats.declared import Declared, Excess, check_pixels, unread

_CHANNELS = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
_PLAIN = (b"P2", b"P3")
_BYTE, _LARGEST = 255, 65_535
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
    if not 1 <= maxval <= _LARGEST:
        raise ValueError(f"{name}: cannot be read (maxval is {maxval}); get the file again")
    check_pixels(name, width, height)
    stream.seek(header.end())
    deep = ((Excess.DEEP, f"has maxval {maxval}, that is 16 bits a channel"),)
    excess = deep if maxval > _BYTE else ()
    return Declared("PPM", _CHANNELS[header[1]], height, width, maxval, excess=excess)


def values(stream: BinaryIO, name: str) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read the values, uint8 or beyond a maxval of 255 uint16, (H, W) or (H, W, 3).

    Raises ``ValueError`` if there are more or fewer than declared, or one exceeds maxval.
    """
    declared = declare(stream, name)
    start = stream.tell()
    stream.seek(0)
    plain = stream.read(2) in _PLAIN
    stream.seek(start)
    channels, height, width = declared.shape
    count = channels * height * width
    deep = declared.largest > _BYTE
    read = _plain(stream, name, count, deep) if plain else _raw(stream, name, count, deep)
    if (largest := int(read.max())) > declared.largest:
        raise ValueError(
            f"{name}: holds a value of {largest} and declares maxval {declared.largest}; "
            "it is damaged, get the file again"
        )
    return read.reshape((height, width) if channels == 1 else (height, width, channels))


def _raw(
    stream: BinaryIO, name: str, count: int, deep: bool
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    size = 2 if deep else 1
    array = np.empty(count * size, np.uint8)
    _check_count(name, count, stream.readinto(array.data) // size)  # type: ignore[attr-defined]
    if stream.read(64).strip():
        raise unread(name, "holds more than one picture")
    return array.view(">u2").astype(np.uint16) if deep else array


def _plain(
    stream: BinaryIO, name: str, count: int, deep: bool
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if count > _MOST_PLAIN:
        raise ValueError(
            f"{name}: has {count:,} values as text, and at most {_MOST_PLAIN:,} are read so; "
            "save it in binary"
        )
    text = stream.read(8 * _MOST_PLAIN)
    words = text.split()
    _check_count(name, count, len(words))
    if any(not (word.isdigit() and len(word) < 6) for word in words):
        raise ValueError(f"{name}: cannot be read (a value is no number); get the file again")
    numbers = [min(int(word), _LARGEST if deep else _BYTE) for word in words]
    return np.array(numbers, np.uint16) if deep else np.array(numbers, np.uint8)


def _check_count(name: str, declared: int, held: int) -> None:
    if declared != held:
        raise ValueError(
            f"{name}: declares {declared:,} values and holds {held:,}; it is truncated or "
            "damaged, get the file again"
        )
