"""The file, byte for byte as docs/format.md has it: a header, and chunks that stand for themselves.

A file is hostile until it is read. Each length is held against what is left of the file before a
byte is allocated for it, and each part has a CRC-32 over itself, its place and the header: a chunk
of another file, or at another place, is no chunk of this one. An end of the file between two chunks
is a cut, and not damage: what comes before it is whole.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from mrvae.compression.latents import PARTS
from mrvae.compression.network import MOST
from mrvae.compression.patches import count_of
from mrvae.data.files.image_files import MOST_PIXELS

MAGIC = b"\x89MRV\r\n\x1a\n"
VERSION = 1

_FRONT = struct.Struct("<8sBI")
_FIXED = struct.Struct("<BB32sBHHBBHII")
_ENTRY = struct.Struct("<IIH")
_LENGTHS = struct.Struct("<II")
_CRC = struct.Struct("<I")
_LONGEST_HEADER = 1 << 24
_MOST_IN_CHUNK = 4096
_LARGEST_CHUNK = 1 << 26
_FLOAT64 = 64
_KEPT = struct.Struct("<HB")


class Mode(IntEnum):
    """What the chunks of a file are, as its first byte behind the front says."""

    DIRECT = 1
    BITS_BACK = 2
    PROGRESSIVE = 3

    @property
    def layered(self) -> bool:
        """Whether the chunks are layers of all pictures, and not some of the pictures."""
        return self is Mode.PROGRESSIVE


@dataclass(frozen=True)
class Entry:
    """A picture of a file: its old stem, and its size."""

    name: str
    height: int
    width: int


@dataclass(frozen=True)
class Header:
    """What a file says before its first chunk.

    Attributes:
        mode: what the chunks are.
        model: SHA-256 of the model.
        channels: of every picture.
        size: of a patch, a side.
        levels: values of a pixel.
        direct_step: of the direct code, in sixteenths of a prior standard deviation.
        chained_step: of the bits-back code.
        most: images of a batch.
        per_chunk: patches of a chunk but the last.
        entries: the pictures.
        direct_units: which units the direct code has, packed.
        chained_units: which units the bits-back code has; empty in the other modes.
        layers: of a progressive file; 1 in the other modes.
        lossless: whether the whole file gives the pictures exactly.
    """

    mode: Mode
    model: bytes
    channels: int
    size: int
    levels: int
    direct_step: int
    chained_step: int
    most: int
    per_chunk: int
    entries: tuple[Entry, ...]
    direct_units: bytes
    chained_units: bytes
    layers: int = 1
    lossless: bool = True

    @property
    def bits_back(self) -> bool:
        """Whether bits are given back."""
        return self.mode is Mode.BITS_BACK

    @property
    def patches(self) -> int:
        """Number of patches of all pictures."""
        return sum(count_of(entry.height, entry.width, self.size) for entry in self.entries)

    @property
    def spans(self) -> int:
        """Number of runs of patches that have a chunk of their own, in every layer."""
        return -(-self.patches // self.per_chunk)

    @property
    def chunks(self) -> int:
        """Number of chunks of a whole file."""
        return self.layers * self.spans

    def counts(self) -> Iterator[tuple[int, int]]:
        """Yield the number of the first patch of each span, and how many it has."""
        for start in range(0, self.patches, self.per_chunk):
            yield start, min(self.per_chunk, self.patches - start)


def write_header(header: Header) -> bytes:
    """Return the bytes before the first chunk, with their check."""
    body = bytearray(
        _FIXED.pack(
            header.mode,
            _FLOAT64,
            header.model,
            header.channels,
            header.size,
            header.levels,
            header.direct_step,
            header.chained_step,
            header.most,
            header.per_chunk,
            len(header.entries),
        )
    )
    named = [(entry, entry.name.encode("utf-8")) for entry in header.entries]
    entries = b"".join(_ENTRY.pack(e.height, e.width, len(name)) + name for e, name in named)
    deflated = zlib.compress(entries, 9)
    if len(entries) > _LONGEST_HEADER:
        raise ValueError(f"{len(header.entries):,} images are too many; give fewer at a time")
    body += _LENGTHS.pack(len(entries), len(deflated)) + deflated
    for units in (header.direct_units, header.chained_units):
        body += _CRC.pack(len(units)) + units
    if header.mode.layered:
        body += _KEPT.pack(header.layers, header.lossless)
    if len(body) > _LONGEST_HEADER:
        raise ValueError(f"the header would take {len(body):,} bytes; give fewer images at a time")
    front = _FRONT.pack(MAGIC, VERSION, len(body)) + bytes(body)
    return front + _CRC.pack(zlib.crc32(front))


def write_chunk(header: bytes, index: int, payload: bytes) -> bytes:
    """Return a chunk's bytes, for a file that begins with ``header``."""
    return _CRC.pack(len(payload)) + payload + _CRC.pack(_chunk_crc(header, index, payload))


