"""The cell of Kuzina & Tomczak (2023), as they released it: a smaller VDVAE.

With N_q, N_p and N_r networks of :mod:`mrvae.layers.rezero`, P and S pointwise, and h the state,

    q(z | h, e) = N_q(h + e),        p(z | h), u = N_p(h),
    h ← h + u,        s = h + P z,        h ← S s + β N_r(s).

It differs from Child's (:mod:`mrvae.models.cells.vdvae`) in this: the posterior reads the sum of
state and feature, not their concatenation; N_p is shallow, one 5×5 convolution on each channel
between two pointwise ones; N_r is multiplied by a scalar β that begins at 0; the activation is
SiLU; the last cell of a level changes the state to the width of the next; and the state begins as
zeros, without learnt biases. The last weights of N_p begin at zero, those of N_r and P are
multiplied by 1/√n, n the number of cells that are applied, and those of N_q are drawn from [-1, 1].
Scales are bounded, by a ``BoundedScale`` of the recipe.

The paper's figure 8 draws the networks of the cell as the encoder's residual blocks. The released
code creates a skip S and a scalar β for N_q and N_p too, but never adds them. With ``shortcut``
they are added, as N(x) + β S x: β begins at 0, so the model begins as the released one, has its
number of parameters, and trains all of them. Without ``shortcut`` they do not exist, and the
function is the released one throughout.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor, nn

from mrvae.distributions import Gaussian
from mrvae.layers import ReZero, Shortcut, activated_after, drawn_convolution, scale_weight
from mrvae.models.cells.base import Scale, halves, read_gaussian
from mrvae.sizes import ImageSize


class TopDownCell(nn.Module):
    """One latent of ``latent`` channels on a state of ``width`` channels.

    Args:
        width: channels of the state and of the encoder's features.
        latent: channels of z.
        middle: channels inside the networks.
        outputs: channels of the next state.
        applied: number of cells on the whole way, for the 1/√n of the first weights.
        scale: turns the networks' raw output into log σ.
        shortcut: whether the networks of posterior and prior have their skip.
        weight_norm: whether the convolutions of the networks, but for the last, have weight norm.
        kernel: of the spatial convolutions; the prior's is larger by two pixels.

    Source: Kuzina & Tomczak 2023, figure 8 and the released code.

    Example:
        >>> import torch
        >>> from mrvae.distributions import BoundedScale
        >>> cell = TopDownCell(8, 2, middle=4, outputs=8, applied=1, scale=BoundedScale())
        >>> prior, h = cell.prior(torch.randn(1, 8, 4, 4))
        >>> prior.mean.abs().max().item(), round(prior.log_scale.exp().max().item() ** 2, 2)
        (0.0, 0.99)
    """

    def __init__(
        self,
        width: int,
        latent: int,
        middle: int,
        outputs: int,
        applied: int,
        scale: Scale,
        shortcut: bool = True,
        weight_norm: bool = False,
        kernel: ImageSize = 3,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.scale = scale
        network = partial(activated_after, width, middle, kernel=kernel, weight_norm=weight_norm)
        posterior, prior = network(2 * latent), network(2 * latent + width, depthwise=True)
        residual = network(outputs)
        self.project = drawn_convolution(latent, width, 1)
        nn.init.uniform_(_last(posterior).weight, -1.0, 1.0)
        nn.init.zeros_(_last(prior).weight)
        nn.init.zeros_(cast(Tensor, _last(prior).bias))
        scale_weight(_last(residual), applied**-0.5)
        scale_weight(self.project, applied**-0.5)
        self.posterior_net = Shortcut(posterior, width, 2 * latent) if shortcut else posterior
        self.prior_net = Shortcut(prior, width, 2 * latent + width) if shortcut else prior
        self.residual = ReZero(residual, width, outputs)

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e), e the encoder's state."""
        return read_gaussian(self.posterior_net(h + features), self.scale)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h) and h + u."""
        raw, added = halves(self.prior_net(h), 2 * self.latent)
        return read_gaussian(raw, self.scale), h + added

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return S s + β N_r(s), with s = h + P z."""
        advanced: Tensor = self.residual(h + self.project(z))
        return advanced


def _last(net: nn.Sequential) -> nn.Conv2d:
    return cast(nn.Conv2d, net[-1])
