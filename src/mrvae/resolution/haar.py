"""The Haar basis: sums and differences of neighbours, as an orthonormal bijection.

In one dimension a pair (a, b) becomes its coarse part (a + b)/√2 and its detail (a - b)/√2. In two
dimensions this is done along both axes, and a block of four pixels

    a b                 coarse  = (a + b + c + d)/2,    cV = (a - b + c - d)/2,
    c d     becomes     cH      = (a + b - c - d)/2,    cD = (a - b - c + d)/2,

with the names and the order of PyWavelets: cH answers to horizontal edges, cV to vertical ones, cD
to diagonal ones. The map W is orthonormal, so analysis keeps the sum of squares and synthesis,
W⁻¹ = Wᵀ, is the gradient of analysis. Blocks do not overlap, hence no boundary and no padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Haar:
    """One step of the Haar transform over the last ``dims`` axes.

    Raises:
        ValueError: if ``dims`` is not 1 or 2.

    Example:
        >>> coarse, details = Haar().analysis(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        >>> coarse.item(), details.flatten().tolist()
        (6.0, [-3.0, -2.0, 1.0])
        >>> Haar().synthesis(coarse, details)
        tensor([[1., 2.],
                [3., 6.]])
    """

    dims: int = 2

    def __post_init__(self) -> None:
        if self.dims not in (1, 2):
            raise ValueError(f"dims is {self.dims}; it must be 1 (signals) or 2 (images)")

    def analysis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split into a coarse part and details.

        Args:
            x: of shape (…, 2h, 2w), or (…, 2n) in one dimension.

        Returns:
            The coarse part, (…, h, w) or (…, n), and the details, (…, 3, h, w) in the order cH,
            cV, cD, or (…, 1, n).

        Raises:
            ValueError: if ``x`` has fewer than ``dims`` axes, or a side is odd.
        """
        sides = x.shape[x.dim() - self.dims :]
        if x.dim() < self.dims or any(side % 2 for side in sides):
            raise ValueError(
                f"shape is {tuple(x.shape)}; expected {self.dims} axes or more, the last"
                f" {self.dims} of even size, pad or crop the image"
            )
        if self.dims == 1:
            total, difference = _sum_and_difference(x, -1)
            return total * math.sqrt(0.5), (difference * math.sqrt(0.5)).unsqueeze(-2)
        total, difference = (part * 0.5 for part in _sum_and_difference(x, -2))
        coarse, vertical = _sum_and_difference(total, -1)
        horizontal, diagonal = _sum_and_difference(difference, -1)
        return coarse, torch.stack((horizontal, vertical, diagonal), dim=-3)

    def synthesis(self, coarse: Tensor, details: Tensor) -> Tensor:
        """Undo :meth:`analysis`.

        Args:
            coarse: of shape (…, h, w), or (…, n) in one dimension.
            details: of shape (…, 3, h, w), or (…, 1, n).

        Raises:
            ValueError: if the two shapes do not belong together.
        """
        lead, sides = coarse.shape[: -self.dims], coarse.shape[-self.dims :]
        if coarse.dim() < self.dims or details.shape != (*lead, 2**self.dims - 1, *sides):
            raise ValueError(
                f"coarse is {tuple(coarse.shape)} and details are {tuple(details.shape)};"
                f" expected {2**self.dims - 1} details, on an axis of their own before the last"
                f" {self.dims}, all of coarse's size"
            )
        if self.dims == 1:
            return _interleave(coarse, details.squeeze(-2), -1) * math.sqrt(0.5)
        horizontal, vertical, diagonal = details.unbind(-3)
        total = _interleave(coarse, vertical, -1)
        difference = _interleave(horizontal, diagonal, -1)
        return _interleave(total, difference, -2) * 0.5


def _sum_and_difference(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the sums and the differences of the pairs along one axis."""
    even, odd = torch.unflatten(x, dim, (-1, 2)).unbind(dim)
    return even + odd, even - odd


def _interleave(total: Tensor, difference: Tensor, dim: int) -> Tensor:
    """Return the pairs, twice over, whose sums and differences these are."""
    pair = torch.stack((total + difference, total - difference), dim=dim)
    return pair.flatten(dim - 1, dim)