def framed_size(payload: bytes) -> int:
    """Return how many bytes a chunk has, with its length and its check.

    Example:
        >>> framed_size(b"abc")
        11
    """
    return len(payload) + 2 * _CRC.size


@dataclass(frozen=True)
class Container:
    """A file whose every byte was checked.

    Attributes:
        path: where it is.
        header: what it says.
        front: the bytes before the first chunk.
        places: where each chunk's payload begins, and its length.
    """

    path: Path
    header: Header
    front: bytes
    places: tuple[tuple[int, int], ...]

    @property
    def cut(self) -> bool:
        """Whether chunks are missing at the end."""
        return len(self.places) < self.header.chunks

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


def read_container(path: Path) -> Container:
    """Read a header, and check every chunk.

    Raises:
        ValueError: if it is no such file, of another version, or damaged, naming the place.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        front = _read_front(path, file, size)
        header = _parse(path, front[_FRONT.size : -_CRC.size])
        places = tuple(_scan(path, file, size, front, header.chunks))
    return Container(path, header, front, places)


def _read_front(path: Path, file: BinaryIO, size: int) -> bytes:
    """Return the bytes before the first chunk, checked."""
    front = file.read(_FRONT.size)
    if front[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path} is no file of mrvae compress")
    if len(front) < _FRONT.size:
        raise ValueError(f"{path} is damaged: it ends within its header")
    _, version, length = _FRONT.unpack(front)
    if version != VERSION:
        raise ValueError(f"{path} is of version {version}; this mrvae reads version {VERSION}")
    if length > min(_LONGEST_HEADER, size - _FRONT.size - _CRC.size):
        raise ValueError(f"{path} is damaged: its header of {length:,} bytes is not all there")
    front += file.read(length)
    check = file.read(_CRC.size)
    if len(check) < _CRC.size or _CRC.unpack(check)[0] != zlib.crc32(front):
        raise ValueError(f"{path} is damaged: the check of its header is wrong")
    return front + check


def _scan(
    path: Path, file: BinaryIO, size: int, front: bytes, chunks: int
) -> Iterator[tuple[int, int]]:
    """Yield where each chunk's payload is, having checked it."""
    for index in range(chunks):
        head = file.read(_CRC.size)
        if not head:
            return
        start = file.tell()
        length = _CRC.unpack(head)[0] if len(head) == _CRC.size else size
        if length > min(_LARGEST_CHUNK, size - start - _CRC.size):
            raise ValueError(f"{path} is damaged: chunk {index} of {chunks} is not all there")
        payload = file.read(length)
        _check_chunk(path, front, index, payload, file.read(_CRC.size))
        yield start, length
    if file.read(1):
        raise ValueError(f"{path} is damaged: something stands behind its last chunk")


def _check_chunk(path: Path, front: bytes, index: int, payload: bytes, check: bytes) -> None:
    if len(check) < _CRC.size or _CRC.unpack(check)[0] != _chunk_crc(front, index, payload):
        raise ValueError(f"{path} is damaged: the check of chunk {index} is wrong")


