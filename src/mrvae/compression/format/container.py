"""The file as docs/format.md describes it, byte for byte: a header, and independent chunks.

A file may be hostile. Each length is compared with the bytes that are left before anything is
allocated for it, and each part has a CRC-32 of itself, its place and the header: a chunk of another
file, or at another place, is refused. A file that ends behind its header was cut, and is not
damaged: the chunks before the end are whole, and what is left of the next one is not read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mrvae.compression.format.header import (
    MAX_HEADER_BYTES,
    FileHeader,
    declared_pictures,
    header_from_bytes,
    header_to_bytes,
)
from mrvae.compression.format.limits import check_pictures, check_values

MAGIC = b"\x89MRV\r\n\x1a\n"
VERSION = 1

_FRONT = struct.Struct("<8sBI")
_CRC = struct.Struct("<I")
_MAX_CHUNK_BYTES = 1 << 26


def front_of(header: FileHeader) -> bytes:
    """Return the bytes before the first chunk, with their CRC.

    Raises:
        ValueError: if there are too many pictures for one header.
    """
    body = header_to_bytes(header)
    front = _FRONT.pack(MAGIC, VERSION, len(body)) + body
    return front + _CRC.pack(zlib.crc32(front))


def frame_chunk(front: bytes, index: int, payload: bytes) -> bytes:
    """Return a chunk's bytes, for a file that begins with ``front``."""
    return _CRC.pack(len(payload)) + payload + _CRC.pack(_chunk_crc(front, index, payload))


def framed_size(payload: bytes) -> int:
    """Return the size of a chunk in bytes, with its length and its CRC.

    Example:
        >>> framed_size(b"abc")
        11
    """
    return len(payload) + 2 * _CRC.size


@dataclass(frozen=True)
class Container:
    """A file of which every byte was checked, up to its last whole chunk.

    Attributes:
        path: the file.
        header: its header.
        front: the bytes before the first chunk.
        places: the offset of each whole chunk's payload, and its length.
        size: bytes of the file.
    """

    path: Path
    header: FileHeader
    front: bytes
    places: tuple[tuple[int, int], ...]
    size: int

    @property
    def cut(self) -> bool:
        """Whether chunks are missing at the end."""
        return len(self.places) < self.header.chunks

    @property
    def cuts(self) -> tuple[int, ...]:
        """The lengths to which the file can be cut without a part of a chunk being left.

        The first is the end of the first chunk, the last that of the last whole one.
        """
        return tuple(start + length + _CRC.size for start, length in self.places)

    @property
    def torn(self) -> bool:
        """Whether the file ends within a chunk, which is not read."""
        return self.size > (self.cuts[-1] if self.places else len(self.front))

    def payload(self, index: int) -> bytes:
        """Return a chunk's payload.

        Raises:
            ValueError: if the file has changed meanwhile.
        """
        start, length = self.places[index]
        with self.path.open("rb") as file:
            file.seek(start)
            payload = file.read(length)
            _check_chunk(self.path, self.front, index, payload, file.read(_CRC.size))
        return payload


def read_container(path: Path, large: bool = False) -> Container:
    """Read a header, and check every chunk.

    Args:
        path: the file.
        large: whether to read also a file that declares more than its size allows, see
            :mod:`~mrvae.compression.format.limits`.

    Raises:
        ValueError: if it is another kind of file, of another version, too large, or damaged, naming
            the place.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        front = _read_front(path, file, size)
        body = front[_FRONT.size : -_CRC.size]
        if not large:
            check_pictures(path, size, declared_pictures(body))
        header = header_from_bytes(path, body)
        if not large:
            check_values(path, size, header)
        places = tuple(_scan(path, file, size, front, header.chunks))
    return Container(path, header, front, places, size)


def _read_front(path: Path, file: BinaryIO, size: int) -> bytes:
    """Return the bytes before the first chunk, whose CRC is checked."""
    front = file.read(_FRONT.size)
    if front[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path} is not a file of mrvae compress")
    if len(front) < _FRONT.size:
        raise ValueError(f"{path} is damaged: it ends within its header")
    _, version, length = _FRONT.unpack(front)
    if version != VERSION:
        raise ValueError(f"{path} is of version {version}; this mrvae reads version {VERSION}")
    if length > min(MAX_HEADER_BYTES, size - _FRONT.size - _CRC.size):
        raise ValueError(f"{path} is damaged: its header of {length:,} bytes is incomplete")
    front += file.read(length)
    crc = file.read(_CRC.size)
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != zlib.crc32(front):
        raise ValueError(f"{path} is damaged: the CRC of its header is wrong")
    return front + crc


def _scan(
    path: Path, file: BinaryIO, size: int, front: bytes, chunks: int
) -> Iterator[tuple[int, int]]:
    """Yield the offset and length of each whole chunk's payload, whose CRC is checked."""
    for index in range(chunks):
        head = file.read(_CRC.size)
        if len(head) < _CRC.size:
            return
        start, (length,) = file.tell(), _CRC.unpack(head)
        if length > _MAX_CHUNK_BYTES:
            raise ValueError(
                f"{path} is damaged: chunk {index} of {chunks} declares {length:,} bytes"
            )
        if length > size - start - _CRC.size:
            return
        payload = file.read(length)
        _check_chunk(path, front, index, payload, file.read(_CRC.size))
        yield start, length
    if file.read(1):
        raise ValueError(f"{path} is damaged: bytes follow its last chunk")


def _check_chunk(path: Path, front: bytes, index: int, payload: bytes, crc: bytes) -> None:
    if len(crc) < _CRC.size or _CRC.unpack(crc)[0] != _chunk_crc(front, index, payload):
        raise ValueError(f"{path} is damaged: the CRC of chunk {index} is wrong")


def _chunk_crc(front: bytes, index: int, payload: bytes) -> int:
    """Return the CRC-32 of the header's CRC, the chunk's number, its length and its payload."""
    return zlib.crc32(payload, zlib.crc32(front[-4:] + struct.pack("<II", index, len(payload))))
