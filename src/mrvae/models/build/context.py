"""From the values of a recipe to its context, the context's prior and its conditioning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from mrvae.distributions import MidRise, MidTread, Quantiser
from mrvae.layers import UNet
from mrvae.models.context.conditioner import Conditioner, ContextConditioner, NoContext
from mrvae.models.context.priors.autoregressive import AutoregressivePrior, raster, zigzag
from mrvae.models.context.priors.diffusion import (
    DiffusionPrior,
    Prediction,
    PredictMean,
    PredictNoise,
    PredictStart,
)
from mrvae.models.context.priors.factorised import FactorisedPrior
from mrvae.models.context.priors.schedule import CosineSchedule, LinearSchedule, Schedule
from mrvae.models.context.transforms import DCTContext, LinearContext, PooledContext, WaveletContext
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Shape
from mrvae.models.image import ImageFrame
from mrvae.recipes import context as spec
from mrvae.resolution import Ladder
from mrvae.sizes import ImageSize, Sides, kernel_for, sides, simplest

_MOST = 1 << 14
Order = Callable[[Shape], tuple[int, ...]]


def make_conditioner(
    context: spec.Context, levels: Sequence[Level], frame: ImageFrame, ladder: Ladder
) -> Conditioner:
    """Return the context of a recipe's model.

    Raises:
        ValueError: if the context does not fit the images, or the prior the context.
    """
    if isinstance(context, spec.NoContextSpec):
        return NoContext(len(levels))
    return ContextConditioner(make_prior(context, frame), levels, frame, ladder, context.everywhere)


def make_prior(context: spec.SomeContext, frame: ImageFrame) -> nn.Module:
    """Return the prior of a recipe's context, which owns it; it is not fitted yet.

    Raises:
        ValueError: if the context does not fit the images, or the prior the context.
    """
    down, across = sides_of_codes(context, frame.size)
    _check_few(frame.channels * down * across)
    transform = _transform(context, frame)
    order = zigzag if isinstance(transform, DCTContext) else raster
    return _prior(context.prior, transform, order)


def sides_of_codes(context: spec.SomeContext, size: ImageSize) -> Sides:
    """Return the height and the width of a context's codes for images of a size.

    Example:
        >>> sides_of_codes(spec.PooledSpec(factor=4), 32)
        (8, 8)
        >>> sides_of_codes(spec.DCTSpec(frequencies=5), (1, 64))
        (1, 5)
    """
    height, width = sides(size)
    match context:
        case spec.DCTSpec(frequencies=frequencies):
            return (
                sides(kernel_for(size, frequencies))
                if isinstance(frequencies, int)
                else frequencies
            )
        case spec.PooledSpec(factor=factor):
            down, across = sides(kernel_for(size, factor))
            return height // down, width // across
        case spec.WaveletSpec(depth=depth):
            return (height >> depth if height > 1 or width == 1 else 1), width >> depth


def _check_few(count: int) -> None:
    """Refuse a context of more codes than a prior can have."""
    if count > _MOST:
        raise ValueError(f"the context has {count} codes; make it smaller, {_MOST} are allowed")


def _transform(context: spec.SomeContext, frame: ImageFrame) -> LinearContext:
    """Return the function of the image; it is not fitted yet."""
    image, bins = frame.shape, frame.bins
    quantiser = _quantiser(context.quantiser)
    match context:
        case spec.DCTSpec(ycbcr=ycbcr, chroma=chroma):
            size = simplest(sides_of_codes(context, frame.size))
            return DCTContext(image, size, quantiser, bins, ycbcr, chroma or None)
        case spec.PooledSpec(factor=factor):
            return PooledContext(image, kernel_for(frame.size, factor), quantiser, bins)
        case spec.WaveletSpec(wavelet=name, depth=depth):
            return WaveletContext(image, name, depth, quantiser, bins)


def _quantiser(quantiser: spec.Quantiser) -> Quantiser:
    match quantiser:
        case spec.MidRiseSpec(bits):
            return MidRise(bits)
        case spec.MidTreadSpec(step):
            return MidTread(step)


def _prior(prior: spec.Prior, context: LinearContext, order: Order) -> nn.Module:
    """Return the prior of a context."""
    match prior:
        case spec.FactorisedSpec():
            return FactorisedPrior(context)
        case spec.AutoregressiveSpec(hidden, components):
            return AutoregressivePrior(context, order(context.shape), hidden, components)
        case spec.DiffusionSpec():
            channels, *size = context.shape
            network = UNet(
                simplest((size[0], size[1])),
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
        case spec.PredictMeanSpec():
            return PredictMean()
        case spec.PredictStartSpec():
            return PredictStart()
        case spec.PredictNoiseSpec():
            return PredictNoise()
