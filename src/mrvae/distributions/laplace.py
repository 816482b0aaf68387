r"""Laws with a peak at zero and heavier tails than a Gaussian's: what wavelet details follow.

Most details of a natural image are small and a few are large. With location m and scale b = 1/λ,

    Laplace    log p(z) = log(λ/2) - λ|z - m|,                          variance 2 b²,
    logistic   log p(z) = log λ - |y| - 2 log(1 + e^{-|y|}),  y = λ(z - m),   variance (π b)²/3.

Kiruluta (2025, section 3.3.2) writes that the divergence of a Gaussian from a Laplace has no simple
closed form. It has one, since E|z| of a Gaussian has: with q = N(μ, s²), m = 0 and t = |μ|/s,

    KL(q ‖ p) = -½ log(2πe s²) + log(2/λ) + λ E|z|,
    E|z| = s √(2/π) e^{-t²/2} + μ erf(μ/(s√2)) = |μ| + s (√(2/π) e^{-t²/2} - t erfc(t/√2)).

The second way of writing E|z| is the one computed: what is added to |μ| is positive and falls like
e^{-t²/2}/t², so nothing is lost where t is large, and it is zero to the last digit beyond t = 40.
For the logistic there is no closed form; its divergence is estimated by log q(z) - log p(z) at one
draw z ~ q, whose mean it is.

A draw is made from standard normal noise n, as every draw of a latent is: Φ(n) is uniform, and goes
through the inverse of the distribution function.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.special import log_ndtr

from mrvae.distributions.gaussian import Gaussian
from mrvae.distributions.pixels import widen

# Beyond this t, √(2/π) e^{-t²/2} is below float64's last digit of anything it is added to.
_FAR = 40.0


def gaussian_laplace_kl(mean: Tensor, scale: Tensor, rate: Tensor) -> Tensor:
    """Return KL(N(μ, s²) ‖ Laplace(0, 1/λ)) in nats for each element.

    Args:
        mean: μ, of any shape.
        scale: s, positive, broadcasting with ``mean``.
        rate: λ, positive, broadcasting with ``mean``.

    Source: ours; the prior is that of Kiruluta 2025, equation 20.

    Example:
        >>> one = torch.ones(())
        >>> round(gaussian_laplace_kl(0 * one, one, one).item(), 4)
        0.0721
    """
    return _divergence(widen(mean), widen(scale).log(), widen(rate).log())


def mean_magnitude(mean: Tensor, scale: Tensor) -> Tensor:
    """Return E|z| of z ~ N(μ, s²), for each element.

    Example:
        >>> mean_magnitude(torch.tensor([0.0, -9.0]), torch.ones(2))
        tensor([0.7979, 9.0000])
    """
    size = mean.abs()
    near = size < _FAR * scale
    # Where t is large its slope would be a product of zero and infinity; there it is not needed.
    t = torch.where(near, size, torch.zeros_like(size)) / torch.where(near, scale, 1.0)
    bell = math.sqrt(2 / math.pi) * torch.exp(-0.5 * t.square())
    over = bell - t * torch.erfc(t * math.sqrt(0.5))
    return size + scale * torch.where(near, over, torch.zeros_like(over))


def _divergence(mean: Tensor, log_scale: Tensor, log_rate: Tensor) -> Tensor:
    """Return the divergence by logarithms, which hold where s or λ itself would vanish."""
    entropy = log_scale + 0.5 * math.log(2 * math.pi * math.e)
    magnitude = mean_magnitude(mean, log_scale.exp())
    return math.log(2.0) - log_rate - entropy + log_rate.exp() * magnitude


class Laplace(NamedTuple):
    """A Laplace distribution for each element, by its location m and log b, which broadcast.

    Source: Kiruluta 2025, equation 20, with a location.

    Example:
        >>> prior = Laplace(torch.zeros(3), torch.zeros(3))
        >>> prior.log_prob(torch.tensor([0.0, 1.0, -1.0]))
        tensor([-0.6931, -1.6931, -1.6931])
        >>> prior.sample(torch.tensor([0.0, 1.0, -1.0]))
        tensor([ 0.0000,  1.1479, -1.1479])
    """

    location: Tensor
    log_scale: Tensor

    @property
    def exact_kl(self) -> bool:
        """Whether :meth:`kl_from` is in closed form: it is."""
        return True

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats for each element."""
        log_scale = widen(self.log_scale)
        size = (z - widen(self.location)).abs()
        return -size * torch.exp(-log_scale) - log_scale - math.log(2.0)

    def kl_from(self, posterior: Gaussian, z: Tensor) -> Tensor:
        """Return KL(posterior ‖ self) in nats for each element; the draw z is not looked at."""
        shift = widen(posterior.mean) - widen(self.location)
        return _divergence(shift, widen(posterior.log_scale), -widen(self.log_scale))

    def sample(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """Return a draw if ``noise`` is standard normal, its deviation from m times temperature."""
        beyond: Tensor = -math.log(2.0) - log_ndtr(-noise.abs())
        scale = torch.exp(widen(self.log_scale)) * temperature
        return widen(self.location) + scale * torch.sign(noise) * beyond


class Logistic(NamedTuple):
    """A logistic distribution for each element, by its location m and log b, which broadcast.

    Example:
        >>> prior = Logistic(torch.zeros(2), torch.zeros(2))
        >>> prior.log_prob(torch.tensor([0.0, 2.0]))
        tensor([-1.3863, -2.2539])
        >>> prior.sample(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 1.6683])
    """

    location: Tensor
    log_scale: Tensor

    @property
    def exact_kl(self) -> bool:
        """Whether :meth:`kl_from` is in closed form: it is not."""
        return False

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats for each element."""
        log_scale = widen(self.log_scale)
        size = (z - widen(self.location)).abs() * torch.exp(-log_scale)
        return -size - 2 * functional.softplus(-size) - log_scale

    def kl_from(self, posterior: Gaussian, z: Tensor) -> Tensor:
        """Return log q(z) - log p(z), whose mean over z ~ posterior is KL(posterior ‖ self)."""
        return posterior.log_prob(z) - self.log_prob(z)

    def sample(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """Return a draw if ``noise`` is standard normal, its deviation from m times temperature."""
        logit: Tensor = log_ndtr(noise) - log_ndtr(-noise)
        return widen(self.location) + torch.exp(widen(self.log_scale)) * temperature * logit
