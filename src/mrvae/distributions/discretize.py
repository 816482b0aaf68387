"""Pixel values and the real line: n equally spaced bins on [-1, 1].

Value v of n sits at the centre u_v = (2v - (n-1)) / (n-1), so that 0 is at -1 and n-1 at 1
(127.5 and its kin for other n live here and nowhere else). Its bin reaches half a spacing,
h = 1/(n-1), to either side: from (2v - n)/(n-1) to (2v + 2 - n)/(n-1). Numerators are integers,
which floating point holds exactly, so the upper edge of one bin is bit for bit the lower edge of
the next, and sums over bins telescope without gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Bins:
    """The n values of a pixel and their bins on [-1, 1].

    Raises:
        ValueError: if ``count`` is not in 2 … 256.

    Example:
        >>> bins = Bins(5)
        >>> bins.to_unit(torch.arange(5, dtype=torch.uint8)).tolist()
        [-1.0, -0.5, 0.0, 0.5, 1.0]
        >>> bins.half_width
        0.25
    """

    count: int

    def __post_init__(self) -> None:
        if not 2 <= self.count <= 256:
            raise ValueError(f"count is {self.count}; a uint8 pixel has 2…256 bins")

    @property
    def half_width(self) -> float:
        """Half the distance between two neighbouring values, 1/(n-1)."""
        return 1.0 / (self.count - 1)

    def to_unit(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Map pixel values to the centres of their bins in [-1, 1].

        Args:
            x: pixel values 0 … count-1, of any shape.
            dtype: of the result; torch's default floating type if not given.
        """
        last = self.count - 1
        return (2 * x.to(dtype or torch.get_default_dtype()) - last) / last

    def edges(self, x: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Return the lower and the upper edge of each value's bin.

        The outermost edges are the finite ones, half a spacing outside [-1, 1]; whoever folds the
        tails in does so explicitly.

        Example:
            >>> Bins(3).edges(torch.tensor([0, 1, 2]))
            (tensor([-1.5000, -0.5000,  0.5000]), tensor([-0.5000,  0.5000,  1.5000]))
        """
        doubled = 2 * x.to(dtype or torch.get_default_dtype())
        return (
            (doubled - self.count) / (self.count - 1),
            (doubled + (2 - self.count)) / (self.count - 1),
        )

    def to_bin(self, u: Tensor) -> Tensor:
        """Map real values to the nearest bin, as uint8; what lies outside is clamped.

        Example:
            >>> Bins(256).to_bin(torch.tensor([-9.0, 0.003, 1.0])).tolist()
            [0, 128, 255]
        """
        last = self.count - 1
        return ((u + 1) * (last / 2)).round().clamp(0, last).to(torch.uint8)

    def check(self, x: Tensor) -> None:
        """Refuse images whose pixels lie outside 0 … count-1.

        Reads the values, which waits for the device: it belongs at borders, not in a hot path.

        Raises:
            ValueError: if ``x`` is not uint8, or holds a value of ``count`` or more.
        """
        if x.dtype != torch.uint8:
            raise ValueError(f"images are {x.dtype}; expected torch.uint8 pixels, convert them")
        if x.numel() and (largest := int(x.max())) >= self.count:
            raise ValueError(
                f"images hold the value {largest}; expected 0…{self.count - 1},"
                " use a likelihood with more bins or reduce the images' bits"
            )
