"""From numbers of known magnitude to integers, and back.

A coefficient c, whose magnitude over the training set is at most S, becomes one of finitely many
codes. Two quantisers do this; each has a grid, in units where its values span [-1, 1], and
is the identity on its own values:

    mid-rise  2^b values, u = c/S at ±(2k + 1)/2^b: no value is 0, and all S are alike;
    mid-tread 2n + 1 values, c at k·step for |k| ≤ n = round(S/step): 0 is a value, rare
              coefficients cost little, and the number of codes falls with S (as in JPEG).

What is beyond S goes to the outermost code. Rounding is to the nearest code, and upwards from the
middle of two, whatever the sign. There is no dither: the published code adds uniform noise of a
quarter of a spacing before it rounds, so that the context of one image is not one context.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mrvae.distributions.grid import Grid


class Quantiser(Protocol):
    """A map from coefficients to codes, with the grid that the codes lie on."""

    def grid(self, scale: Tensor) -> Grid:
        """Return the grid of the codes, in units where the values span [-1, 1]."""
        ...

    def encode(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return the nearest codes, int64, of coefficients c of magnitude S = ``scale``."""
        ...

    def place(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return where c lies on the line of codes before it is rounded, cut to their bins."""
        ...

    def decode(self, code: Tensor, scale: Tensor) -> Tensor:
        """Return the coefficients that codes stand for, in the type of ``scale``."""
        ...


@dataclass(frozen=True)
class MidRise:
    """2^bits values at ±S, ±3S, … over 2^bits, each S/2^bits from the edges of its bin.

    Raises:
        ValueError: if ``bits`` is not in 1 … 16.

    Source: Kuzina & Tomczak 2023, section 4.4, as quantised in the released code, less its noise.

    Example:
        >>> scale = torch.tensor(8.0)
        >>> codes = MidRise(bits=2).encode(torch.tensor([-9.0, -1.0, 0.0, 7.0]), scale)
        >>> codes, MidRise(bits=2).decode(codes, scale)
        (tensor([0, 1, 2, 3]), tensor([-6., -2.,  2.,  6.]))
    """

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 16:
            raise ValueError(f"bits is {self.bits}; expected 1 … 16")

    def grid(self, scale: Tensor) -> Grid:
        """Return the 2^bits codes, the same for every S."""
        half = 2.0**-self.bits
        return Grid(1 << self.bits, half - 1, 2 * half)

    def encode(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return the nearest codes; a coefficient whose S is zero has the code of its sign."""
        return self.grid(scale).code(self._standard(c, scale))

    def place(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return (c/S - first)/spacing, cut to -½ … count - ½; differentiable in c.

        Example:
            >>> MidRise(bits=2).place(torch.tensor([-9.0, 0.0, 7.0]), torch.tensor(8.0))
            tensor([-0.5000,  1.5000,  3.2500])
        """
        return self.grid(scale).place(self._standard(c, scale))

    def _standard(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return c/S, and c itself where S is zero."""
        return c / torch.where(scale > 0, scale, torch.ones_like(scale))

    def decode(self, code: Tensor, scale: Tensor) -> Tensor:
        """Return S u for the codes' values u."""
        return self.grid(scale).value(code, scale.dtype) * scale


@dataclass(frozen=True)
class MidTread:
    """2·round(S/step) + 1 values at the multiples of ``step``.

    Args:
        step: distance of two values, in the units of the coefficients.

    Raises:
        ValueError: if ``step`` is not positive.

    Example:
        >>> scale = torch.tensor([8.0, 2.0, 0.5])
        >>> MidTread(step=3.0).grid(scale).count
        tensor([7, 3, 1])
        >>> codes = MidTread(step=3.0).encode(torch.tensor([-9.0, 1.7, 0.5]), scale)
        >>> codes, MidTread(step=3.0).decode(codes, scale)
        (tensor([0, 2, 0]), tensor([-9.,  3.,  0.]))
    """

    step: float

    def __post_init__(self) -> None:
        if not self.step > 0:
            raise ValueError(f"step is {self.step}; it must be positive")

    def grid(self, scale: Tensor) -> Grid:
        """Return the values k/n, |k| ≤ n, for each S; where n is 0, the single value 0."""
        n = self._reach(scale)
        some = n > 0
        return Grid(
            2 * n.long() + 1,
            torch.where(some, -torch.ones_like(n), torch.zeros_like(n)),
            1 / torch.where(some, n, torch.ones_like(n)),
        )

    def encode(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return n + round(c/step), cut to 0 … 2n."""
        n = self._reach(scale)
        return (torch.minimum(torch.maximum(self._round(c), -n), n) + n).long()

    def place(self, c: Tensor, scale: Tensor) -> Tensor:
        """Return n + c/step, cut to -½ … 2n + ½; differentiable in c.

        Example:
            >>> MidTread(step=2.0).place(torch.tensor([-9.0, 0.0, 1.0]), torch.tensor(4.0))
            tensor([-0.5000,  2.0000,  2.5000])
        """
        n = self._reach(scale)
        return torch.minimum((c / self.step + n).clamp(min=-0.5), 2 * n + 0.5)

    def decode(self, code: Tensor, scale: Tensor) -> Tensor:
        """Return k·step."""
        return (code - self._reach(scale)) * self.step

    def _reach(self, scale: Tensor) -> Tensor:
        """Return n, the largest multiple of the step on either side of 0."""
        return self._round(scale)

    def _round(self, c: Tensor) -> Tensor:
        """Round to the nearest multiple of the step, in units of it."""
        return torch.floor(c / self.step + 0.5)
