"""The entropy coder: a stack of bits, and the laws by which symbols are put on it.

A codec for a law P is two maps (push, pop), inverse to each other: a push of a symbol s onto a
message makes it longer by -log₂ P(s) bits, and a pop takes it off again,

    pop(push(m, s)) = (m, s),        push(pop(m)) = m.

The second says that any message may be popped by any law. What comes out is then a draw from that
law, and nothing is lost, which is what bits-back coding lives on. The message is last in, first
out: an asymmetric numeral system (Duda 2009; Townsend et al. 2019), here constriction's.

Symbols are int32. A law's probabilities are multiples of 2⁻²⁴, none of them zero; they are made of
integers, or of floats that were rounded to a coarse grid before, and hence are the same integers on
the way back. ``bits`` is -log₂ of the law with that floor, so that what it says is what is written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import constriction
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Symbols = NDArray[np.int32]
Words = NDArray[np.uint32]

_ANS = constriction.stream.stack.AnsCoder
_LAWS = constriction.stream.model
_LEAST = 2.0**-24


class SymbolModel(Protocol):
    """Independent laws of n symbols, one for each."""

    @property
    def count(self) -> int:
        """How many symbols n."""
        ...

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        ...

    def model(self) -> tuple[object, ...]:
        """Return what constriction is given: a family, and its parameters."""
        ...


class Stack:
    """A message of bits, last in, first out.

    Args:
        words: a message that :attr:`words` returned, or none for an empty one.

    Attributes:
        ideal: the bits of all laws pushed, less those of all popped.

    Raises:
        ValueError: if the words are no message.

    Example:
        >>> stack, law = Stack(), Table(np.array([[1, 3], [1, 1]]))
        >>> stack.push(law, np.array([1, 0], dtype=np.int32))
        >>> round(stack.ideal, 3)
        1.415
        >>> stack.pop(law).tolist(), stack.empty
        ([1, 0], True)
    """

    def __init__(self, words: Words | None = None) -> None:
        if words is not None and len(words) and not words[-1]:
            raise ValueError("the message ends in a word of zeros, which none does")
        self._coder = _ANS() if words is None else _ANS(np.ascontiguousarray(words))
        self.ideal = 0.0

    @property
    def words(self) -> Words:
        """The message."""
        words: Words = self._coder.get_compressed()
        return words

    @property
    def bits(self) -> int:
        """How long the message is."""
        return int(self._coder.num_valid_bits())

    @property
    def empty(self) -> bool:
        """Whether nothing is left."""
        return bool(self._coder.is_empty())

    def push(self, law: SymbolModel, symbols: Symbols) -> None:
        """Put n symbols on top, so that :meth:`pop` returns them in this order.

        Raises:
            ValueError: if there are not n of them.
        """
        if len(symbols) != law.count:
            raise ValueError(f"{len(symbols)} symbols for {law.count} laws")
        if not law.count:
            return
        self.ideal += law.bits(symbols)
        self._coder.encode_reverse(np.ascontiguousarray(symbols, dtype=np.int32), *law.model())

    def pop(self, law: SymbolModel) -> Symbols:
        """Take n symbols off the top.

        From an empty message comes each law's first symbol, and a push of these leaves it empty:
        whoever must not go that far looks at :attr:`bits`.
        """
        if not law.count:
            return np.zeros(0, dtype=np.int32)
        model = law.model()
        fixed = (law.count,) if len(model) == 1 else ()
        symbols: Symbols = self._coder.decode(*model, *fixed)
        self.ideal -= law.bits(symbols)
        return symbols


@dataclass(frozen=True, eq=False)
class Table:
    """Laws of n symbols 0 … m-1 by integer weights, P(s) = w_s / Σ w.

    Args:
        weights: positive whole numbers below 2¹⁸, of any number type, (n, m).

    Example:
        >>> Table(np.array([[3, 1]])).bits(np.array([1], dtype=np.int32))
        2.0
    """

    weights: NDArray[np.generic]

    @property
    def count(self) -> int:
        """How many symbols."""
        return len(self.weights)

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        weights = self.weights.astype(np.float64)
        chosen = np.take_along_axis(weights, symbols[:, None].astype(np.int64), axis=1)[:, 0]
        return float((np.log2(weights.sum(axis=1)) - np.log2(chosen)).sum())

    def model(self) -> tuple[object, ...]:
        """Return constriction's categorical family; sums of such floats are exact."""
        weights = np.ascontiguousarray(self.weights, dtype=np.float32)
        return _LAWS.Categorical(perfect=False), weights


