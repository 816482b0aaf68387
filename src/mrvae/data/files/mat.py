"""One array out of a MATLAB file of version 5, with no more inflated than the array takes.

After a header of 128 bytes a file is a sequence of elements: type and length, four bytes each, then
the data. An element is a matrix or, as a zlib stream, a compressed matrix. In a matrix come two
flags of four bytes, the sizes, the name and the values, each of them an element too; one of at most
four bytes may be packed into its own tag. All are padded to eight bytes.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

from mrvae.data.files.inflate import inflate

_HEADER, _TAG = 128, 8
_MATRIX, _COMPRESSED = 14, 15
_MOST_ELEMENTS = 1_000
_LONGEST_START = 512


def only(stream: BinaryIO, key: str, most: int) -> io.BytesIO:
    """Return a file with the matrix ``key`` only, not compressed, cut off after ``most`` bytes.

    Raises ``ValueError`` if there is none, or the file is no MATLAB file of version 5; ``EOFError``
    and ``zlib.error`` if it is damaged.
    """
    header = stream.read(_HEADER)
    orders = {b"IM": "<", b"MI": ">"}
    if len(header) < _HEADER or header[126:] not in orders:
        raise ValueError("it is no MATLAB file of version 5")
    order = orders[header[126:]]
    for kind, length in _elements(stream, order):
        start = stream.tell()
        named = _contents(stream, kind, length, _LONGEST_START)
        if kind not in (_MATRIX, _COMPRESSED) or _name(named, order) != key.encode():
            stream.seek(start + length)
            continue
        stream.seek(start)
        matrix = _contents(stream, kind, length, most)
        tag = b"" if kind == _COMPRESSED else struct.pack(f"{order}II", kind, length)
        return io.BytesIO(header + tag + matrix)
    raise ValueError(f"it declares no {key!r}")


def _elements(stream: BinaryIO, order: str) -> Iterator[tuple[int, int]]:
    """Yield type and length of each element, with the stream at its data."""
    for _ in range(_MOST_ELEMENTS):
        tag = stream.read(_TAG)
        if len(tag) < _TAG:
            return
        kind, length = struct.unpack(f"{order}II", tag)
        yield kind, length
    raise ValueError(f"it has more than {_MOST_ELEMENTS:,} elements")


def _contents(stream: BinaryIO, kind: int, length: int, most: int) -> bytes:
    """Return the first ``most`` bytes of an element, inflated; of a compressed one with its tag."""
    if kind != _COMPRESSED:
        return stream.read(min(length, most))
    return inflate(stream, most)


def _name(matrix: bytes, order: str) -> bytes:
    """Return the name of a matrix, given its beginning; empty if that is no matrix's."""
    place = _TAG if matrix[:4] == struct.pack(f"{order}I", _MATRIX) else 0
    place += 2 * _TAG
    (kind, length) = struct.unpack(f"{order}II", matrix[place : place + _TAG].ljust(_TAG, b"\0"))
    place += _TAG if kind >> 16 else _TAG + -(-length // 8) * 8
    tag = matrix[place : place + _TAG].ljust(_TAG, b"\0")
    (kind, length) = struct.unpack(f"{order}II", tag)
    if kind >> 16:
        return tag[4 : 4 + (kind >> 16)]
    return matrix[place + _TAG : place + _TAG + min(length, _LONGEST_START)]
