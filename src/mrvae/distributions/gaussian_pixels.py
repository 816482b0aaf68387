"""Images whose pixels are Gaussians rounded to pixel values: the likelihood behind a squared error.

Each channel of each pixel is by itself, with mean μ on [-1, 1] and scale σ, and has the mass that
:class:`~mrvae.distributions.DiscretizedGaussian` gives its value. Where σ is large beside a bin,
and the tails folded into the outermost bins are small, this is the squared error,

    -log P(v) ≈ (u_v - μ)² / (2σ²) + log σ + ½ log 2π - log(2/(n-1)).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import ndtr

from mrvae.distributions.discretized_gaussian import DiscretizedGaussian
from mrvae.distributions.pixels import require_pixels


class GaussianPixels:
    """A distribution of uint8 images, by independent rounded Gaussians.

    Args:
        mean: μ on [-1, 1], of shape (B, C, H, W).
        log_scale: log σ, broadcasting with ``mean``.
        bins: n, 2 … 256.

    Source: ours.

    Example:
        >>> pixels = GaussianPixels(torch.zeros(1, 1, 1, 1), torch.zeros(()), bins=2)
        >>> pixels.log_prob(torch.ones(1, 1, 1, 1, dtype=torch.uint8))
        tensor([-0.6931])
    """

    def __init__(self, mean: Tensor, log_scale: Tensor, bins: int) -> None:
        self.rounded = DiscretizedGaussian(mean, log_scale.exp(), bins)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, of shape (B,), for uint8 images (B, C, H, W)."""
        require_pixels(x, self.rounded.mean.shape)
        return self.rounded.log_prob(x.long()).sum(dim=(1, 2, 3))

    def pmf(self, given: Tensor | None = None) -> Tensor:
        """Return the probabilities of every value, (B, C, H, W, n); ``given`` is ignored."""
        return self.rounded.pmf()

    def mean(self) -> Tensor:
        """Return the mean in pixel values, Σ_{v<n-1} P(x > v), of shape (B, C, H, W)."""
        mean, scale, grid = self.rounded.mean, self.rounded.scale, self.rounded.grid
        total = torch.zeros_like(mean)
        for value in range(1, grid.most):
            edge = grid.edge(torch.tensor(value, device=mean.device), mean.dtype)
            total = total + ndtr((mean - edge) / scale)
        return total

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one uint8 image (B, C, H, W) for each element of the batch."""
        mean = self.rounded.mean
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return self.rounded.sample(noise).to(torch.uint8)
