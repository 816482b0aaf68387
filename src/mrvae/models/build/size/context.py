"""The size of a context's prior, of its conditioning, and of a model of a context only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from mrvae.models.build.context import sides_of_codes
from mrvae.models.build.size.layers import Size, convolution, linear, total, unet
from mrvae.models.hierarchy.level import Level
from mrvae.recipes import context as spec
from mrvae.recipes.context_only import ContextOnly
from mrvae.sizes import ImageSize, simplest


def prior_size(context: spec.SomeContext, channels: int, size: ImageSize) -> Size:
    """Return the size of the prior of a context of images."""
    lengths = sides_of_codes(context, size)
    codes = channels * prod(lengths)
    match context.prior:
        case spec.FactorisedSpec():
            return Size(parameters=2 * codes)
        case spec.AutoregressiveSpec(hidden, components):
            first, second = linear(codes, hidden), linear(hidden, hidden)
            return total(first, second, linear(hidden, 3 * components * codes))
        case spec.DiffusionSpec() as prior:
            sizes = (prior.unet_width, prior.unet_scales, prior.unet_blocks)
            network = unet(simplest(lengths), channels, 2 * channels, *sizes)
            # All steps of an image go through the network in one batch.
            return replace(network, operations=network.operations * prior.length)


def conditioning_size(context: spec.Context, levels: Sequence[Level], channels: int) -> Size:
    """Return the size of the convolutions by which a context conditions the levels."""
    if isinstance(context, spec.NoContextSpec):
        return Size()
    return total(
        *(
            convolution(channels, level.width, level.kernel, level.size)
            for index, level in enumerate(levels)
            if not index or (context.everywhere and level.drawn)
        )
    )


def context_only_size(model: ContextOnly) -> Size:
    """Return the size of a model of a context only; its likelihood has a scale a channel."""
    return prior_size(model.context, model.channels, model.size) + Size(parameters=model.channels)
