"""From signals of any length to windows of one.

``Sliding`` takes every window of T samples whose start is a multiple of the stride; what is left
over at the end, fewer than a stride and a window, is in none. ``Padded`` takes one window a signal,
continues it by zeros, and knows how many samples are the signal's own, so that the padding need not
be scored.
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

    Example:
        >>> signal = np.arange(5, dtype=np.float32)[None]
        >>> Sliding(length=3, stride=2).of([signal]).values.tolist()
        [[[[0.0, 1.0, 2.0]]], [[[2.0, 3.0, 4.0]]]]

    """

    length: int
    stride: int

    def __post_init__(self) -> None:
        _check_positive(self.length, "length")
        _check_positive(self.stride, "stride")

    def count(self, samples: int) -> int:
        """Return the number of windows of a signal."""
        return max(0, (samples - self.length) // self.stride + 1)

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
        values = torch.empty(sum(counts), signals[0].shape[0], 1, self.length)
        row = 0
        for signal, count in zip(signals, counts, strict=True):
            for start in range(0, count * self.stride, self.stride):
                values[row, :, 0] = torch.from_numpy(signal[:, start : start + self.length])
                row += 1
        return Windows(values, torch.full((len(values),), self.length))


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
