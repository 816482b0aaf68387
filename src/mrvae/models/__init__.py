"""Hierarchical VAEs: the model, its bound, and the rooms of its parts.

A multi-resolution VAE is a resolution ladder, a hierarchy of cells that is walked from coarse to
fine, a context and prior at its top and a likelihood at its bottom.

    hvae, trace, elbo       the model, one descent of it, and the bound
    image, objective        the image's place in the network, and what training minimises
    hierarchy/              levels, the walk, encoder and decoder
    cells/                  one stochastic step, a file for each kind
    context/                the context of an image, its conditioning and its priors
    heads/                  from the last state to the distribution of the image
    wavelet/                wavelet coefficients as latents
    build/                  from a recipe to a model
"""

from mrvae.models.context.priors.autoregressive import AutoregressivePrior, raster, zigzag
from mrvae.models.context.priors.base import ContextPrior, FixedLattice
from mrvae.models.context.priors.diffusion import (
    DiffusionPrior,
    PredictMean,
    PredictNoise,
    PredictStart,
)
from mrvae.models.context.priors.factorised import FactorisedPrior
from mrvae.models.context.priors.schedule import CosineSchedule, LinearSchedule
from mrvae.models.context.transforms import (
    ContextTransform,
    DCTContext,
    PooledContext,
    WaveletContext,
)
from mrvae.models.elbo import Elbo, bits_per_dim
from mrvae.models.hierarchy.decoder import Decoder
from mrvae.models.hierarchy.encoder import Encoder
from mrvae.models.hierarchy.level import Level, parse_levels
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.trace import Latents, Observation, Trace
from mrvae.models.wavelet.encoder import stack, super_resolve, unstack
from mrvae.models.wavelet.surrogate import soft_threshold

__all__ = [
    "HVAE",
    "AutoregressivePrior",
    "ContextPrior",
    "ContextTransform",
    "CosineSchedule",
    "DCTContext",
    "Decoder",
    "DiffusionPrior",
    "Elbo",
    "Encoder",
    "FactorisedPrior",
    "FixedLattice",
    "ImageFrame",
    "Latents",
    "Level",
    "LinearSchedule",
    "Observation",
    "PooledContext",
    "PredictMean",
    "PredictNoise",
    "PredictStart",
    "Trace",
    "WaveletContext",
    "bits_per_dim",
    "parse_levels",
    "raster",
    "soft_threshold",
    "stack",
    "super_resolve",
    "unstack",
    "zigzag",
]
