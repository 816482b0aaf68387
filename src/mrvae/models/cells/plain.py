"""VDVAE's networks without residual connections (Falck et al. 2022, section 3.4).

With P a pointwise convolution and N a bottleneck,

    h ← N(u + P z).

What a cell passes on goes through its convolutions. It is no step of a differential equation: as
their number grows the maps do not tend to the identity. Nothing is scaled by 1/√n, since nothing is
added up.
"""

from __future__ import annotations

from torch import Tensor

from mrvae.layers import Bottleneck, convolution
from mrvae.models.cells.base import LatentCell, Scale
from mrvae.sizes import ImageSize


class PlainCell(LatentCell):
    """VDVAE's networks without its residual connections, with as many parameters.

    Example:
        >>> import torch
        >>> from mrvae.distributions import RawScale
        >>> cell = PlainCell(8, latent=2, middle=4, kernel=3, scale=RawScale())
        >>> prior, u = cell.prior(torch.randn(1, 8, 4, 4))
        >>> u.abs().max().item()
        0.0
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: ImageSize, scale: Scale
    ) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=width)
        self.project = convolution(latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)

    def add(self, h: Tensor, added: Tensor) -> Tensor:
        """Return u in the place of h."""
        return added

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return N(u + P z)."""
        advanced: Tensor = self.residual(h + self.project(z))
        return advanced
