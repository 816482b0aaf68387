"""The cell of VDVAE (Child 2021, figure 3), and what every other cell shares with it.

With N three bottlenecks and [·,·] concatenation of channels,

    q(z | h, e) = N(N_q([h, e])),      p(z | h), u = N_p(h),
    h ← h + u,      h ← h + P z,      h ← h + N_r(h).

The posterior reads h before u is added. N_p ends in zeros, so that at the start p = N(0, 1) and
u = 0; the pointwise P and the last convolution of N_r are scaled by 1/√n, n the number of cells
that are applied. Scales come out as log σ: a distribution's second half of channels, read by a
``Scale``.

Falck et al. (2022, theorem 4) read it as two forward Euler steps of an SDE: u is the drift μ₁ and
P z the diffusion, which together lead to the half step h₊, and N_r(h₊) is the drift μ₂. A repeated
cell counts in n at each visit, since each visit adds its terms to the state: n equal steps of size
1/n, with diffusion of size 1/√n, are what keeps the law of the state as n grows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mrvae.distributions import Gaussian
from mrvae.layers import Bottleneck, as_it_lies, convolution, scale_weight

Scale = Callable[[Tensor], Tensor]


def read_gaussian(raw: Tensor, scale: Scale) -> Gaussian:
    """Return the Gaussian whose mean is the first half of the channels, its scale the second.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> read_gaussian(torch.ones(1, 2, 1, 1), RawScale()).mean.shape
        torch.Size([1, 1, 1, 1])
    """
    # Latents and their KL stay in full precision whatever the convolutions run in.
    full = raw if raw.dtype == torch.float64 else raw.float()
    mean, raw_scale = as_it_lies(full).chunk(2, dim=1)
    return Gaussian(mean, scale(raw_scale))


def halves(x: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return the ``first`` channels of x and the others.

    The gradients of two slices are two tensors of zeros, in another order of memory than that of
    x; those of a split are joined as they are.

    Example:
        >>> [part.shape[1] for part in halves(torch.zeros(1, 5, 2, 2), 2)]
        [2, 3]
    """
    one, other = torch.split(x, [first, x.shape[1] - first], dim=1)
    return one, other


class LatentCell(nn.Module):
    """What all cells share: N_q, and N_p with ``added`` channels u beside the prior's.

    Args:
        width: channels of the state and of the encoder's features.
        latent: channels of z.
        middle: channels inside the bottlenecks.
        kernel: side of their spatial convolutions.
        scale: turns the networks' raw output into log σ.
        added: channels of u.
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: int, scale: Scale, added: int
    ) -> None:
        super().__init__()
        self.latent = latent
        self.scale = scale
        self.posterior_net = Bottleneck(2 * width, middle, 2 * latent, kernel)
        self.prior_net = Bottleneck(width, middle, 2 * latent + added, kernel)
        scale_weight(self.prior_net.leave, 0.0)

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e); ``features`` is GELU(e), as the encoder hands it out."""
        return self._gaussian(self.posterior_net.forward_pair(h, features))

    def prior_and_added(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h) and u."""
        raw, added = halves(self.prior_net(h), 2 * self.latent)
        return self._gaussian(raw), added

    def _gaussian(self, raw: Tensor) -> Gaussian:
        return read_gaussian(raw, self.scale)


class VDVAECell(LatentCell):
    """One latent of ``latent`` channels on a state of ``width`` channels.

    Args:
        width: channels of the state and of the encoder's features.
        latent: channels of z.
        middle: channels inside the bottlenecks.
        kernel: side of their spatial convolutions.
        applied: number of cells on the whole way, for the 1/√n of the first weights.
        scale: turns the networks' raw output into log σ.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = VDVAECell(8, latent=2, middle=4, kernel=3, applied=1, scale=RawScale())
        >>> prior, h = cell.prior(torch.randn(1, 8, 4, 4))
        >>> prior.mean.abs().max().item(), prior.log_scale.abs().max().item()
        (0.0, 0.0)
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: int, applied: int, scale: Scale
    ) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=width)
        self.project = convolution(latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)
        scale_weight(self.project, applied**-0.5)
        scale_weight(self.residual.leave, applied**-0.5)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h) and h + u."""
        gaussian, u = self.prior_and_added(h)
        return gaussian, h + u

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return h + P z + N_r(h + P z)."""
        moved: Tensor = h + self.project(z)
        advanced: Tensor = moved + self.residual(moved)
        return advanced
