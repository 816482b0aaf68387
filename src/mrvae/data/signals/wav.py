"""WAV files: PCM of 8, 16 or 24 bits and floating point, with any number of channels.

A file is RIFF: after twelve bytes a sequence of chunks, each of a name, a length and its data,
padded to an even length. ``fmt`` declares the encoding, the channels and the rate, ``data`` holds
the samples, channel by channel within a frame. PCM of b bits becomes v / 2^(b-1) in [-1, 1), which
float32 holds exactly up to 24 bits; unsigned 8 bits become (v - 128) / 128. Floating-point samples
are taken as they are, those of 64 bits rounded to 32.

Nothing is allocated on the word of a header that the file's length contradicts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mrvae.data.files.untrusted import opened
from mrvae.data.signals.windows import Series

SUFFIXES = (".wav", ".wave")
"""Endings of the files that are read as recordings."""

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_ENCODINGS = ((_PCM, 8), (_PCM, 16), (_PCM, 24), (_FLOAT, 32), (_FLOAT, 64))
_MOST_CHUNKS, _MOST_CHANNELS, _MOST_RATE, _MOST_BYTES = 10_000, 64, 10_000_000, 1 << 30


@dataclass(frozen=True)
class Recording:
    """What a WAV file declares, and where its samples are.

    Args:
        rate: samples a second.
        channels: at most 64.
        samples: of each channel.
        encoding: 1 for integers, 3 for floating point.
        bits: of a sample.
        offset: of the first sample in the file.
    """

    rate: int
    channels: int
    samples: int
    encoding: int
    bits: int
    offset: int


def declared(path: Path) -> Recording:
    """Return what a WAV file declares, without reading its samples.

    Raises ``ValueError`` if it is none, is truncated, or has another encoding.
    """
    with opened(path) as stream:
        return _declared(stream, path)


def read(path: Path) -> Series:
    """Return the samples of a WAV file, float32 of shape (C, T).

    Raises ``ValueError`` as :func:`declared` does, and for a sample that is not finite.
    """
    with opened(path) as stream:
        recording = _declared(stream, path)
        stream.seek(recording.offset)
        count = recording.samples * recording.channels
        raw = stream.read(count * recording.bits // 8)
        values = _decoded(np.frombuffer(raw, np.uint8), recording)
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: holds a sample that is not finite; get the file again")
        frames = values.reshape(recording.samples, recording.channels)
        return np.ascontiguousarray(frames.T)


def _declared(stream: BinaryIO, path: Path) -> Recording:
    length = path.stat().st_size
    if length > _MOST_BYTES:
        raise ValueError(
            f"{path}: has {length:,} bytes; recordings of up to {_MOST_BYTES:,} are read, cut it"
        )
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise ValueError(f"{path}: is no WAV file (RIFF); convert it, or move it away")
    layout: tuple[int, int, int, int] | None = None
    place = 12
    for _ in range(_MOST_CHUNKS):
        stream.seek(place)
        chunk = stream.read(8)
        if len(chunk) < 8:
            break
        name, size = struct.unpack("<4sI", chunk)
        if name == b"fmt ":
            layout = _layout(stream.read(min(size, 40)), path)
        if name == b"data":
            return _with_samples(layout, place + 8, size, length, path)
        place += 8 + size + size % 2
    raise ValueError(f"{path}: cannot be read (it holds no samples); get the file again")


def _layout(data: bytes, path: Path) -> tuple[int, int, int, int]:
    """Return encoding, channels, rate and bits."""
    if len(data) < 16:
        raise ValueError(f"{path}: cannot be read (its header is damaged); get the file again")
    encoding, channels, rate, _, frame, bits = struct.unpack("<HHIIHH", data[:16])
    if encoding == _EXTENSIBLE and len(data) >= 26:
        (encoding,) = struct.unpack("<H", data[24:26])
    if (encoding, bits) not in _ENCODINGS:
        raise ValueError(
            f"{path}: has encoding {encoding} of {bits} bits; convert it to PCM of 8, 16 or 24 "
            "bits, or to floating point"
        )
    if not (1 <= channels <= _MOST_CHANNELS and 1 <= rate <= _MOST_RATE):
        raise ValueError(
            f"{path}: declares {channels:,} channels of {rate:,} Hz; up to {_MOST_CHANNELS} of "
            f"{_MOST_RATE:,} are read"
        )
    if frame != channels * bits // 8:
        raise ValueError(f"{path}: cannot be read (its header is damaged); get the file again")
    return encoding, channels, rate, bits


def _with_samples(
    layout: tuple[int, int, int, int] | None, offset: int, size: int, length: int, path: Path
) -> Recording:
    if layout is None:
        raise ValueError(f"{path}: cannot be read (it lacks a fmt chunk); get the file again")
    if offset + size > length:
        raise ValueError(
            f"{path}: declares {size:,} bytes of samples and has {length - offset:,}; it is "
            "truncated, get the file again"
        )
    encoding, channels, rate, bits = layout
    samples = size // (channels * bits // 8)
    if samples < 1:
        raise ValueError(f"{path}: holds no samples; get the file again")
    return Recording(rate, channels, samples, encoding, bits, offset)


def _decoded(raw: NDArray[np.uint8], recording: Recording) -> NDArray[np.float32]:
    """Return the samples of a file as real values."""
    match recording.encoding, recording.bits:
        case (1, 8):
            return (raw.astype(np.float32) - np.float32(128)) / np.float32(128)
        case (1, 16):
            return raw.view("<i2").astype(np.float32) / np.float32(2**15)
        case (1, _):
            wide = np.zeros((len(raw) // 3, 4), np.uint8)
            wide[:, 1:] = raw.reshape(-1, 3)
            return wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        case (_, 32):
            return raw.view("<f4").astype(np.float32)
        case _:
            return raw.view("<f8").astype(np.float32)
