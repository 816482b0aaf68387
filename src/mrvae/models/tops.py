"""From the values of a recipe to the modules that stand above its hierarchy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from mrvae.distributions import MidRise, MidTread, Quantiser
from mrvae.layers import UNet
from mrvae.models.autoregressive import AutoregressivePrior, raster, zigzag
from mrvae.models.context import DCTContext, LinearContext, PooledContext, WaveletContext
from mrvae.models.diffusion import (
    DiffusionPrior,
    Prediction,
    PredictMean,
    PredictNoise,
    PredictStart,
)
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level
from mrvae.models.prior import NormalPrior
from mrvae.models.schedule import CosineSchedule, LinearSchedule, Schedule
from mrvae.models.top import ContextTop, NoTop, Top
from mrvae.models.walk import Shape
from mrvae.recipes import context as spec
from mrvae.resolution import Ladder

_MOST = 1 << 14
Order = Callable[[Shape], tuple[int, ...]]


def make_top(
    context: spec.Context, levels: Sequence[Level], frame: ImageFrame, ladder: Ladder
) -> Top:
    """Return what a recipe puts above its levels.

    Raises:
        ValueError: if the context does not fit the images, or the prior the context.
    """
    if isinstance(context, spec.NoContext):
        return NoTop(len(levels))
    return ContextTop(make_prior(context, frame), levels, frame, ladder, context.everywhere)


def make_prior(context: spec.SomeContext, frame: ImageFrame) -> nn.Module:
    """Return the prior of a recipe's context, which owns it; it is not fitted yet.

    Raises:
        ValueError: if the context does not fit the images, or the prior the context.
    """
    found = _context(context, frame)
    _check_few(torch.Size(found.shape).numel())
    return _prior(context.prior, found, zigzag if isinstance(found, DCTContext) else raster)


def _check_few(count: int) -> None:
    """Refuse a context of more levels than a prior can be asked to know."""
    if count > _MOST:
        raise ValueError(f"the context has {count} levels; make it smaller, {_MOST} are allowed")


def _context(context: spec.SomeContext, frame: ImageFrame) -> LinearContext:
    """Return the function of the image; it is not fitted yet."""
    image, bins = (frame.channels, frame.size, frame.size), frame.levels
    quantiser = _quantiser(context.quantiser)
    match context:
        case spec.DCT(frequencies=size, ycbcr=ycbcr, chroma=chroma):
            return DCTContext(image, size, quantiser, bins, ycbcr, chroma or size)
        case spec.Pooled(factor=factor):
            return PooledContext(image, factor, quantiser, bins)
        case spec.WaveletTop(wavelet=name, depth=depth):
            return WaveletContext(image, name, depth, quantiser, bins)


def _quantiser(quantiser: spec.Quantiser) -> Quantiser:
    match quantiser:
        case spec.MidRise(bits):
            return MidRise(bits)
        case spec.MidTread(step):
            return MidTread(step)


def _prior(prior: spec.Prior, context: LinearContext, order: Order) -> nn.Module:
    """Return the prior of a context."""
    match prior:
        case spec.Normal():
            return NormalPrior(context)
        case spec.Autoregressive(hidden, components):
            return AutoregressivePrior(context, order(context.shape), hidden, components)
        case spec.Diffusion():
            channels, size, _ = context.shape
            network = UNet(
                size,
                channels,
                2 * channels,
                prior.unet_width,
                prior.unet_scales,
                prior.unet_blocks,
            )
            schedule = _schedule(prior.noise, prior.length)
            return DiffusionPrior(context, network, schedule, _prediction(prior.predict))


def _schedule(noise: spec.Noise, length: int) -> Schedule:
    match noise:
        case spec.LinearNoise():
            return LinearSchedule.scaled(length)
        case spec.CosineNoise():
            return CosineSchedule(length)


def _prediction(prediction: spec.Prediction) -> Prediction:
    match prediction:
        case spec.PredictMean():
            return PredictMean()
        case spec.PredictStart():
            return PredictStart()
        case spec.PredictNoise():
            return PredictNoise()
