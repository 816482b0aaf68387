"""The hierarchy: levels, cells, the two paths, the one walk, and the model that they make.

A multi-resolution VAE is a resolution ladder, a hierarchy of cells that walks it from coarse to
fine, a prior at its top and a likelihood at its bottom. Each is a value here.
"""

from mrvae.models.autoregressive import AutoregressivePrior, raster, zigzag
from mrvae.models.context import Context, DCTContext, NoContext, PooledContext, WaveletContext
from mrvae.models.decoder import Decoder
from mrvae.models.diffusion import DiffusionPrior, PredictMean, PredictNoise, PredictStart
from mrvae.models.elbo import Elbo, bits_per_dim
from mrvae.models.encoder import Encoder
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level, parse_levels
from mrvae.models.loss import soft_threshold
from mrvae.models.prior import ContextPrior, FixedLattice, NormalPrior
from mrvae.models.schedule import CosineSchedule, LinearSchedule
from mrvae.models.vae import make_vae
from mrvae.models.variants import build, hierarchy
from mrvae.models.wavelet_vae import make_wavelet_vae, stack, super_resolve, unstack

__all__ = [
    "HVAE",
    "AutoregressivePrior",
    "Context",
    "ContextPrior",
    "CosineSchedule",
    "DCTContext",
    "Decoder",
    "DiffusionPrior",
    "Elbo",
    "Encoder",
    "FixedLattice",
    "ImageFrame",
    "Level",
    "LinearSchedule",
    "NoContext",
    "NormalPrior",
    "PooledContext",
    "PredictMean",
    "PredictNoise",
    "PredictStart",
    "WaveletContext",
    "bits_per_dim",
    "build",
    "hierarchy",
    "make_vae",
    "make_wavelet_vae",
    "parse_levels",
    "raster",
    "soft_threshold",
    "stack",
    "super_resolve",
    "unstack",
    "zigzag",
]
