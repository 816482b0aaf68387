"""Signals are read exactly, cut or padded into windows, and binned and back without loss."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import wavfile

from mrvae.data import SPLITS
from mrvae.data.signals import LinearBins, MuLawBins, Padded, Sliding, load_signals, series, wav

RATE = 8000


def noise(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-1, 1, shape)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def fmt(encoding: int, bits: int, channels: int = 1, rate: int = RATE) -> tuple[bytes, bytes]:
    frame = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", encoding, channels, rate, rate * frame, frame, bits)


def test_recordings_of_every_encoding_are_read_exactly(tmp_path: Path) -> None:
    """What SciPy writes, and for 24 bits what it reads."""
    path = tmp_path / "x.wav"
    for channels in (1, 2, 5):
        frames = noise(301, channels)
        for encoded, scale in (
            ((frames * 127 + 128).astype(np.uint8), 128),
            ((frames * 32_767).astype(np.int16), 2**15),
            (frames.astype(np.float32), 1),
            (frames, 1),
        ):
            wavfile.write(path, RATE, encoded)
            expected = (encoded.astype(np.float64) - 128 * (scale == 128)) / scale
            assert np.array_equal(wav.read(path), expected.T.astype(np.float32)), encoded.dtype
            declared = wav.declared(path)
            assert (declared.rate, declared.channels, declared.samples) == (RATE, channels, 301)
        raw = np.random.default_rng(1).integers(0, 256, 301 * channels * 3, np.uint8).tobytes()
        odd = (b"LIST", b"odd")
        path.write_bytes(riff(odd, fmt(1, 24, channels), odd, (b"data", raw), odd))
        _, expected = wavfile.read(io.BytesIO(riff(fmt(1, 24, channels), (b"data", raw))))
        expected = expected.reshape(301, channels).T / 2**31
        assert np.array_equal(wav.read(path), expected.astype(np.float32))


def test_every_sample_of_pcm_is_recovered_from_its_bin(tmp_path: Path) -> None:
    every = np.arange(-(2**15), 2**15).astype(np.int16)
    wavfile.write(tmp_path / "x.wav", RATE, every)
    quantiser = LinearBins(-1.0, 1.0, 2**16)
    bins = quantiser.bins_of(torch.from_numpy(wav.read(tmp_path / "x.wav")))
    assert torch.equal(bins, torch.arange(2**16)[None])


def test_midpoints_lie_in_their_bins_and_near_the_values() -> None:
    values = torch.from_numpy(noise(10_000))
    for quantiser in (
        LinearBins(),
        LinearBins(-0.3, 0.7, 17),
        LinearBins(-1e-3, 1e5, 65_536),
        MuLawBins(),
        MuLawBins(2),
        MuLawBins(255, mu=15.0),
    ):
        every = torch.arange(quantiser.bins)
        midpoints = quantiser.midpoints(every)
        assert torch.equal(quantiser.bins_of(midpoints), every)
        assert bool((midpoints.diff() > 0).all())
        inside = values[(values >= midpoints[0]) & (values <= midpoints[-1])]
        if not len(inside):
            continue
        found = quantiser.bins_of(inside)
        # A value is nearer to its midpoint than the midpoints beside it are.
        below = midpoints[(found - 1).clamp(min=0)]
        above = midpoints[(found + 1).clamp(max=quantiser.bins - 1)]
        assert bool(((inside >= below) & (inside <= above)).all())
    linear = LinearBins(-0.3, 0.7, 17)
    inside = values[(values >= -0.3) & (values < 0.7)]
    errors = (linear.midpoints(linear.bins_of(inside)) - inside).abs()
    assert float(errors.max()) <= 0.5 / 17 + 1e-12
    assert linear.outside(values) == int(((values < -0.3) | (values > 0.7)).sum())
    assert linear.bins_of(torch.tensor([-9.0, 9.0])).tolist() == [0, 16]


def test_mu_law_is_that_of_the_standard() -> None:
    x = torch.linspace(-1, 1, 999, dtype=torch.float64)
    y = x.sign() * (1 + 255 * x.abs()).log() / np.log(256)
    assert torch.equal(MuLawBins().bins_of(x), ((y + 1) * 128).floor().clamp(max=255).long())
    fine = MuLawBins().midpoints(torch.arange(256)).diff()
    assert float(fine[0] / fine[128]) > 200


def test_windows_are_parts_of_signals_and_know_what_is_padding() -> None:
    signals = [noise(2, length, seed=length).astype(np.float32) for length in (5, 12, 30)]
    for length, stride in ((5, 5), (5, 2), (12, 7), (30, 1)):
        windows = Sliding(length, stride).of(signals)
        expected = [
            signal[:, start : start + length]
            for signal in signals
            for start in range(0, signal.shape[1] - length + 1, stride)
        ]
        assert np.array_equal(windows.values[:, :, 0].numpy(), np.stack(expected))
        assert windows.lengths.tolist() == [length] * len(expected)
    padded = Padded(32).of(signals)
    assert padded.lengths.tolist() == [5, 12, 30]
    for row, signal in zip(padded.values[:, :, 0].numpy(), signals, strict=True):
        assert np.array_equal(row[:, : signal.shape[1]], signal)
        assert not row[:, signal.shape[1] :].any()
    for windowing in (Padded(29), Sliding(31, 1)):
        with pytest.raises(ValueError, match=r"choose a (longer|shorter) window"):
            windowing.of(signals)


def test_splits_of_a_folder_are_of_whole_recordings(tmp_path: Path) -> None:
    for number in range(20):
        wavfile.write(tmp_path / f"{number:02}.wav", RATE, np.full(40, number, np.int16))
    splits = [load_signals(str(tmp_path), split, Sliding(10, 10)) for split in SPLITS]
    held = [set((s.values[:, 0, 0, 0] * 2**15).int().tolist()) for s in splits]
    assert [len(s) for s in splits] == [64, 8, 8]
    assert set.union(*held) == set(range(20))
    assert sum(map(len, held)) == 20
    assert splits[0].rate == RATE
    wavfile.write(tmp_path / "other.wav", RATE, np.zeros((40, 2), np.int16))
    with pytest.raises(ValueError, match="20 of 1 × 8,000 Hz, 1 of 2 × 8,000 Hz; convert"):
        load_signals(str(tmp_path), "train", Sliding(10, 10))


def test_arrays_and_tables_are_series_of_numbers(tmp_path: Path) -> None:
    values = noise(30, 12).astype(np.float32)
    np.save(tmp_path / "flat.npy", values)
    np.save(tmp_path / "deep.npy", np.asfortranarray(values.astype(np.float64)[:, None]))
    np.savez_compressed(tmp_path / "set.npz", x_train=values[:20], x_test=values[20:])
    np.savetxt(tmp_path / "table.csv", values, delimiter=",")
    whole = {}
    for name in ("flat.npy", "deep.npy", "table.csv"):
        found = [load_signals(str(tmp_path / name), split, Padded(16)) for split in SPLITS]
        assert [len(s) for s in found] == [24, 3, 3]
        whole[name] = torch.cat([s.values for s in found])
        assert set(whole[name][:, 0, 0, 0].tolist()) == set(values[:, 0].tolist())
        assert torch.equal(found[0].own.sum((1, 2, 3)), torch.full((24,), 12))
    assert torch.equal(whole["flat.npy"], whole["deep.npy"])
    assert torch.equal(whole["flat.npy"], whole["table.csv"])
    test = load_signals(str(tmp_path / "set.npz"), "test", Sliding(12, 1), rate=360.0)
    assert torch.equal(test.values[:, 0, 0], torch.from_numpy(values[20:]))
    assert test.rate == 360.0


HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty.wav": (b"", "is no WAV file"),
    "text.wav": (b"hello, this is text", "is no WAV file"),
    "huge.wav": (
        riff(fmt(1, 16))[: -0 or None] + b"data" + struct.pack("<I", 2**32 - 2) + bytes(8),
        r"declares 4,294,967,294 bytes of samples and has 8",
    ),
    "none.wav": (riff(fmt(1, 16)), "holds no samples"),
    "zero.wav": (riff(fmt(1, 16), (b"data", b"")), "holds no samples"),
    "early.wav": (riff((b"data", bytes(8)), fmt(1, 16)), "lacks a fmt chunk"),
    "mp3.wav": (riff(fmt(85, 16), (b"data", bytes(8))), "encoding 85 of 16 bits"),
    "wide.wav": (riff(fmt(1, 32), (b"data", bytes(8))), "encoding 1 of 32 bits"),
    "many.wav": (riff(fmt(1, 8, 65), (b"data", bytes(65))), "declares 65 channels"),
    "still.wav": (riff(fmt(1, 8, rate=0), (b"data", bytes(8))), "of 0 Hz"),
    "short.wav": (riff((b"fmt ", bytes(8)), (b"data", bytes(8))), "header is damaged"),
    "nan.wav": (riff(fmt(3, 32), (b"data", b"\0\0\xc0\x7f")), "not finite"),
    "word.csv": (b"1,2\ntime,3\n", "row 2: could not convert"),
    "nan.csv": (b"1,nan\n", "row 1: holds a number that is not finite"),
    "empty.csv": (b"\n\n", "holds no series"),
    "binary.csv": (bytes(range(128, 256)), "cannot be read"),
}


def test_hostile_files_are_refused_in_one_line_that_names_them(tmp_path: Path) -> None:
    for name, (data, message) in HOSTILE.items():
        path = tmp_path / name
        path.write_bytes(data)
        read = series.read if path.suffix == ".csv" else wav.read
        with pytest.raises(ValueError, match=f"^{path}.*{message}") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.full((3, 4), np.nan))
    np.save(tmp_path / "line.npy", np.zeros(9))
    with (tmp_path / "huge.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 4)}
        np.lib.format.write_array_header_1_0(file, header)
    for name in ("objects", "nan", "line", "huge"):
        with pytest.raises(ValueError, match=rf"{name}\.npy: "):
            load_signals(str(tmp_path / f"{name}.npy"), "train", Padded(8))


def test_random_changes_of_a_recording_are_read_or_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    wavfile.write(stream, RATE, (noise(64, 2) * 32_767).astype(np.int16))
    whole, path = stream.getvalue(), tmp_path / "x.wav"
    random = np.random.default_rng(3)
    problems = []
    for trial in range(200):
        data = bytearray(whole[: random.integers(1, len(whole)) if trial % 4 == 0 else None])
        data[random.integers(0, min(len(data), 60))] = random.integers(256)
        path.write_bytes(data)
        try:
            assert np.isfinite(wav.read(path)).all()
        except ValueError as error:
            problems.append(str(error))
    assert 50 <= len(problems) < 200
    assert all(problem.startswith(str(path)) for problem in problems)
