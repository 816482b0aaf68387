"""The cell of VDVAE (Child 2021, figure 3).

With N three bottlenecks and [·,·] concatenation of channels,

    q(z | h, e) = N(N_q([h, e])),      p(z | h), u = N_p(h),
    h ← h + u,      h ← h + P z,      h ← h + N_r(h).

The posterior reads h before u is added. N_p ends in zeros, so that at the start p = N(0, 1) and
u = 0; the pointwise P and the last convolution of N_r are scaled by 1/√n, n the number of cells
that are applied.

Falck et al. (2022, theorem 4) read it as two forward Euler steps of an SDE: u is the drift μ₁ and
P z the diffusion, which together lead to the half step h₊, and N_r(h₊) is the drift μ₂. A repeated
cell counts in n at each visit, since each visit adds its terms to the state: n equal steps of size
1/n, with diffusion of size 1/√n, are what keeps the distribution of the state as n grows.
"""

from __future__ import annotations

from torch import Tensor

from mrvae.layers import Bottleneck, convolution, scale_weight
from mrvae.models.cells.base import LatentCell, Scale
from mrvae.sizes import ImageSize


class VDVAECell(LatentCell):
    """One latent of ``latent`` channels on a state of ``width`` channels.

    Args:
        width: channels of the state and of the encoder's features.
        latent: channels of z.
        middle: channels inside the bottlenecks.
        kernel: side of their spatial convolutions, or (down, across).
        applied: number of cells on the whole way, for the 1/√n of the first weights.
        scale: turns the networks' raw output into log σ.

    Example:
        >>> import torch
        >>> from mrvae.distributions import RawScale
        >>> cell = VDVAECell(8, latent=2, middle=4, kernel=3, applied=1, scale=RawScale())
        >>> prior, h = cell.prior(torch.randn(1, 8, 4, 4))
        >>> prior.mean.abs().max().item(), prior.log_scale.abs().max().item()
        (0.0, 0.0)
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: ImageSize, applied: int, scale: Scale
    ) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=width)
        self.project = convolution(latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)
        scale_weight(self.project, applied**-0.5)
        scale_weight(self.residual.leave, applied**-0.5)

    def add(self, h: Tensor, added: Tensor) -> Tensor:
        """Return h + u."""
        return h + added

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return h + P z + N_r(h + P z)."""
        moved: Tensor = h + self.project(z)
        advanced: Tensor = moved + self.residual(moved)
        return advanced
