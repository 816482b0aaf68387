"""The header of a file as docs/format.md describes it, byte for byte.

A file may be hostile. Each length is compared with the bytes that are left before anything is
allocated for it, and every number must lie in the range that the format allows.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from mrvae.compression.coding.latents import STEPS_PER_DEVIATION
from mrvae.compression.network import MAX_BATCH
from mrvae.data.files.image_files import MOST_PIXELS
from mrvae.data.patches import patch_count
from mrvae.sizes import ImageSize, sides

MAX_HEADER_BYTES = 1 << 24

_FIXED = struct.Struct("<BB32sBHHBBHII")
_ENTRY = struct.Struct("<IIH")
_LENGTHS = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_LAYERS = struct.Struct("<HB")
_SIDES = struct.Struct("<HH")
_RECTANGLE = 0  # in the place of a square's side
_MAX_CHUNK_PATCHES = 4096
_FASTEST, _FARTHEST = 1 << 24, 1e30
_MAX_STEP = 4 * STEPS_PER_DEVIATION
_SIGNAL = struct.Struct("<IBBdd")
_FLOAT64, _FLOAT64_SIGNAL = 64, 192


class Mode(IntEnum):
    """What the chunks of a file are: the first byte of the header."""

    DIRECT = 1
    BITS_BACK = 2
    PROGRESSIVE = 3

    @property
    def layered(self) -> bool:
        """Whether the chunks are layers of all pictures, and not some of the pictures."""
        return self is Mode.PROGRESSIVE


@dataclass(frozen=True)
class PictureEntry:
    """A picture of a file: the stem of its original name, and its size in pixels."""

    name: str
    height: int
    width: int


@dataclass(frozen=True)
class SignalEntry:
    """What recordings have in common: how their bins are written as samples.

    Attributes:
        rate: samples a second.
        depth: bits of a sample, 8 or 16.
        mu_law: whether the quantiser is that of mu-law; else it is linear.
        bins: of the quantiser; those of the header.
        lowest: the lower end of the quantiser's range.
        highest: the upper end.
    """

    rate: int
    depth: int
    mu_law: bool
    bins: int
    lowest: float
    highest: float


@dataclass(frozen=True)
class FileHeader:
    """What a file holds before its first chunk.

    Attributes:
        mode: what the chunks are.
        model_hash: SHA-256 of the model.
        channels: of every picture.
        size: of a patch, in pixels: its side, or (height, width) of a rectangle.
        bins: number of values of a pixel.
        direct_step: of the direct code, in sixteenths of a prior standard deviation.
        bits_back_step: of the bits-back code.
        most: images of a batch, at most.
        per_chunk: patches of a chunk; the last may have fewer.
        entries: the pictures.
        direct_units: the masks of the direct code's units, as bytes.
        bits_back_units: those of the bits-back code; empty in the other modes.
        layers: of a progressive file; 1 in the other modes.
        lossless: whether the whole file gives the pictures exactly.
        signal: of recordings; None of pictures.
    """

    mode: Mode
    model_hash: bytes
    channels: int
    size: ImageSize
    bins: int
    direct_step: int
    bits_back_step: int
    most: int
    per_chunk: int
    entries: tuple[PictureEntry, ...]
    direct_units: bytes
    bits_back_units: bytes
    layers: int = 1
    lossless: bool = True
    signal: SignalEntry | None = None

    @property
    def bits_back(self) -> bool:
        """Whether the chunks are coded by bits back."""
        return self.mode is Mode.BITS_BACK

    @property
    def patches(self) -> int:
        """Number of patches of all pictures."""
        return sum(patch_count(entry.height, entry.width, self.size) for entry in self.entries)

    @property
    def pixels(self) -> int:
        """Number of pixels of all pictures."""
        return sum(entry.height * entry.width for entry in self.entries)

    @property
    def values(self) -> int:
        """Number of pixel values of all patches."""
        return self.patches * self.patch_values

    @property
    def patch_values(self) -> int:
        """Number of pixel values of a patch."""
        height, width = sides(self.size)
        return self.channels * height * width

    @property
    def spans(self) -> int:
        """Number of runs of patches; each has one chunk in every layer."""
        return -(-self.patches // self.per_chunk)

    @property
    def chunks(self) -> int:
        """Number of chunks of a whole file."""
        return self.layers * self.spans

    def counts(self) -> Iterator[tuple[int, int]]:
        """Yield the number of the first patch of each span, and the number of its patches."""
        for start in range(0, self.patches, self.per_chunk):
            yield start, min(self.per_chunk, self.patches - start)


def header_to_bytes(header: FileHeader) -> bytes:
    """Return the bytes of a header.

    Raises:
        ValueError: if there are too many pictures for one header.
    """
    fixed = _FIXED.pack(
        header.mode,
        _FLOAT64 if header.signal is None else _FLOAT64_SIGNAL,
        header.model_hash,
        header.channels,
        header.size if isinstance(header.size, int) else _RECTANGLE,
        header.bins,
        header.direct_step,
        header.bits_back_step,
        header.most,
        header.per_chunk,
        len(header.entries),
    )
    named = [(entry, entry.name.encode("utf-8")) for entry in header.entries]
    entries = b"".join(_ENTRY.pack(e.height, e.width, len(name)) + name for e, name in named)
    deflated = zlib.compress(entries, 9)
    masks = (header.direct_units, header.bits_back_units)
    body = b"".join(
        (
            fixed,
            _LENGTHS.pack(len(entries), len(deflated)) + deflated,
            *(_LENGTH.pack(len(mask)) + mask for mask in masks),
            _LAYERS.pack(header.layers, header.lossless) if header.mode.layered else b"",
            b"" if isinstance(header.size, int) else _SIDES.pack(*header.size),
            b"" if header.signal is None else _signal_to_bytes(header.signal),
        )
    )
    if max(len(entries), len(body)) > MAX_HEADER_BYTES:
        raise ValueError(f"{len(header.entries):,} images are too many; give fewer at a time")
    return body


def declared_pictures(body: bytes) -> int:
    """Return the number of pictures of a header that need not be whole; their entries are unread.

    Example:
        >>> declared_pictures(b"short")
        0
    """
    return int(_FIXED.unpack_from(body)[-1]) if len(body) >= _FIXED.size else 0


def header_from_bytes(path: Path, body: bytes) -> FileHeader:
    """Parse the header of a file, whose CRC is right.

    Raises:
        ValueError: if a field is missing, or its value is not allowed.
    """
    try:
        header = _fields(body)
    except (struct.error, zlib.error, UnicodeDecodeError, IndexError, KeyError) as error:
        raise ValueError(f"{path} is damaged: its header cannot be read ({error})") from None
    for name, value, maximum in (
        ("patches in a chunk", header.per_chunk, _MAX_CHUNK_PATCHES),
        ("images in a batch", header.most, MAX_BATCH),
        ("values of a pixel", header.bins, 256),
        ("layers", header.layers, 0xFFFF),
        ("pixels in a chunk", header.per_chunk * header.patch_values, MOST_PIXELS),
        *(("pixels in a picture", e.height * e.width, MOST_PIXELS) for e in header.entries),
    ):
        if not 0 < value <= maximum:
            raise ValueError(f"{path} declares {value:,} {name}; 1 … {maximum:,} are allowed")
    for step in (header.direct_step, header.bits_back_step):
        if not 0 < step <= 4 * STEPS_PER_DEVIATION:
            raise ValueError(
                f"{path} declares a step of {step}; 1 … {4 * STEPS_PER_DEVIATION} are allowed"
            )
    return header


def _fields(body: bytes) -> FileHeader:
    """Parse the fields; malformed bytes raise the error of the function that reads them."""
    mode, precision, model_hash, channels, size, bins, *steps, most, per_chunk, count = (
        _FIXED.unpack_from(body)
    )
    _one_of(precision, "precision", (_FLOAT64, _FLOAT64_SIGNAL))
    place = _FIXED.size + _LENGTHS.size
    inflated, deflated = _LENGTHS.unpack_from(body, _FIXED.size)
    entries = _entries(_slice(body, place, deflated), inflated, count)
    direct_units, place = _prefixed(body, place + deflated)
    bits_back_units, place = _prefixed(body, place)
    layers, lossless = 1, 1
    if mode == Mode.PROGRESSIVE:
        layers, lossless = _LAYERS.unpack_from(body, place)
        place += _LAYERS.size
    if size == _RECTANGLE:
        size = _SIDES.unpack_from(body, place)
        place += _SIDES.size
        if size[0] == size[1]:
            raise KeyError(f"a square of {size[0]} pixels a side as a rectangle")
    signal = None
    if precision == _FLOAT64_SIGNAL:
        signal = _signal_from_bytes(body, place, bins)
        place += _SIGNAL.size
    _check_length(place, len(body))
    return FileHeader(
        mode=Mode(_one_of(mode, "mode", (1, 2, 3))),
        model_hash=model_hash,
        channels=channels,
        size=size,
        bins=bins,
        direct_step=steps[0],
        bits_back_step=steps[1],
        most=most,
        per_chunk=per_chunk,
        entries=entries,
        direct_units=direct_units,
        bits_back_units=bits_back_units,
        layers=layers,
        lossless=bool(_one_of(lossless, "end", (0, 1))),
        signal=signal,
    )


def _signal_to_bytes(signal: SignalEntry) -> bytes:
    return _SIGNAL.pack(signal.rate, signal.depth, signal.mu_law, signal.lowest, signal.highest)


def _signal_from_bytes(body: bytes, place: int, bins: int) -> SignalEntry:
    """Parse what is said of recordings."""
    rate, depth, law, lowest, highest = _SIGNAL.unpack_from(body, place)
    if not (0 < rate <= _FASTEST and -_FARTHEST <= lowest < highest <= _FARTHEST):
        raise KeyError(f"a rate of {rate} or a range of {lowest} … {highest}")
    depth, law = _one_of(depth, "depth", (8, 16)), _one_of(law, "quantiser", (0, 1))
    return SignalEntry(rate, depth, bool(law), bins, lowest, highest)


def _one_of(value: int, name: str, allowed: tuple[int, ...]) -> int:
    """Return a value that is one of those allowed."""
    if value not in allowed:
        raise KeyError(f"{name} {value}")
    return value


def _prefixed(body: bytes, place: int) -> tuple[bytes, int]:
    """Return bytes that follow their length, and the place after them."""
    (length,) = _LENGTH.unpack_from(body, place)
    start = place + _LENGTH.size
    return _slice(body, start, length), start + length


def _entries(deflated: bytes, length: int, count: int) -> tuple[PictureEntry, ...]:
    """Parse the pictures' names and sizes, which inflate to ``length`` bytes."""
    if length > MAX_HEADER_BYTES:
        raise IndexError(f"{length:,} bytes of names")
    if count * _ENTRY.size > length:
        raise IndexError(f"{count:,} pictures in {length:,} bytes")
    body = zlib.decompressobj().decompress(deflated, length + 1)
    _check_length(len(body), length)
    place, entries = 0, []
    for _ in range(count):
        height, width, size = _ENTRY.unpack_from(body, place)
        place += _ENTRY.size
        entries.append(PictureEntry(_slice(body, place, size).decode("utf-8"), height, width))
        place += size
    _check_length(place, length)
    return tuple(entries)


def _check_length(length: int, expected: int) -> None:
    if length != expected:
        raise IndexError(f"{length} bytes instead of {expected}")


def _slice(body: bytes, start: int, length: int) -> bytes:
    if start + length > len(body):
        raise IndexError(f"{start + length - len(body)} bytes are missing")
    return body[start : start + length]
