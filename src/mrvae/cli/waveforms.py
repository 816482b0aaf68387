"""Signals as one picture: the waveform of each above its spectrogram.

A column of the waveform spans the least and the largest of its samples, on [-1, 1] or the range of
all signals if that is larger. A spectrogram has time to the right and frequency upwards, from 0 to
half the rate: magnitudes |X| of Hann windows in decibels, 20 lg |X|, from 60 below the largest of
the signal (black) to it (white).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Reals = NDArray[np.float64]

WIDTH, WAVE, SPECTRUM, GAP = 320, 56, 80, 6
"""Pixels of a signal: its width, the heights of waveform and spectrogram, and what is around."""

_DECIBELS = 60.0
_LONGEST_FRAME = 256
_MOST_PIXELS = 1 << 27
_PAPER, _INK, _LINE = 255, (24, 60, 120), 128
# Black, violet, orange and white, evenly spaced.
_COLOURS = np.array([[0, 0, 0], [110, 30, 140], [240, 130, 40], [255, 255, 240]], np.float64)


def draw(signals: Reals, columns: int = 4) -> Pixels:
    """Return a picture (H, W, 3) of signals (N, T), row by row.

    Raises:
        ValueError: if there is no signal, or none has a sample.

    Example:
        >>> time = np.arange(800) / 8000
        >>> draw(np.sin(2 * np.pi * 1000 * time)[None], columns=1).shape
        (154, 332, 3)
    """
    if signals.ndim != 2 or 0 in signals.shape:
        raise ValueError(f"signals have shape {signals.shape}; expected (N, T), neither of them 0")
    columns = min(columns, len(signals))
    rows = math.ceil(len(signals) / columns)
    height, width = WAVE + SPECTRUM + GAP, WIDTH + GAP
    picture = np.full((rows * height + 2 * GAP, columns * width + GAP, 3), _LINE, np.uint8)
    largest = max(1.0, float(np.abs(signals).max()))
    for index, signal in enumerate(signals):
        row, column = divmod(index, columns)
        top, left = GAP + row * height, GAP + column * width
        place = picture[top:, left : left + WIDTH]
        place[:WAVE] = waveform(signal / largest)
        place[WAVE : WAVE + SPECTRUM] = spectrogram(signal)
    return picture


def most_signals() -> int:
    """Return how many signals :func:`draw` can put into a picture of 2²⁷ pixels.

    Example:
        >>> most_signals() > 2_000
        True
    """
    return _MOST_PIXELS // ((WIDTH + GAP) * (WAVE + SPECTRUM + GAP)) - 1


def waveform(signal: Reals) -> Pixels:
    """Return the waveform of a signal (T,) on [-1, 1]."""
    picture = np.full((WAVE, WIDTH, 3), _PAPER, np.uint8)
    edges = np.linspace(0, len(signal), WIDTH + 1)
    for column in range(WIDTH):
        # One sample more, so that the line has no gaps.
        first, end = int(edges[column]), math.ceil(edges[column + 1]) + 1
        part = signal[first:end]
        high, low = ((1 - value) / 2 * (WAVE - 1) for value in (part.max(), part.min()))
        picture[round(high) : round(low) + 1, column] = _INK
    return picture


def spectrogram(signal: Reals) -> Pixels:
    """Return the spectrogram of a signal (T,)."""
    decibels = 20 * np.log10(np.maximum(_magnitudes(signal), 1e-12))
    share = np.clip(1 + (decibels - decibels.max()) / _DECIBELS, 0, 1)
    frequencies, times = share.shape
    rows = np.arange(SPECTRUM)[::-1] * frequencies // SPECTRUM
    columns = np.arange(WIDTH) * times // WIDTH
    shown = share[rows][:, columns]
    stops = np.linspace(0, 1, len(_COLOURS))
    colours = [np.interp(shown, stops, channel) for channel in _COLOURS.T]
    return np.stack(colours, axis=-1).round().astype(np.uint8)


def _magnitudes(signal: Reals) -> Reals:
    """Return |X| by frequency and time, of frames that overlap by three quarters."""
    length = min(_LONGEST_FRAME, 1 << max(3, int(math.log2(max(len(signal) / 8, 1)))))
    padded = np.pad(signal - signal.mean(), (0, max(0, length - len(signal))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: max(1, length // 4)]
    spectrum: Reals = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)).T
    return spectrum
