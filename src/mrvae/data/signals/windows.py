"""From signals of any length to windows of one.

``Sliding`` takes every window of T samples whose start is a multiple of the stride; what is left
over at the end is in none, or begins a last one. ``Padded`` takes one window a signal. A window
that is longer than what is left of its signal is continued by zeros, and it is known how many
samples are the signal's own, so that the padding need not be scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Series = NDArray[np.float32]
"""A signal of shape (C, T)."""


@dataclass(frozen=True)
class Windows:
    """Windows (N, C, 1, T), and how many samples at the beginning of each are its own (N,)."""

    values: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Sliding:
    """Windows of ``length`` samples whose starts are ``stride`` samples apart.

    With ``keep_rest`` the samples behind the last whole window begin one more, which is padded; so
    a signal that is shorter than a window gives one too.

    Example:
        >>> signal = np.arange(5, dtype=np.float32)[None]
        >>> Sliding(length=3, stride=2).of([signal]).values.tolist()
        [[[[0.0, 1.0, 2.0]]], [[[2.0, 3.0, 4.0]]]]
        >>> Sliding(length=4, stride=4, keep_rest=True).of([signal]).lengths.tolist()
        [4, 1]

    """

    length: int
    stride: int
    keep_rest: bool = False

    def __post_init__(self) -> None:
        _check_positive(self.length, "length")
        _check_positive(self.stride, "stride")

    def count(self, samples: int) -> int:
        """Return the number of windows of a signal."""
        whole = max(0, (samples - self.length) // self.stride + 1)
        rest = self.keep_rest and whole * self.stride < samples
        covered = whole > 0 and (whole - 1) * self.stride + self.length >= samples
        return whole + int(rest and not covered)

    def of(self, signals: Sequence[Series]) -> Windows:
        """Return the windows of signals, one signal after the other.

        Raises ``ValueError`` if no signal is as long as a window.
        """
        counts = [self.count(signal.shape[1]) for signal in signals]
        if not sum(counts):
            longest = max((signal.shape[1] for signal in signals), default=0)
            raise ValueError(
                f"no signal has the {self.length:,} samples of a window; the longest has "
                f"{longest:,}, choose a shorter window"
            )
        values = torch.zeros(sum(counts), signals[0].shape[0], 1, self.length)
        lengths = torch.empty(len(values), dtype=torch.long)
        row = 0
        for signal, count in zip(signals, counts, strict=True):
            for start in range(0, count * self.stride, self.stride):
                own = torch.from_numpy(signal[:, start : start + self.length])
                values[row, :, 0, : own.shape[1]] = own
                lengths[row] = own.shape[1]
                row += 1
        return Windows(values, lengths)


@dataclass(frozen=True)
class Padded:
    """One window of ``length`` samples for each signal, continued by zeros.

    Example:
        >>> windows = Padded(4).of([np.ones((1, 3), np.float32)])
        >>> windows.values.flatten().tolist(), windows.lengths.tolist()
        ([1.0, 1.0, 1.0, 0.0], [3])

    """

    length: int

    def __post_init__(self) -> None:
        _check_positive(self.length, "length")

    def count(self, samples: int) -> int:
        """Return the number of windows of a signal."""
        return 1

    def of(self, signals: Sequence[Series]) -> Windows:
        """Return a window for each signal.

        Raises ``ValueError`` if there is none, or one is longer than a window.
        """
        lengths = [signal.shape[1] for signal in signals]
        if not lengths or max(lengths) > self.length:
            raise ValueError(
                f"signals have up to {max(lengths, default=0):,} samples, and a padded window has "
                f"{self.length:,}; choose a longer window, or sliding ones"
            )
        values = torch.zeros(len(signals), signals[0].shape[0], 1, self.length)
        for row, signal in zip(values, signals, strict=True):
            row[:, 0, : signal.shape[1]] = torch.from_numpy(signal)
        return Windows(values, torch.tensor(lengths))


Windowing = Sliding | Padded


def _check_positive(value: int, name: str) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")
