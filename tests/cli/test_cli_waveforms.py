from __future__ import annotations

import numpy as np
import pytest

from mrvae.cli.waveforms import GAP, SPECTRUM, WAVE, WIDTH, draw, spectrogram, waveform

RATE = 8000
TIME = np.arange(4096) / RATE


def test_a_tone_is_bright_at_its_frequency_only() -> None:
    for frequency in (500, 1500, 3200):
        picture = spectrogram(np.sin(2 * np.pi * frequency * TIME)).astype(int).sum(axis=2)
        rows = picture.mean(axis=1)
        place = SPECTRUM - 1 - int(frequency / (RATE / 2) * SPECTRUM)
        assert abs(int(rows.argmax()) - place) <= 1
        far = np.abs(np.arange(SPECTRUM) - place) > 6
        assert rows[far].max() < 0.1 * rows.max()


def test_a_spectrogram_has_time_to_the_right() -> None:
    late = np.where(np.arange(4096) < 3072, 0, np.sin(2 * np.pi * 1000 * TIME))
    bright = spectrogram(late).astype(int).sum(axis=(0, 2))
    assert bright[: WIDTH // 2].max() < 0.2 * bright[-WIDTH // 8 :].min()


def test_a_waveform_shows_least_and_largest_of_each_column() -> None:
    signal = np.zeros(4096)
    signal[1024:2048] = 1.0
    signal[3072:] = -1.0
    ink = waveform(signal)[..., 0] < 255
    top, bottom = (ink.argmax(axis=0), WAVE - 1 - ink[::-1].argmax(axis=0))
    assert top[WIDTH * 3 // 8] == bottom[WIDTH * 3 // 8] == 0
    assert top[WIDTH * 7 // 8] == bottom[WIDTH * 7 // 8] == WAVE - 1
    assert abs(int(top[WIDTH // 8]) - (WAVE - 1) / 2) <= 1


def test_signals_stand_in_rows_and_nothing_is_refused_but_nothing() -> None:
    signals = np.stack([np.sin(2 * np.pi * f * TIME) for f in (300, 900, 2000)])
    picture = draw(signals, columns=2)
    for index, signal in enumerate(signals):
        row, column = divmod(index, 2)
        top, left = GAP + row * (WAVE + SPECTRUM + GAP), GAP + column * (WIDTH + GAP)
        assert np.array_equal(picture[top : top + WAVE, left : left + WIDTH], waveform(signal))
    draw(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="signals have shape"):
        draw(np.zeros((0, 5)))
