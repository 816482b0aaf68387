"""The size of a hierarchy of blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mrvae.models.build.hierarchy import pixel_family
from mrvae.models.build.size.context import conditioning_size, prior_size
from mrvae.models.build.size.layers import (
    Size,
    activated_after,
    activated_before,
    bottleneck,
    convolution,
    depthwise,
    rezero,
    shortcut,
    total,
)
from mrvae.models.hierarchy.encoder import middle_width
from mrvae.models.hierarchy.level import Level, space_to_depth
from mrvae.recipes import context as spec
from mrvae.recipes import schema


def hierarchy_size(model: schema.Model, levels: Sequence[Level]) -> Size:
    """Return the size of the model that a recipe's values and levels make."""
    biased = [level for level in levels if max(level.sides) <= model.bias_up_to]
    biases = sum(level.width * level.pixels for level in biased)
    context = model.context
    return total(
        _encoder(model, levels),
        *(_cells(model, levels, index) for index in range(len(levels))),
        _skips(model.cell, levels),
        Size(parameters=biases),
        _head(model, levels[-1]),
        conditioning_size(context, levels, model.channels),
        Size()
        if isinstance(context, spec.NoContextSpec)
        else prior_size(context, model.channels, model.size),
    )


def encoder_size(levels: Sequence[Level], channels: int, bottleneck_ratio: float) -> Size:
    """Return the size of an :class:`~mrvae.models.hierarchy.encoder.Encoder`."""

    def block(level: Level) -> Size:
        middle = middle_width(level, bottleneck_ratio)
        return bottleneck(level.width, middle, level.width, level.kernel, level.size)

    return total(
        convolution(channels, levels[-1].width, levels[-1].full_kernel, levels[-1].size),
        *(block(level).times(level.blocks, level.block_repeat) for level in levels),
        *(block(level) for level in levels[1:]),
    )


def _encoder(model: schema.Model, levels: Sequence[Level]) -> Size:
    channels = model.channels * (1 + 2 * len(model.fourier)) * space_to_depth(model.encoder) ** 2
    match model.cell:
        case schema.TopDown(weight_norm=normed):
            pass
        case _:
            return encoder_size(levels, channels, model.bottleneck)

    def block(level: Level, outputs: int) -> Size:
        middle = middle_width(level, model.bottleneck)
        net = activated_before(level.width, middle, outputs, level.size, normed)
        return net + rezero(level.width, outputs, level.size)

    return total(
        convolution(channels, levels[-1].width, 1, levels[-1].size),
        *(block(level, level.width).times(level.blocks, level.block_repeat) for level in levels),
        *(block(fine, coarse.width) for coarse, fine in pairwise(levels)),
    )


def _cells(model: schema.Model, levels: Sequence[Level], index: int) -> Size:
    """Return the size of the cells of a level: a mixing one is applied once."""
    level, mixes = levels[index], index > 0 and levels[index].mixes
    count = level.cells + mixes
    if not count:
        return Size()
    after = levels[min(index + 1, len(levels) - 1)].width
    inner, last = _cell(model, level, level.width), _cell(model, level, after)
    if count == 1:
        return last.times(1, 1 if mixes else level.repeat)
    first = inner if mixes else Size()
    others = inner.times(level.cells - 1, level.repeat)
    return total(first, others, last.times(1, level.repeat))


def _cell(model: schema.Model, level: Level, outputs: int) -> Size:
    """Return the size of a cell that leads to a state of ``outputs`` channels."""
    width, latent, side = level.width, level.latent, level.size
    middle = middle_width(level, model.bottleneck)
    if isinstance(model.cell, schema.TopDown):
        return _top_down_cell(model.cell, level, middle, outputs)
    added = width if isinstance(model.cell, schema.VDVAE | schema.Plain) else 0
    read = latent + width if isinstance(model.cell, schema.NVAE) else latent
    return total(
        bottleneck(2 * width, middle, 2 * latent, level.kernel, side),
        bottleneck(width, middle, 2 * latent + added, level.kernel, side),
        convolution(read, width, 1, side),
        bottleneck(width, middle, width, level.kernel, side),
    )


def _top_down_cell(cell: schema.TopDown, level: Level, middle: int, outputs: int) -> Size:
    width, latent, side, normed = level.width, level.latent, level.size, cell.weight_norm
    skips = shortcut(width, 2 * latent, side) + shortcut(width, 2 * latent + width, side)
    return total(
        activated_after(width, middle, 2 * latent, side, normed),
        depthwise(width, middle, 2 * latent + width, side, normed),
        activated_after(width, middle, outputs, side, normed) + rezero(width, outputs, side),
        convolution(latent, width, 1, side),
        skips if cell.shortcut else Size(),
    )


def _skips(cell: schema.Cell, levels: Sequence[Level]) -> Size:
    """Return the size of what adds the first latent to the state of every further level."""
    if not (isinstance(cell, schema.TopDown) and cell.top_latent_skip):
        return Size()
    carried = levels[0].latent
    adding = [level for level in levels[1:] if level.drawn]
    return total(*(convolution(carried, level.width, 1, level.size) for level in adding))


def _head(model: schema.Model, level: Level) -> Size:
    pixels_of_a_place = space_to_depth(model.encoder) ** 2
    outputs = pixel_family(model.channels, model.likelihood).parameters * pixels_of_a_place
    match model.cell:
        case schema.TopDown():
            return convolution(level.width, outputs, level.full_kernel, level.size)
        case _:
            side = model.size if pixels_of_a_place == 1 else level.size
            pixels = convolution(level.width, outputs, 1, side)
            return pixels + Size(parameters=2 * level.width)
