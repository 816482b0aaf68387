r"""Details made of noise by invertible couplings among their bands (Dinh et al. 2017).

Kiruluta (2025, section 6) names flows of wavelet coefficients as a direction. Here the details
d of a level, given its approximation h, are d = e^β u_K, u_0 ~ Normal(0, 1), and each of the K
couplings moves one of the bands cH, cV, cD, in turn, by a function of the other two and h:

    u ← u e^a + t        for the band in turn,        (a, t) = f_k(other bands, 2 h/2^depth - 1).

The others are unchanged, so that the inverse is u ← (u - t) e^{-a}, and its Jacobian is
triangular with e^a on its diagonal: log |det ∂d/∂u_0| is the sum of all a and of β. Couplings make
the bands dependent on one another, and give them tails that no family has; the divergence from a
Gaussian is estimated at the draw. Each f_k is zero at the start, where d is Normal(0, e^{2β}).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrvae.distributions import Distribution, Gaussian
from mrvae.models.wavelet.bands import ConditioningNet, gain
from mrvae.sizes import ImageSize

# |a| of one coupling: it changes a scale by a factor of e at most, so that none overflows.
_STEEPEST = 1.0


class CouplingFlow(nn.Module):
    """The K couplings between noise and the details of a level.

    Args:
        channels: C of the image.
        steps: K.
        width: channels inside each f_k.
        blocks: bottlenecks of each f_k.
        kernel: 3, or 1 where there is but one pixel.
        log_scale: first β, (3C, 1, 1), of a signal (C, 1, 1).

    Source: ours; Dinh et al. 2017, *Density estimation using Real NVP*, equations 7 and 8.
    """

    def __init__(
        self,
        channels: int,
        steps: int,
        width: int,
        blocks: int,
        kernel: ImageSize,
        log_scale: Tensor,
    ) -> None:
        super().__init__()
        self.bands = len(log_scale) // channels
        self.log_scale = nn.Parameter(log_scale)
        self.networks = nn.ModuleList(
            ConditioningNet(self.bands * channels, 2 * channels, width, blocks, kernel)
            for _ in range(steps)
        )

    def forward(self, noise: Tensor, conditioning: Tensor) -> Tensor:
        """Return the details (B, 3C, h, w) of noise of this shape."""
        bands = list(torch.unflatten(noise, 1, (-1, self.bands)).unbind(2))
        for step, network in enumerate(self.networks):
            slope, shift = _slope_and_shift(network, bands, step, conditioning)
            turn = step % self.bands
            bands[turn] = bands[turn] * slope.exp() + shift
        return torch.stack(bands, dim=2).flatten(1, 2) * self.log_scale.exp()

    def inverse(self, details: Tensor, conditioning: Tensor) -> tuple[Tensor, Tensor]:
        """Return the noise of these details, and log |∂d/∂u| for each of them."""
        scaled = details * torch.exp(-self.log_scale)
        bands = list(torch.unflatten(scaled, 1, (-1, self.bands)).unbind(2))
        slopes = [torch.zeros_like(band) for band in bands]
        for step in reversed(range(len(self.networks))):
            slope, shift = _slope_and_shift(self.networks[step], bands, step, conditioning)
            turn = step % self.bands
            bands[turn] = (bands[turn] - shift) * torch.exp(-slope)
            slopes[turn] = slopes[turn] + slope
        noise, slope = (torch.stack(parts, dim=2).flatten(1, 2) for parts in (bands, slopes))
        return noise, slope + self.log_scale


def _slope_and_shift(
    network: nn.Module, bands: list[Tensor], step: int, conditioning: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a and t of the band in turn, from the other bands and the conditioning."""
    fixed = [band for index, band in enumerate(bands) if index != step % len(bands)]
    raw, shift = network(torch.cat((conditioning, *fixed), dim=1)).chunk(2, dim=1)
    return _STEEPEST * torch.tanh(raw), shift


class CouplingPrior(nn.Module):
    """The prior of a level's details: from their approximation to the flow's distribution.

    Args:
        flow: the couplings.
        depth: of the details, by which the approximation is scaled.
        dims: 2 for images, 1 for signals.

    Example:
        >>> flow = CouplingFlow(1, 3, 8, 1, kernel=3, log_scale=torch.zeros(3, 1, 1))
        >>> distribution = CouplingPrior(flow, depth=1)(torch.zeros(1, 1, 2, 2))
        >>> distribution.log_prob(torch.zeros(1, 3, 2, 2)).unique()
        tensor([-0.9189], grad_fn=<Unique2Backward0>)
    """

    def __init__(self, flow: CouplingFlow, depth: int, dims: int = 2) -> None:
        super().__init__()
        self.flow = flow
        self.size = gain(depth, dims)

    def forward(self, h: Tensor) -> Distribution:
        """Return the prior of details given the approximation h (B, C, h, w)."""
        return CoupledDistribution(self.flow, 2 * h / self.size - 1)


class CoupledDistribution(NamedTuple):
    """The distribution of a level's details, given the conditioning of the couplings."""

    flow: CouplingFlow
    conditioning: Tensor

    @property
    def exact_kl(self) -> bool:
        """Whether :meth:`kl_from` is in closed form: it is not."""
        return False

    def log_prob(self, z: Tensor) -> Tensor:
        """Return nats for each element, whose sum is log p(z).

        An element's term is the log-density of its noise minus its term of the log-determinant.
        """
        noise, slope = self.flow.inverse(z, self.conditioning)
        return -0.5 * (noise.square() + math.log(2 * math.pi)) - slope

    def kl_from(self, posterior: Gaussian, z: Tensor) -> Tensor:
        """Return log q(z) - log p(z), whose mean over z ~ posterior is KL(posterior ‖ self)."""
        return posterior.log_prob(z) - self.log_prob(z)

    def sample(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """Return the details of standard normal noise times the temperature."""
        details: Tensor = self.flow(noise * temperature, self.conditioning)
        return details
