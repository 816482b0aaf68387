"""Small wavelet models in double precision, with parts whose distributions are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from msgspec.structs import replace
from torch import Tensor, nn

from mrvae.models import HVAE
from mrvae.models.build import make_wavelet_vae
from mrvae.recipes import wavelet as spec

Some = TypeVar("Some")

SMALL = spec.WaveletVAE(
    channels=2,
    size=8,
    depth=2,
    likelihood=spec.LogisticImage(bins=17),
    encoder=spec.Pyramid(width=8, blocks=1),
    noise=spec.NoiseFromImage(initial=0.2),
    prior=spec.CoarseToFine(width=8, blocks=1),
)
PLAIN = replace(SMALL, encoder=spec.Transform(), noise=spec.GlobalNoise(0.2))


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, recipe: spec.WaveletVAE | spec.VAE = SMALL, seed: int = 0) -> Tensor:
    shape = (count, *recipe.image)
    return torch.randint(0, recipe.likelihood.bins, shape, generator=stream(seed)).byte()


def stirred(model: HVAE, size: float = 0.1, seed: int = 0) -> HVAE:
    """Move every parameter a little, so that nothing is zero by initialisation; float64."""
    model.double()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=stream(seed), dtype=torch.float64)
            parameter.add_(noise, alpha=size)
    return model


def small(recipe: spec.WaveletVAE = SMALL) -> HVAE:
    torch.manual_seed(0)
    return stirred(make_wavelet_vae(recipe))


class Free(nn.Module):
    """An encoder of parameters: the same mean and log-scale of each latent for every image."""

    def __init__(self, means: Sequence[Tensor], log_scales: Sequence[Tensor]) -> None:
        super().__init__()
        self.means = nn.ParameterList(means)
        self.log_scales = list(log_scales)

    def forward(self, v: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            torch.cat((mean, log_scale.expand_as(mean)), dim=1)
            for mean, log_scale in zip(self.means, self.log_scales, strict=True)
        )


@dataclass(frozen=True)
class Density:
    """Independent Gaussians around an image on [0, 1], as a density; as a bound needs it."""

    image: Tensor
    bins: int
    scale: float

    def log_prob(self, x: Tensor) -> Tensor:
        u = x.double() / (self.bins - 1)
        standard = ((u - self.image) / self.scale).flatten(1)
        constant = standard.shape[1] * math.log(2 * math.pi * self.scale**2)
        return -0.5 * (standard.square().sum(1) + constant)


class DensityHead(nn.Module):
    """The head of a linear Gaussian model."""

    def __init__(self, bins: int, scale: float) -> None:
        super().__init__()
        self.bins, self.scale = bins, scale

    def forward(self, h: Tensor) -> Density:
        return Density(h, self.bins, self.scale)
