"""The smallest model with a known evidence: z ~ N(0, 1), one pixel u ~ N(z, s²), q = p(z | u)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mrvae.data import Images
from mrvae.distributions import Gaussian
from mrvae.models import HVAE, Decoder, ImageFrame, Level
from mrvae.models.hierarchy.walk import Cell, Shape

FRAME = ImageFrame(channels=1, size=1, network_size=1, mean=128.0, std=32.0)


@dataclass(frozen=True)
class OneLevel:
    """The model of a likelihood's variance s²."""

    variance: float

    def log_evidence(self, u: float) -> float:
        return normal_log_density(u, 0.0, 1 + self.variance)

    def kl(self, u: float) -> float:
        mean, variance = self.posterior(u)
        return 0.5 * (variance + mean**2 - 1 - math.log(variance))

    def published(self, u: float) -> float:
        """Return the limit of the published estimator, log E_q p(u | z) - KL."""
        mean, variance = self.posterior(u)
        return normal_log_density(u, mean, variance + self.variance) - self.kl(u)

    def posterior(self, u: float) -> tuple[float, float]:
        return u / (1 + self.variance), self.variance / (1 + self.variance)

    def model(self) -> HVAE:
        return HVAE(Same(), Decoder([Single(self)]), Head(self.variance), FRAME)


def normal_log_density(u: float, mean: float, variance: float) -> float:
    return -0.5 * (math.log(2 * math.pi * variance) + (u - mean) ** 2 / variance)


def copies(u: float, count: int) -> Images:
    """The image of the standardised pixel u, many times over: each place has its own noise."""
    pixel = torch.tensor(FRAME.mean + FRAME.std * u).to(torch.uint8)
    return Images(pixel.expand(count, 1, 1, 1).clone(), "one", "test")


class Same(nn.Module):
    """The encoder: the pixel itself."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,)


class Single(nn.Module):
    """A stage of one cell, whose scalar latent is the state."""

    def __init__(self, level: OneLevel) -> None:
        super().__init__()
        self.level = Level(size=1, width=1, latent=1, blocks=0, cells=1)
        gain, variance = level.posterior(1.0)
        self.gain = nn.Parameter(torch.tensor(gain, dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.tensor(variance, dtype=torch.float64).log() / 2)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return ((1, 1, 1),)

    @property
    def visits(self) -> Sequence[Cell]:
        return (self,)

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        return self.gain.new_zeros(batch, 1, 1, 1)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        return Gaussian(h, h), h

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        return Gaussian(self.gain * features, self.log_scale.expand_as(features))

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        return z


@dataclass(frozen=True)
class Pixel:
    """N(z, s²) as a density of the standardised pixel."""

    density: Gaussian

    def log_prob(self, x: Tensor) -> Tensor:
        return self.density.log_prob(FRAME.prepare(x, torch.float64)).flatten()


class Head(nn.Module):
    """From the latent to its pixel."""

    def __init__(self, variance: float) -> None:
        super().__init__()
        self.log_scale = math.log(variance) / 2

    def forward(self, h: Tensor) -> Pixel:
        return Pixel(Gaussian(h, torch.full_like(h, self.log_scale)))
