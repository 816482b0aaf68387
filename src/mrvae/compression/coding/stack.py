"""A stack of bits, on which symbols are pushed and popped by their distributions.

A codec of a distribution P is two maps (push, pop), inverse to each other: a push of a symbol s
makes the message longer by -log₂ P(s) bits, and a pop takes the symbol off again,

    pop(push(m, s)) = (m, s),        push(pop(m)) = m.

By the second, any message may be popped by any distribution: the symbol is then a draw from it, and
no bits are lost, which bits-back coding relies on. The message is last in, first out: an asymmetric
numeral system (Duda 2009; Townsend et al. 2019), implemented by constriction.
"""

from __future__ import annotations

from typing import Self

import constriction
import numpy as np
from numpy.typing import NDArray

from mrvae.compression.coding.symbols import SymbolModel, Symbols

Words = NDArray[np.uint32]

_ANS = constriction.stream.stack.AnsCoder


class Stack:
    """A message of bits, last in, first out.

    Args:
        words: a message that :attr:`words` returned, or none for an empty one.

    Attributes:
        ideal: -log₂ P of all symbols pushed, minus that of all popped, in bits.

    Raises:
        ValueError: if the words are not a message.

    Example:
        >>> from mrvae.compression.coding.symbols import SymbolTable
        >>> stack, table = Stack(), SymbolTable(np.array([[1, 3], [1, 1]]))
        >>> stack.push(table, np.array([1, 0], dtype=np.int32))
        >>> round(stack.ideal, 3)
        1.415
        >>> stack.pop(table).tolist(), stack.empty
        ([1, 0], True)
    """

    def __init__(self, words: Words | None = None) -> None:
        if words is not None and len(words) and not words[-1]:
            raise ValueError("the last word of the message is zero; it is damaged")
        self._coder = _ANS() if words is None else _ANS(np.ascontiguousarray(words))
        self.ideal = 0.0

    @property
    def words(self) -> Words:
        """The message."""
        words: Words = self._coder.get_compressed()
        return words

    @classmethod
    def from_bytes(cls, message: bytes) -> Self:
        """Return the stack of a message that :meth:`to_bytes` returned.

        Raises:
            ValueError: if the bytes are not a message.
        """
        if len(message) % 4:
            raise ValueError(f"a message of {len(message)} bytes is not made of words of 4 bytes")
        return cls(np.frombuffer(message, dtype="<u4").astype(np.uint32))

    def to_bytes(self) -> bytes:
        """Return the message as little-endian words of 4 bytes."""
        return self.words.astype("<u4").tobytes()

    @property
    def bits(self) -> int:
        """Length of the message."""
        return int(self._coder.num_valid_bits())

    @property
    def empty(self) -> bool:
        """Whether the message is empty."""
        return bool(self._coder.is_empty())

    def push(self, model: SymbolModel, symbols: Symbols) -> None:
        """Put n symbols on top, so that :meth:`pop` returns them in this order.

        Raises:
            ValueError: if there are not n of them.
        """
        if len(symbols) != model.count:
            raise ValueError(f"{len(symbols)} symbols are given for {model.count} distributions")
        if not model.count:
            return
        self.ideal += model.bits(symbols)
        self._coder.encode_reverse(np.ascontiguousarray(symbols, dtype=np.int32), *model.family())

    def pop(self, model: SymbolModel) -> Symbols:
        """Take n symbols off the top.

        An empty message gives the first symbol of each distribution, and pushing these leaves it
        empty: check :attr:`bits` where that must not happen.
        """
        if not model.count:
            return np.zeros(0, dtype=np.int32)
        family = model.family()
        # A family without arrays of parameters does not know how many symbols there are.
        count = (model.count,) if len(family) == 1 else ()
        symbols: Symbols = self._coder.decode(*family, *count)
        self.ideal -= model.bits(symbols)
        return symbols
