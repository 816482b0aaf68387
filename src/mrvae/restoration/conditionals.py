r"""The pixels given the latents and the observation: draws from p(x | z, y).

Given z the pixels are independent of one another, so that an observation of single pixels leaves
them so:

    missing pixels   p(x | z, x_known) = p(x_missing | z),
    noisy pixels     p(x | z, y) ∝ Π_i p(x_i | z) N(y_i; x_i, σ²).

Both are exact for every likelihood with bins. The channels of a pixel may depend on one another.
Then noisy ones are drawn in order from p(x_c | x_<c, z) N(y_c; x_c, σ²)/Z_c(x_<c), and the draw
replaces the pixel with probability min(1, Π_c Z_c(x'_<c)/Z_c(x_<c)), a Metropolis step that keeps
p(x | z, y).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mrvae.distributions import PixelDistribution


class Conditional(Protocol):
    """What is known of images: the part of p(x | z, y) that is not the model's."""

    def first(self) -> Tensor:
        """Return uint8 images (B, C, H, W) with which a chain begins."""
        ...

    def repeat(self, count: int) -> Conditional:
        """Return the same of ``count`` copies of the batch, one after the other."""
        ...

    def draw(self, pixels: PixelDistribution, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return uint8 images from p(x | z, y), or after a step that keeps it, x being the last."""
        ...

    def mean(self, pixels: PixelDistribution, x: Tensor) -> Tensor:
        """Return the expected pixel values given z and y, or x where that has no closed form."""
        ...


@dataclass(frozen=True, eq=False)
class KnownPixels:
    """Some pixels are known, and nothing of the others.

    Args:
        x: uint8 (B, C, H, W); what is not known has no influence.
        known: bool, of a shape that broadcasts to x; all channels of a pixel are known, or none.
        bins: the number of values of a pixel.
    """

    x: Tensor
    known: Tensor
    bins: int

    def first(self) -> Tensor:
        """Return the images with the mean of their known pixels elsewhere."""
        known = self.known.expand_as(self.x)
        count = known.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        total = torch.where(known, self.x, 0).sum(dim=(2, 3), keepdim=True)
        return torch.where(known, self.x, (total / count).round().to(torch.uint8))

    def repeat(self, count: int) -> KnownPixels:
        """Return the same of copies of the batch."""
        known = self.known.expand_as(self.x).repeat(count, 1, 1, 1)
        return KnownPixels(self.x.repeat(count, 1, 1, 1), known, self.bins)

    def draw(self, pixels: PixelDistribution, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return the images with what is missing drawn from p(x | z)."""
        return torch.where(self.known, self.x, pixels.sample(generator))

    def mean(self, pixels: PixelDistribution, x: Tensor) -> Tensor:
        """Return the images with what is missing at its mean; of colours, at its draw."""
        mean = pixels.mean() if x.shape[1] == 1 else x.to(torch.float32)
        return torch.where(self.known, self.x.to(mean.dtype), mean)


@dataclass(frozen=True, eq=False)
class NoisyPixels:
    """Every pixel is observed with Gaussian noise.

    Args:
        y: real numbers in units of pixel values, (B, C, H, W).
        sigma: standard deviation of the noise, in the same units.
        bins: the number of values of a pixel.
    """

    y: Tensor
    sigma: float
    bins: int

    def first(self) -> Tensor:
        """Return the nearest pixel values."""
        return self.y.round().clamp(0, self.bins - 1).to(torch.uint8)

    def repeat(self, count: int) -> NoisyPixels:
        """Return the same of copies of the batch."""
        return NoisyPixels(self.y.repeat(count, 1, 1, 1), self.sigma, self.bins)

    def draw(self, pixels: PixelDistribution, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return images from p(x | z, y): exact for grey images, a Metropolis step for colours."""
        new = x.clone()
        for channel in range(x.shape[1]):
            new[:, channel] = _categorical(self._joint(pixels, new)[:, channel], generator)
        if x.shape[1] == 1:
            return new
        ratio = self._log_normaliser(pixels, new) - self._log_normaliser(pixels, x)
        uniform = torch.rand(
            ratio.shape, generator=generator, dtype=ratio.dtype, device=ratio.device
        )
        return torch.where(uniform.log() < ratio, new, x)

    def mean(self, pixels: PixelDistribution, x: Tensor) -> Tensor:
        """Return E[x | z, y] of grey images; of colours, the draw."""
        if x.shape[1] > 1:
            return x.to(torch.float32)
        joint = self._joint(pixels, x)
        values = torch.arange(self.bins, dtype=joint.dtype, device=joint.device)
        return (joint * values).sum(dim=-1) / joint.sum(dim=-1)

    def _joint(self, pixels: PixelDistribution, given: Tensor) -> Tensor:
        """Return p(x_c = v | x_<c, z) N(y_c; v, σ²) up to a factor of y: (B, C, H, W, bins)."""
        values = torch.arange(self.bins, dtype=self.y.dtype, device=self.y.device)
        misfit = -0.5 * ((self.y.unsqueeze(-1) - values) / self.sigma).square()
        likelihood = (misfit - misfit.amax(dim=-1, keepdim=True)).exp()
        return pixels.pmf(given).clamp(min=torch.finfo(torch.float32).tiny) * likelihood

    def _log_normaliser(self, pixels: PixelDistribution, x: Tensor) -> Tensor:
        """Return Σ_c log Z_c(x_<c) of each pixel, (B, 1, H, W)."""
        return self._joint(pixels, x).sum(dim=-1).log().sum(dim=1, keepdim=True)


def _categorical(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Draw an index for each row of non-negative weights on the last axis, as uint8."""
    cumulative = weights.double().cumsum(dim=-1)
    uniform = torch.rand(
        weights.shape[:-1], generator=generator, dtype=torch.float64, device=weights.device
    )
    index = torch.searchsorted(
        cumulative, (uniform * cumulative[..., -1]).unsqueeze(-1), right=True
    )
    return index.squeeze(-1).clamp(max=weights.shape[-1] - 1).to(torch.uint8)
