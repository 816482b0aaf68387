"""Real values become bins 0 … n-1, and bins the midpoints of their values.

``LinearBins`` cuts [low, high) into n pieces of one length Δ = (high - low) / n,

    k(x) = ⌊(x - low) / Δ⌋,        x̂(k) = low + (k + ½) Δ.

``MuLawBins`` does the same to y = sign(x) ln(1 + μ|x|) / ln(1 + μ) on [-1, 1] (ITU-T G.711 without
its piecewise approximation), so that quiet samples have finer bins. In both, k(x̂(k)) = k exactly,
and a value beyond the range is in the first or the last bin. PCM of b bits is
v = 0 … 2^b - 1 on [-1, 1): ``LinearBins(-1, 1, 2**b)`` takes it apart without loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

_MOST_BINS = 1 << 16


@dataclass(frozen=True)
class LinearBins:
    """Bins of one length on [low, high).

    Raises ``ValueError`` for fewer than 2 or more than 65,536 bins, or an empty range.

    Example:
        >>> import torch
        >>> quarter = LinearBins(-1.0, 1.0, 4)
        >>> quarter.bins_of(torch.tensor([-1.0, -0.1, 0.0, 7.0])).tolist()
        [0, 1, 2, 3]
        >>> quarter.midpoints(torch.arange(4)).tolist()
        [-0.75, -0.25, 0.25, 0.75]

    """

    low: float = -1.0
    high: float = 1.0
    bins: int = 256

    def __post_init__(self) -> None:
        _check_bins(self.bins)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"the range is {self.low}…{self.high}; give finite numbers, the lower one first"
            )

    def bins_of(self, values: Tensor) -> Tensor:
        """Return the bin of each value, int64 of the same shape."""
        share = (values.double() - self.low) / (self.high - self.low)
        return (share * self.bins).floor().clamp(0, self.bins - 1).long()

    def midpoints(self, bins: Tensor) -> Tensor:
        """Return the midpoint of each bin, float64 of the same shape."""
        return self.low + (bins.double() + 0.5) * ((self.high - self.low) / self.bins)

    def outside(self, values: Tensor) -> int:
        """Return how many values are beyond the range, and change when they are binned."""
        return int(((values < self.low) | (values > self.high)).sum())


@dataclass(frozen=True)
class MuLawBins:
    """Bins of one length of a compressed amplitude, on [-1, 1].

    Raises ``ValueError`` for fewer than 2 or more than 65,536 bins, or μ that is not positive.

    Example:
        >>> import torch
        >>> law = MuLawBins()
        >>> law.bins_of(torch.tensor([-1.0, 0.0, 1.0])).tolist()
        [0, 128, 255]

    """

    bins: int = 256
    mu: float = 255.0

    def __post_init__(self) -> None:
        _check_bins(self.bins)
        if not 0 < self.mu <= 1e6:
            raise ValueError(f"mu is {self.mu}; it must be in (0, 1,000,000]")

    def bins_of(self, values: Tensor) -> Tensor:
        """Return the bin of each value, int64 of the same shape."""
        real = values.double()
        compressed = real.sign() * (self.mu * real.abs()).log1p() / math.log1p(self.mu)
        return self._linear.bins_of(compressed)

    def midpoints(self, bins: Tensor) -> Tensor:
        """Return the value whose compressed amplitude is the midpoint of each bin, float64."""
        compressed = self._linear.midpoints(bins)
        return compressed.sign() * (compressed.abs() * math.log1p(self.mu)).expm1() / self.mu

    def outside(self, values: Tensor) -> int:
        """Return how many values are beyond [-1, 1], and change when they are binned."""
        return self._linear.outside(values)

    @property
    def _linear(self) -> LinearBins:
        return LinearBins(-1.0, 1.0, self.bins)


Quantiser = LinearBins | MuLawBins


def _check_bins(bins: int) -> None:
    if not 2 <= bins <= _MOST_BINS:
        raise ValueError(f"bins is {bins}; it must be in 2…{_MOST_BINS:,}")
