"""Small hierarchies for the tests of models, with every tensor away from its initial zeros."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.models import HVAE, ImageFrame, Trace, parse_levels
from mrvae.models.build import hierarchy
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.recipes.schema import (
    VDVAE,
    BernoulliPixels,
    CategoricalPixels,
    Cell,
    Likelihood,
    LogisticMixturePixels,
    RawScaleSpec,
    Scale,
)

ENCODER, DECODER = "8x2,8d2,4x1,4d4,1x1", "1x1,4m1,4x2,8m4,8x2"
BINARY, GREY = BernoulliPixels(), CategoricalPixels(bins=5)
COLOUR = LogisticMixturePixels(components=2)
_VDVAE = VDVAE()
LIKELIHOODS: tuple[Likelihood, ...] = (BINARY, GREY, COLOUR)


def make(
    likelihood: Likelihood = GREY,
    *,
    encoder: str = ENCODER,
    decoder: str = DECODER,
    width: Sequence[int] = (8,),
    latent: Sequence[int] = (3,),
    size: int = 8,
    channels: int | None = None,
    scale: Scale | None = None,
    bias_up_to: int = 64,
    cell: Cell = _VDVAE,
    normalise: bool = False,
    fourier: tuple[int, ...] = (),
    synchronous: bool = False,
    wavelet: str = "haar",
    seed: int | None = 0,
) -> HVAE:
    """Build a model in float64; its weights random if ``seed`` is given, else initial ones."""
    levels = parse_levels(encoder, decoder, width, latent)
    high = likelihood.bins - 1
    many = channels or (3 if likelihood is COLOUR else 1)
    frame = ImageFrame(many, size, levels[-1].size, high / 2, high / 2, likelihood.bins, fourier)
    model = hierarchy(
        levels,
        frame,
        likelihood,
        bottleneck=0.5,
        scale=scale or RawScaleSpec(),
        bias_up_to=bias_up_to,
        cell=cell,
        normalise=normalise,
        synchronous=synchronous,
        wavelet=wavelet,
    ).double()
    if seed is not None:
        randomise(model, seed)
    return model


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Give every parameter values of the size that keeps activations near one."""
    stream = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        values = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
        fan = parameter[0].numel() if parameter.dim() == 4 and parameter.shape[0] > 1 else 9
        parameter.copy_(0.7 * values * fan**-0.5)


def images(model: HVAE, count: int, seed: int = 0) -> Tensor:
    """Draw uint8 images of the model's shape over all its bins."""
    frame = model.frame
    stream = torch.Generator().manual_seed(seed)
    shape = (count, *frame.shape)
    return torch.randint(0, frame.bins, shape, generator=stream).to(torch.uint8)


def noise(model: HVAE, *shape: int, seed: int = 0) -> Tensor:
    """Draw standard normal noise (*shape, noise_size) in float64."""
    stream = torch.Generator().manual_seed(seed)
    size = (*shape, model.latent_noise_size)
    return torch.randn(size, generator=stream, dtype=torch.float64)


def posterior_trace(model: HVAE, x: Tensor, drawn: Tensor) -> Trace:
    """Return the trace of images whose latents are draws from the posterior."""
    return model.trace(model.observe(x), from_posterior(), drawn)
