"""Recordings are coded from WAV to WAV, exactly, by a small model of 1 × 64 samples."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from mrvae.compression import (
    CodingModel,
    CodingNetwork,
    Pictures,
    pack,
    pack_layers,
    read_container,
    unpack,
    wav_files,
)
from mrvae.compression.format.header import header_from_bytes, header_to_bytes
from mrvae.data.signals.quantisers import quantiser_of
from mrvae.data.signals.wav import read_wav, to_bins, to_samples, write_wav
from mrvae.models import ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.recipes.data import LinearSpec, MuLawSpec, SignalSpec
from mrvae.recipes.schema import LogisticMixturePixels

LAWS = (MuLawSpec(), LinearSpec())
RATE = 8000


@cache
def model() -> CodingModel:
    """Return a model with random weights of two channels of 1 × 64 samples."""
    torch.manual_seed(3)
    levels = parse_levels("64x1,64d8,8x1", "8x1,64m8", [8], [2], image=(1, 64))
    frame = ImageFrame(2, (1, 64), (1, 64), 127.5, 64.0, 256)
    likelihood = LogisticMixturePixels(bins=256, components=2)
    network = hierarchy(levels, frame, likelihood, bottleneck=0.5).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return CodingModel(Path("signals"), bytes(32), CodingNetwork.of(network))


def record(folder: Path, law: MuLawSpec | LinearSpec, depth: int) -> tuple[Path, ...]:
    """Write recordings, some not a multiple of a window, whose samples are values of bins."""
    stream = np.random.default_rng(0)
    paths = []
    for length in (64, 200, 1):
        k = (128 + 20 * stream.standard_normal((length, 2))).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{length}.wav")
        write_wav(paths[-1], to_samples(k, quantiser_of(law, 256), depth), RATE)
    return tuple(paths)


def recordings(paths: tuple[Path, ...], law: MuLawSpec | LinearSpec, rounded: bool) -> Pictures:
    files = wav_files(paths, SignalSpec(rate=RATE, quantiser=law), 256, rounded)
    return Pictures(paths, model().network, files)


@pytest.mark.parametrize(("law", "depth"), [(LAWS[0], 16), (LAWS[1], 8), (LAWS[1], 16)])
def test_what_is_decoded_is_the_file_that_was_given(
    law: MuLawSpec | LinearSpec, depth: int, tmp_path: Path
) -> None:
    paths = record(tmp_path, law, depth)
    coded = tmp_path / "a.mrv"
    for layered in (False, True):
        if layered:
            pack_layers(model(), recordings(paths, law, rounded=False), coded)
        else:
            pack(model(), recordings(paths, law, rounded=False), coded, rounds=0)
        out = tmp_path / f"out {layered}"
        written = unpack(read_container(coded, large=True), model(), out)
        assert [path.name for path in written] == [path.name for path in paths]
        for path, decoded in zip(paths, written, strict=True):
            assert decoded.read_bytes() == path.read_bytes()


def test_samples_between_the_bins_are_refused_or_rounded_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(2).integers(-9000, 9000, (100, 2)).astype(np.int16)
    write_wav(path, samples, RATE)
    with pytest.raises(ValueError, match=r"of 200 samples are no values.*--quantise rounds"):
        pack(model(), recordings((path,), LAWS[0], rounded=False), tmp_path / "a.mrv", rounds=0)
    assert not (tmp_path / "a.mrv").exists()
    pack(model(), recordings((path,), LAWS[0], rounded=True), tmp_path / "a.mrv", rounds=0)
    container = read_container(tmp_path / "a.mrv", large=True)
    (decoded,) = unpack(container, model(), tmp_path / "out")
    quantiser = quantiser_of(LAWS[0], 256)
    expected = to_samples(to_bins(samples, quantiser), quantiser, 16)
    assert np.array_equal(read_wav(decoded).samples, expected)


def test_recordings_of_another_kind_are_refused(tmp_path: Path) -> None:
    (path, *_) = record(tmp_path, LAWS[1], 8)
    mono, fast, deep = (tmp_path / name for name in ("mono.wav", "fast.wav", "deep.wav"))
    write_wav(mono, np.zeros((9, 1), np.uint8), RATE)
    write_wav(fast, np.zeros((9, 2), np.uint8), RATE + 1)
    write_wav(deep, np.zeros((9, 2), np.int16), RATE)
    for other, message in (
        (mono, "has 1 channels; this model's signals 2"),
        (fast, "8,001 samples a second, and the recipe 8,000"),
        (deep, "has 16 bits a sample, and the recordings before it 8"),
    ):
        with pytest.raises(ValueError, match=message):
            recordings((path, other), LAWS[1], rounded=False)


def test_a_header_keeps_what_is_said_of_recordings_and_refuses_nonsense(tmp_path: Path) -> None:
    paths = record(tmp_path, LAWS[0], 16)
    pack(model(), recordings(paths, LAWS[0], rounded=False), tmp_path / "a.mrv", rounds=0)
    header = read_container(tmp_path / "a.mrv", large=True).header
    assert header.signal is not None
    assert header_from_bytes(tmp_path, header_to_bytes(header)) == header
    for wrong in (
        replace(header.signal, rate=0),
        replace(header.signal, depth=24),
        replace(header.signal, lowest=2.0),
        replace(header.signal, highest=float("nan")),
    ):
        body = header_to_bytes(replace(header, signal=wrong))
        with pytest.raises(ValueError, match="is damaged: its header cannot be read"):
            header_from_bytes(tmp_path, body)
