from __future__ import annotations

import os
import struct
import tracemalloc
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.members import for_all
from mrvae.data.signals.quantisers import Linear, MuLaw, SignalBins
from mrvae.data.signals.wav import (
    is_representable,
    read_wav,
    to_bins,
    to_reals,
    to_samples,
    write_wav,
)

DEPTHS = ((np.dtype(np.uint8), 8), (np.dtype(np.int16), 16))


def noise(dtype: np.dtype, shape: tuple[int, int]) -> np.ndarray:
    limits = np.iinfo(dtype)
    stream = np.random.default_rng(1)
    return stream.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def by_the_library(path: Path, data: bytes, channels: int, width: int) -> None:
    """Write a file with Python's own module, an outside truth."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)


@for_all(("dtype", "depth"), DEPTHS)
@for_all("channels", (1, 2, 5))
def test_samples_are_written_and_read_exactly(
    tmp_path: Path, dtype: np.dtype, depth: int, channels: int
) -> None:
    samples = noise(dtype, (101, channels))
    write_wav(tmp_path / "a.wav", samples, 8000)
    read = read_wav(tmp_path / "a.wav")
    assert (read.rate, read.channels) == (8000, channels)
    assert np.array_equal(read.samples, samples)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getsampwidth() * 8, file.getframerate()) == (depth, 8000)
        assert file.readframes(101) == samples.tobytes()


def test_24_bits_are_numbers_of_24_bits(tmp_path: Path) -> None:
    values = [-(2**23), -1, 0, 1, 2**23 - 1]
    data = b"".join(value.to_bytes(3, "little", signed=True) for value in values)
    by_the_library(tmp_path / "a.wav", data, 1, 3)
    reals = to_reals(read_wav(tmp_path / "a.wav").samples)
    assert reals[:, 0].tolist() == [value / 2**23 for value in values]


def test_floating_point_is_taken_as_it_is(tmp_path: Path) -> None:
    from scipy.io import wavfile

    values = np.array([-1.5, -0.25, 0.0, 1e-9], np.float32)
    wavfile.write(tmp_path / "a.wav", 8000, values)
    assert to_reals(read_wav(tmp_path / "a.wav").samples)[:, 0].tolist() == values.tolist()


@for_all(
    "quantiser", (Linear(-1.0, 1.0), Linear(-128.0, 256.0, 128), Linear(-0.5, 0.5, 7), MuLaw())
)
def test_bins_survive_a_file(tmp_path: Path, quantiser: SignalBins) -> None:
    k = np.arange(quantiser.bins, dtype=np.uint8)[:, None]
    write_wav(tmp_path / "a.wav", to_samples(k, quantiser, 16), 8000)
    samples = read_wav(tmp_path / "a.wav").samples
    assert np.array_equal(to_bins(samples, quantiser), k)
    assert is_representable(samples, quantiser)


def test_every_file_of_8_bits_is_representable_by_equal_bins_and_one_of_16_is_not() -> None:
    quantiser = Linear(-1.0, 1.0)
    assert is_representable(noise(np.dtype(np.uint8), (999, 1)), quantiser)
    assert not is_representable(noise(np.dtype(np.int16), (999, 1)), quantiser)
    assert not is_representable(np.zeros((9, 1), np.float32), quantiser)


def damaged(path: Path) -> Iterator[str]:
    """Write one hostile file after the other, and yield what its refusal has to name."""
    by_the_library(path, bytes(2000), 1, 2)
    good = path.read_bytes()
    place = good.index(b"data") + 4

    def written(data: bytes) -> None:
        path.write_bytes(data)

    written(good[:30])
    yield "cannot be read"
    written(good[:place])
    yield "cannot be read|holds no samples"
    written(b"RIFF")
    yield "cannot be read|holds no samples"
    written(good[:22] + struct.pack("<H", 0) + good[24:])  # no channels
    yield "cannot be read|holds no samples"
    written(good[:22] + struct.pack("<HIIH", 1000, 8000, 16_000_000, 2000) + good[34:])
    yield "channels"
    written(good[:20] + struct.pack("<H", 7) + good[22:])  # of G.711, which is not PCM
    yield "cannot be read|holds no samples"
    written(good[:place] + struct.pack("<I", 0))
    yield "no samples"
    header = good[:20] + struct.pack("<HHIIHH", 3, 1, 8000, 32_000, 4, 32) + good[36:place]
    written(header + struct.pack("<I", 8) + struct.pack("<ff", 0.5, float("nan")))
    yield "no finite numbers"


def test_hostile_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for message in damaged(path):
        with pytest.raises(ValueError, match=message) as refusal:
            read_wav(path)
        assert str(refusal.value).startswith(str(path))
        assert "\n" not in str(refusal.value)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="no regular file"):
        read_wav(path)


def test_a_header_that_declares_too_much_allocates_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    by_the_library(path, bytes(2000), 1, 2)
    good = path.read_bytes()
    place = good.index(b"data") + 4
    path.write_bytes(
        good[:4] + b"\xff" * 4 + good[8:place] + b"\xf0\xff\xff\x7f" + good[place + 4 :]
    )
    read_wav(path)  # what is imported late is not counted
    tracemalloc.start()
    assert len(read_wav(path).samples) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