def _chunk_crc(front: bytes, index: int, payload: bytes) -> int:
    """Return the CRC-32 of the header's CRC, the chunk's number, its length and its payload."""
    return zlib.crc32(payload, zlib.crc32(front[-4:] + struct.pack("<II", index, len(payload))))


def _parse(path: Path, body: bytes) -> Header:
    """Read a header whose bytes are as they were written."""
    try:
        header = _fields(body)
    except (struct.error, zlib.error, UnicodeDecodeError, IndexError, KeyError) as error:
        raise ValueError(f"{path} is damaged: its header cannot be read ({error})") from None
    for what, found, most in (
        ("patches in a chunk", header.per_chunk, _MOST_IN_CHUNK),
        ("images in a batch", header.most, MOST),
        ("levels", header.levels, 256),
        ("layers", header.layers, 0xFFFF),
        ("pixels in a chunk", header.per_chunk * header.channels * header.size**2, MOST_PIXELS),
        *(("pixels in a picture", e.height * e.width, MOST_PIXELS) for e in header.entries),
    ):
        if not 0 < found <= most:
            raise ValueError(f"{path} declares {found:,} {what}; 1 … {most:,} are read")
    for step in (header.direct_step, header.chained_step):
        if not 0 < step <= 4 * PARTS:
            raise ValueError(f"{path} declares a step of {step}; 1 … {4 * PARTS} are read")
    return header


def _fields(body: bytes) -> Header:
    """Take a header's fields apart; what does not fit raises whatever it raises."""
    mode, precision, model, channels, size, levels, *steps, most, per_chunk, count = (
        _FIXED.unpack_from(body)
    )
    if precision != _FLOAT64:
        raise KeyError(f"precision {precision}")
    place = _FIXED.size + _LENGTHS.size
    inflated, deflated = _LENGTHS.unpack_from(body, _FIXED.size)
    entries = _entries(_taken(body, place, deflated), inflated, count)
    direct_units, place = _prefixed(body, place + deflated)
    chained_units, place = _prefixed(body, place)
    layers, lossless = 1, 1
    if mode == Mode.PROGRESSIVE:
        layers, lossless = _KEPT.unpack_from(body, place)
        place += _KEPT.size
    _exactly(place, len(body))
    return Header(
        mode=Mode(_one_of(mode, "mode", (1, 2, 3))),
        model=model,
        channels=channels,
        size=size,
        levels=levels,
        direct_step=steps[0],
        chained_step=steps[1],
        most=most,
        per_chunk=per_chunk,
        entries=entries,
        direct_units=direct_units,
        chained_units=chained_units,
        layers=layers,
        lossless=bool(_one_of(lossless, "end", (0, 1))),
    )


def _one_of(found: int, what: str, known: tuple[int, ...]) -> int:
    if found not in known:
        raise KeyError(f"{what} {found}")
    return found


def _prefixed(body: bytes, place: int) -> tuple[bytes, int]:
    """Return bytes that stand behind their length, and the place behind them."""
    (length,) = _CRC.unpack_from(body, place)
    start = place + _CRC.size
    return _taken(body, start, length), start + length


def _entries(deflated: bytes, length: int, count: int) -> tuple[Entry, ...]:
    """Take the pictures' names and sizes apart, which inflate to ``length`` bytes."""
    if length > _LONGEST_HEADER:
        raise IndexError(f"{length:,} bytes of names")
    body = zlib.decompressobj().decompress(deflated, length + 1)
    _exactly(len(body), length)
    place, entries = 0, []
    for _ in range(count):
        height, width, size = _ENTRY.unpack_from(body, place)
        place += _ENTRY.size
        entries.append(Entry(_taken(body, place, size).decode("utf-8"), height, width))
        place += size
    _exactly(place, length)
    return tuple(entries)


def _exactly(found: int, expected: int) -> None:
    if found != expected:
        raise IndexError(f"{found} bytes in the place of {expected}")


def _taken(body: bytes, start: int, length: int) -> bytes:
    if start + length > len(body):
        raise IndexError(f"{start + length - len(body)} bytes are missing")
    return body[start : start + length]
