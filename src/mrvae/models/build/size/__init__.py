"""How large a model is, from the numbers of its recipe, before any part of it is built.

A recipe may come from outside, and a few of its characters can ask for hours and gigabytes:
``4x999`` is 999 cells, and ``width=65536`` a matrix of 16 GiB. So a model is counted first, by
arithmetic on its levels and blocks, and one beyond the limits is built on request only. Published
models have at most an eighth of what is allowed; a thousand layers take a second to build.
"""

from __future__ import annotations

from dataclasses import fields, replace

from mrvae.models.build.size.context import context_only_size
from mrvae.models.build.size.hierarchy import hierarchy_size
from mrvae.models.build.size.layers import Size
from mrvae.models.build.size.wavelet import vae_size, wavelet_vae_size
from mrvae.models.hierarchy.level import Level, parse_levels
from mrvae.recipes import schema
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.wavelet import VAE, WaveletVAE

__all__ = ["LARGEST", "Size", "check_size", "levels_of", "size_of"]

LARGEST = Size(parameters=1_000_000_000, layers=10_000, calls=30_000, operations=10_000_000_000_000)
"""What a model may have at most unless a larger one is asked for."""

_NAMES = {
    "parameters": "parameters",
    "layers": "convolutions and linear maps",
    "calls": "applications of layers for one image",
    "operations": "multiply-adds for one image",
}


def size_of(model: schema.Network, repeat: int | None = None) -> Size:
    """Return the size of the model of a recipe, without building it.

    Parameters and layers are exactly those of the model that :func:`mrvae.models.build.build`
    makes.

    Args:
        model: the recipe's.
        repeat: visits of each block and cell in a row; by default as often as the recipe says.

    Raises:
        ValueError: if the block strings cannot be read, or a width leaves no channel to a
            bottleneck.

    Example:
        >>> import mrvae
        >>> size_of(mrvae.recipe("digits-vdvae").model).parameters
        305169
    """
    match model:
        case schema.Model():
            return hierarchy_size(model, levels_of(model, repeat))
        case WaveletVAE():
            return wavelet_vae_size(model)
        case VAE():
            return vae_size(model)
        case ContextOnly():
            return context_only_size(model)


def levels_of(model: schema.Model, repeat: int | None = None) -> tuple[Level, ...]:
    """Return the levels of a hierarchy, each block and cell visited ``repeat`` times if given.

    Raises:
        ValueError: if the block strings cannot be read, or ``repeat`` is out of range.
    """
    levels = parse_levels(model.encoder, model.decoder, model.width, model.latent, model.size)
    if repeat is None:
        return levels
    return tuple(replace(level, repeat=repeat, block_repeat=repeat) for level in levels)


def check_size(size: Size) -> None:
    """Refuse a size beyond :data:`LARGEST`.

    Raises:
        ValueError: naming the first number that is too large.

    Example:
        >>> check_size(Size(parameters=2_000_000_000))
        Traceback (most recent call last):
        ValueError: the model has 2,000,000,000 parameters, more than 1,000,000,000; ...
    """
    for field in fields(size):
        value, most = getattr(size, field.name), getattr(LARGEST, field.name)
        if value > most:
            raise ValueError(
                f"the model has {value:,} {_NAMES[field.name]}, more than {most:,}; make it "
                "smaller, or ask for it with --yes-large (large=True in Python)"
            )
