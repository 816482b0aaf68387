"""The NVAE cell (Vahdat & Kautz 2020), in the terms of Falck et al. (2022, sections 2.3 and 3.4).

With C a pointwise convolution and N a bottleneck,

    h ← h + N([C [h, z]]).

The state keeps an identity path, but the latent does not: there is no half step h₊ = h + P z. It is
one Euler step, with the noise inside its drift.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrvae.layers import Bottleneck, convolution, scale_weight
from mrvae.models.cells.base import LatentCell, Scale
from mrvae.sizes import ImageSize


class NVAECell(LatentCell):
    """A residual state into which the latent is mixed by concatenation (Vahdat & Kautz 2020).

    NVAE itself puts the mixing convolution C before the identity path. Here the path goes around
    it, so that the cell is the Euler step that the paper compares VDVAE's two with.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = NVAECell(8, latent=2, middle=4, kernel=3, applied=1, scale=RawScale())
        >>> h = torch.randn(1, 8, 4, 4)
        >>> bool((cell.prior(h)[1] == h).all())
        True
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: ImageSize, applied: int, scale: Scale
    ) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=0)
        self.mix = convolution(width + latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)
        scale_weight(self.residual.leave, applied**-0.5)

    def add(self, h: Tensor, added: Tensor) -> Tensor:
        """Return h as it is: there is no u."""
        return h

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return h + N(C [h, z])."""
        advanced: Tensor = h + self.residual(self.mix(torch.cat([h, z.to(h.dtype)], dim=1)))
        return advanced
