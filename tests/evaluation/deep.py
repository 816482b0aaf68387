"""A small VDVAE over digits, with every weight away from zero, so that no latent is idle."""

from __future__ import annotations

import torch

from mrvae.data import Images, load
from mrvae.distributions import Distribution, Gaussian
from mrvae.models import HVAE, ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.recipes.schema import CategoricalPixels


def deep_model() -> HVAE:
    levels = parse_levels("8x1,8d2,4x1,4d4,1x1", "1x1,4m1,4x1,8m4,8x1r2", [16], [2])
    frame = ImageFrame(channels=1, size=8, network_size=8, mean=5.0, std=6.0, bins=17)
    torch.manual_seed(0)
    model = hierarchy(levels, frame, CategoricalPixels(bins=17))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)
    return model.eval()


def digits(count: int) -> Images:
    return load("digits", "test").subset(torch.arange(count))


def gaussian(prior: Distribution) -> Gaussian:
    assert isinstance(prior, Gaussian)
    return prior