@dataclass(frozen=True, eq=False)
class Rounded:
    """Gaussians rounded to whole numbers in -reach … reach, the tails folded in.

    Args:
        mean: finite, (n,).
        scale: positive, (n,).
        reach: the largest symbol.

    Raises:
        ValueError: if a mean or a scale is no such number; the coder would not survive it.

    Example:
        >>> law = Rounded(np.zeros(1), np.full(1, 0.1), reach=8)
        >>> round(law.bits(np.array([8], dtype=np.int32)), 2), law.bits(np.zeros(1, dtype=np.int32))
        (24.0, 2.20...e-06)
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    reach: int

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean).all() and np.isfinite(self.scale).all()):
            raise ValueError("a mean or a scale is no finite number; the model is damaged")
        if not (self.scale > 0).all():
            raise ValueError("a scale is not positive; the model is damaged")

    @property
    def count(self) -> int:
        """How many symbols."""
        return len(self.mean)

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        return float(-np.log2(_mass(symbols, self.mean, self.scale, self.reach)).sum())

    def model(self) -> tuple[object, ...]:
        """Return constriction's family of rounded Gaussians."""
        family = _LAWS.QuantizedGaussian(-self.reach, self.reach)
        return family, np.ascontiguousarray(self.mean), np.ascontiguousarray(self.scale)


@dataclass(frozen=True)
class Standard:
    """n times the same Gaussian of mean 0, rounded to whole numbers in -reach … reach.

    Example:
        >>> law = Standard(count=2, scale=4.0, reach=48)
        >>> round(law.bits(np.array([0, 4], dtype=np.int32)), 2)
        7.38
    """

    count: int
    scale: float
    reach: int

    def bits(self, symbols: Symbols) -> float:
        """Return -log₂ P of all symbols together."""
        return float(-np.log2(_mass(symbols, 0.0, self.scale, self.reach)).sum())

    def model(self) -> tuple[object, ...]:
        """Return constriction's rounded Gaussian."""
        return (_LAWS.QuantizedGaussian(-self.reach, self.reach, 0.0, self.scale),)


def weights_of(pmf: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return round(2¹⁶ p) + 1 for probabilities, as floats that are whole numbers.

    The floor, 2⁻¹⁶ or so, is what a symbol costs at most: 16 bits.

    Raises:
        ValueError: if a probability is no number in [0, 1].

    Example:
        >>> weights_of(np.array([0.0, 0.25, 0.75])).tolist()
        [1.0, 16385.0, 49153.0]
    """
    # A sum of probabilities may exceed 1 in its last digits; what is no number compares false.
    if not ((pmf >= 0) & (pmf <= 1.001)).all():
        raise ValueError("a probability is no number in [0, 1]; the model is damaged")
    return (np.rint(pmf * 65536) + 1).astype(np.float32)


def cheapest(levels: int) -> float:
    """Return the bits of a symbol that is all but certain, of a table by :func:`weights_of`.

    Example:
        >>> round(cheapest(17) * 65536, 1)
        23.1
    """
    return math.log2((65537 + levels - 1) / 65537)


def _mass(
    symbols: Symbols,
    mean: NDArray[np.float64] | float,
    scale: NDArray[np.float64] | float,
    reach: int,
) -> NDArray[np.float64]:
    """Return the mass of symbols, with 2⁻²⁴ for each, as the coder has it."""
    lower = np.where(symbols == -reach, -np.inf, (symbols - 0.5 - mean) / scale)
    upper = np.where(symbols == reach, np.inf, (symbols + 0.5 - mean) / scale)
    # In the right tail the difference of two numbers near 1 would lose all digits.
    right = lower > 0
    mass = ndtr(np.where(right, -lower, upper)) - ndtr(np.where(right, -upper, lower))
    leaky: NDArray[np.float64] = (1 - (2 * reach + 1) * _LEAST) * mass + _LEAST
    return leaky
