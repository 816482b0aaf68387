"""Distributions of integer symbols, as the entropy coder takes them.

Probabilities are multiples of 2⁻²⁴, none of them zero. They are made of integers, or of floats that
were rounded to a coarse grid before, and so are the same integers in the encoder and the decoder.
``bits`` is -log₂ of the probability with that floor, so that it is what the message grows by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from mrvae.models.finite import NOT_FINITE

Symbols = NDArray[np.int32]

_FAMILIES = constriction.stream.model
_SMALLEST = 2.0**-24


class SymbolModel(Protocol):
    """Independent distributions of n symbols, one for each."""

    @property
    def count(self) -> int:
        """Number of symbols n."""
        ...

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        ...

    def family(self) -> tuple[object, ...]:
        """Return constriction's family, and its parameters."""
        ...


@dataclass(frozen=True, eq=False)
class SymbolTable:
    """Distributions of n symbols 0 … m-1 by integer weights, P(s) = w_s / Σ w.

    Args:
        weights: positive integers below 2¹⁸, of any number type, (n, m).

    Example:
        >>> SymbolTable(np.array([[3, 1]])).bits(np.array([1], dtype=np.int32))
        2.0
    """

    weights: NDArray[np.generic]

    @property
    def count(self) -> int:
        """Number of symbols."""
        return len(self.weights)

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        weights = self.weights.astype(np.float64)
        chosen = np.take_along_axis(weights, symbols[:, None].astype(np.int64), axis=1)[:, 0]
        return float((np.log2(weights.sum(axis=1)) - np.log2(chosen)).sum())

    def family(self) -> tuple[object, ...]:
        """Return constriction's categorical family; sums of such floats are exact."""
        weights = np.ascontiguousarray(self.weights, dtype=np.float32)
        return _FAMILIES.Categorical(perfect=False), weights


@dataclass(frozen=True, eq=False)
class RoundedGaussian:
    """Gaussians rounded to integers in -reach … reach, which include the tails.

    Args:
        mean: finite, (n,).
        scale: positive, (n,).
        reach: the largest symbol.

    Raises:
        ValueError: if a mean or a scale is not such a number, on which constriction would abort.

    Example:
        >>> gaussian = RoundedGaussian(np.zeros(1), np.full(1, 0.1), reach=8)
        >>> round(gaussian.bits(np.array([8], dtype=np.int32)), 2)
        24.0
        >>> gaussian.bits(np.zeros(1, dtype=np.int32))
        2.20...e-06
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    reach: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean).all() and np.isfinite(self.scale).all()):
            raise ValueError(NOT_FINITE)
        if not (self.scale > 0).all():
            raise ValueError("a scale is not positive; the model is damaged")

    @property
    def count(self) -> int:
        """Number of symbols."""
        return len(self.mean)

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        return float(-np.log2(_mass(symbols, self.mean, self.scale, self.reach)).sum())

    def family(self) -> tuple[object, ...]:
        """Return constriction's family of rounded Gaussians."""
        family = _FAMILIES.QuantizedGaussian(-self.reach, self.reach)
        return family, np.ascontiguousarray(self.mean), np.ascontiguousarray(self.scale)


@dataclass(frozen=True)
class RoundedCentredGaussian:
    """n times the same Gaussian of mean 0, rounded to integers in -reach … reach.

    Example:
        >>> gaussian = RoundedCentredGaussian(count=2, scale=4.0, reach=48)
        >>> round(gaussian.bits(np.array([0, 4], dtype=np.int32)), 2)
        7.38
    """

    count: int
    scale: float
    reach: int

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        return float(-np.log2(_mass(symbols, 0.0, self.scale, self.reach)).sum())

    def family(self) -> tuple[object, ...]:
        """Return constriction's rounded Gaussian."""
        return (_FAMILIES.QuantizedGaussian(-self.reach, self.reach, 0.0, self.scale),)


def weights_of(pmf: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return round(2¹⁶ p) + 1 for probabilities, as floats of integer value.

    The smallest weight makes a symbol cost 16 bits at most.

    Raises:
        ValueError: if a probability is not in [0, 1].

    Example:
        >>> weights_of(np.array([0.0, 0.25, 0.75])).tolist()
        [1.0, 16385.0, 49153.0]
    """
    if not np.isfinite(pmf).all():
        raise ValueError(NOT_FINITE)
    # A sum of probabilities may exceed 1 in its last digits.
    if not ((pmf >= 0) & (pmf <= 1.001)).all():
        raise ValueError("a probability is not in [0, 1]; the model is damaged")
    return (np.rint(pmf * 65536) + 1).astype(np.float32)


def min_symbol_bits(bins: int) -> float:
    """Return the smallest -log₂ P(s) of a table of so many symbols by :func:`weights_of`.

    Example:
        >>> round(min_symbol_bits(17) * 65536, 1)
        23.1
    """
    return math.log2((65537 + bins - 1) / 65537)


def _mass(
    symbols: Symbols,
    mean: NDArray[np.float64] | float,
    scale: NDArray[np.float64] | float,
    reach: int,
) -> NDArray[np.float64]:
    """Return the probabilities of symbols, with the floor of 2⁻²⁴ of the coder."""
    lower = np.where(symbols == -reach, -np.inf, (symbols - 0.5 - mean) / scale)
    upper = np.where(symbols == reach, np.inf, (symbols + 0.5 - mean) / scale)
    # In the right tail the difference of two numbers near 1 would lose all digits.
    right = lower > 0
    mass = ndtr(np.where(right, -lower, upper)) - ndtr(np.where(right, -upper, lower))
    floored: NDArray[np.float64] = (1 - (2 * reach + 1) * _SMALLEST) * mass + _SMALLEST
    return floored
