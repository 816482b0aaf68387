"""From a recipe to a model: the only modules of ``models`` that import recipes.

Each family of models has its file: hierarchies of blocks, wavelet VAEs, a VAE with one latent, and
models of a context only. What a model takes is counted before it is built, by
:mod:`mrvae.models.build.size`. Weights on disk are read by :mod:`mrvae.models.build.weights`.
"""

from __future__ import annotations

from mrvae.models.build.context_only import make_context_only
from mrvae.models.build.hierarchy import hierarchy
from mrvae.models.build.size import Size, check_size, levels_of, size_of
from mrvae.models.build.vae import make_vae
from mrvae.models.build.wavelet_vae import make_wavelet_vae
from mrvae.models.hierarchy.level import space_to_depth
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.recipes import schema
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.wavelet import VAE, WaveletVAE
from mrvae.sizes import simplest

__all__ = ["build", "hierarchy", "make_context_only", "make_vae", "make_wavelet_vae", "size_of"]


def build(recipe: schema.Recipe, repeat: int | None = None, large: bool = False) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    With ``repeat``, every block and cell is visited that many times in a row instead of as often as
    the recipe says; those that pool and mix are visited once. The weights are the same. Under
    ``with torch.device("meta"):`` nothing is allocated.

    Raises:
        ValueError: if the recipe's blocks cannot be read or do not fit its images, ``repeat`` is
            out of range, or the model has no blocks to repeat; before anything is built if the
            model is larger than :data:`mrvae.models.build.size.LARGEST` and not ``large``.

    Example:
        >>> import mrvae
        >>> recipe = mrvae.recipe("digits-vdvae")
        >>> build(recipe).stochastic_depth, build(recipe, repeat=3).stochastic_depth
        (7, 17)
    """
    model = recipe.model
    if not isinstance(model, schema.Model):
        if repeat is not None:
            raise ValueError(f"repeat is {repeat}; the model of {recipe.name} repeats no cells")
        _check(size_of(model), large)
        return _other(model)
    _check(size_of(model, repeat), large)
    levels = levels_of(model, repeat)
    (height, width), factor = levels[-1].sides, space_to_depth(model.encoder)
    frame = ImageFrame(
        model.channels,
        model.size,
        simplest((height * factor, width * factor)),
        model.input.mean,
        model.input.std,
        model.likelihood.bins,
        model.fourier,
        factor,
    )
    return hierarchy(
        levels,
        frame,
        model.likelihood,
        bottleneck=model.bottleneck,
        scale=model.scale,
        bias_up_to=model.bias_up_to,
        cell=model.cell,
        normalise=model.normalise,
        synchronous=model.synchronous,
        wavelet=model.wavelet,
        context=model.context,
    )


def _check(size: Size, large: bool) -> None:
    if not large:
        check_size(size)


def _other(model: WaveletVAE | VAE | ContextOnly) -> HVAE:
    """Build a model that has no blocks."""
    match model:
        case WaveletVAE():
            return make_wavelet_vae(model)
        case VAE():
            return make_vae(model)
        case ContextOnly():
            return make_context_only(model)
