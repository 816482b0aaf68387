r"""Numbers become bins 0 … n-1, and bins numbers.

A quantiser is an increasing map f of the range [a, b] onto [0, n]:

    bin(x) = ⌊f(x)⌋, cut to 0 … n-1,        value(k) = f⁻¹(k + ½).

So bin(value(k)) = k exactly, bin is monotone, and x and value(bin(x)) lie in one bin, if x lies
in the range; what is beyond goes to the outermost bin. A likelihood of bins is a likelihood of the
quantised signal: its bits count the bins, and nothing is known of where in its bin a sample was.

    linear    f(x) = n (x - a)/(b - a)
    μ-law     f(x) = n (F(x) + 1)/2 on [-1, 1],   F(x) = sgn(x) ln(1 + μ|x|)/ln(1 + μ),  μ = 255

The second is that of ITU-T G.711 without its approximation by line segments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrvae.recipes.data import LinearSpec, SignalQuantiser

Reals = NDArray[np.float64]
Bins = NDArray[np.uint8]

_MU = 255.0


class SignalBins(Protocol):
    """A map from numbers to bins and back."""

    @property
    def bins(self) -> int:
        """Number of bins n, at most 256."""

    @property
    def lowest(self) -> float:
        """The lower end a of the range."""

    @property
    def highest(self) -> float:
        """The upper end b of the range."""

    def encode(self, x: Reals) -> Bins:
        """Return the bins of numbers, of their shape."""

    def decode(self, k: Bins) -> Reals:
        """Return the middles of bins, of their shape."""


@dataclass(frozen=True)
class Linear:
    """Equal bins over [a, b).

    Example:
        >>> quantiser = Linear(-1.0, 1.0, bins=4)
        >>> quantiser.encode(np.array([-2.0, -0.6, 0.1, 1.0])).tolist()
        [0, 0, 2, 3]
        >>> quantiser.decode(np.arange(4, dtype=np.uint8)).tolist()
        [-0.75, -0.25, 0.25, 0.75]
    """

    lowest: float
    highest: float
    bins: int = 256

    def encode(self, x: Reals) -> Bins:
        """Return the bins of numbers, of their shape."""
        place = (x - self.lowest) * (self.bins / (self.highest - self.lowest))
        return _cut(place, self.bins)

    def decode(self, k: Bins) -> Reals:
        """Return the middles of bins, of their shape."""
        step = (self.highest - self.lowest) / self.bins
        return self.lowest + (k.astype(np.float64) + 0.5) * step


@dataclass(frozen=True)
class MuLaw:
    """Bins of equal width in the logarithm of the amplitude.

    Source: ITU-T Recommendation G.711 (1988); A. van den Oord et al., WaveNet, 2016, section 2.2.

    Example:
        >>> quantiser = MuLaw()
        >>> quantiser.encode(np.array([-1.0, -0.01, 0.0, 0.01, 1.0])).tolist()
        [0, 98, 128, 157, 255]
        >>> [round(float(v), 5) for v in quantiser.decode(np.array([127, 128, 255], np.uint8))]
        [-9e-05, 9e-05, 0.97849]
    """

    bins: int = 256
    lowest: float = -1.0
    highest: float = 1.0

    def encode(self, x: Reals) -> Bins:
        """Return the bins of numbers, of their shape."""
        size = np.log1p(_MU * np.minimum(np.abs(x), 1.0)) / math.log1p(_MU)
        return _cut((np.copysign(size, x) + 1.0) * (self.bins / 2), self.bins)

    def decode(self, k: Bins) -> Reals:
        """Return the middles of bins, of their shape."""
        y = (k.astype(np.float64) + 0.5) * (2 / self.bins) - 1.0
        size = np.expm1(np.abs(y) * math.log1p(_MU)) / _MU
        return np.copysign(size, y)


def quantiser_of(spec: SignalQuantiser, bins: int) -> SignalBins:
    """Return the quantiser that a recipe names, with the number of bins of its likelihood.

    Example:
        >>> quantiser_of(LinearSpec(lowest=-2.0, highest=2.0), bins=64)
        Linear(lowest=-2.0, highest=2.0, bins=64)
    """
    if isinstance(spec, LinearSpec):
        return Linear(spec.lowest, spec.highest, bins)
    return MuLaw(bins)


def _cut(place: Reals, bins: int) -> Bins:
    """Return the whole numbers below places on [0, bins], the ends included."""
    return np.clip(np.floor(place), 0, bins - 1).astype(np.uint8)
