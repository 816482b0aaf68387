"""The papers' models as short constructors, and the one that a recipe asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from mrvae.distributions import RawScale, SoftplusScale
from mrvae.models.cell import Scale, VDVAECell
from mrvae.models.decoder import CellRung, Decoder
from mrvae.models.encoder import Encoder, middle_width
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level, parse_levels
from mrvae.models.likelihood import Head
from mrvae.models.other_cells import MarkovCell, NormalisedCell, NVAECell, PlainCell
from mrvae.models.tops import make_top
from mrvae.models.vae import make_vae
from mrvae.models.wavelet_vae import make_wavelet_vae
from mrvae.recipes import context as spec
from mrvae.recipes import schema
from mrvae.recipes.wavelet import WaveletVAE
from mrvae.resolution import Ladder, Wavelet, WaveletPooling

_RAW_SCALE, _VDVAE, _NONE = schema.RawScale(), schema.VDVAE(), spec.NoContext()


def build(recipe: schema.Recipe, repeat: int | None = None) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    A hierarchy of blocks is built here, and every other kind of model by its own module.

    With ``repeat``, every block and cell is visited that many times in a row instead of as often as
    the recipe says; those that pool and mix are visited once. The weights are the same.

    Raises:
        ValueError: if the recipe's blocks cannot be read or do not fit its images, ``repeat`` is
            out of range, or the model has no blocks to repeat.

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
        return make_wavelet_vae(model) if isinstance(model, WaveletVAE) else make_vae(model)
    levels = parse_levels(model.encoder, model.decoder, model.width, model.latent)
    if repeat is not None:
        levels = tuple(replace(level, repeat=repeat, block_repeat=repeat) for level in levels)
    frame = ImageFrame(
        model.channels,
        model.size,
        levels[-1].size,
        model.input.mean,
        model.input.std,
        model.likelihood.levels,
        model.fourier,
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


def hierarchy(
    levels: Sequence[Level],
    frame: ImageFrame,
    likelihood: schema.Likelihood,
    *,
    bottleneck: float = 0.25,
    scale: schema.Scale = _RAW_SCALE,
    bias_up_to: int = 64,
    cell: schema.Cell = _VDVAE,
    normalise: bool = False,
    synchronous: bool = False,
    wavelet: str = "haar",
    context: spec.Context = _NONE,
) -> HVAE:
    """Build a model from its levels: as it stands, the VDVAE of Child (2021).

    Where levels repeat their cells it is a weight-shared one (Falck et al. 2022).

    Args:
        levels: coarse to fine.
        frame: the image's place in the network.
        likelihood: distribution of the pixels.
        bottleneck: ratio of the bottlenecks' inner width to their level's.
        scale: how raw scales of the latents are read.
        bias_up_to: largest resolution with a learned bias.
        cell: the step from one latent to the next.
        normalise: divide the state by its norm after every block and cell.
        synchronous: give each cell the encoder's state at its own place.
        wavelet: whose projection and embedding lead from level to level; haar's average and repeat.
        context: what stands above the coarsest latent.

    Raises:
        ValueError: if a level leaves no channel to its bottlenecks, a synchronous model has not as
            many blocks as cells, the wavelet is unknown or not orthogonal, or the context does not
            fit the images.
    """
    ladder = _ladder(levels)
    resampling = None if wavelet == "haar" else WaveletPooling(Wavelet(wavelet))
    applied = sum(level.visits for level in levels) + len(levels) - 1

    def make(level: Level) -> nn.Module:
        middle = middle_width(level, bottleneck)
        made = _cell(cell, level, middle, applied, _scale(scale))
        return NormalisedCell(made) if normalise else made

    rungs = [
        CellRung(
            level,
            [make(level) for _ in range(level.cells + (index > 0))],
            bias=level.size <= bias_up_to,
            ladder=ladder,
            below=levels[index - 1] if index else None,
            resampling=resampling,
        )
        for index, level in enumerate(levels)
    ]
    encoder = Encoder(levels, frame.inputs, bottleneck, ladder, normalise, synchronous, resampling)
    head = Head(levels[-1].width, frame, likelihood)
    return HVAE(encoder, Decoder(rungs), head, frame, make_top(context, levels, frame, ladder))


def _cell(cell: schema.Cell, level: Level, middle: int, applied: int, scale: Scale) -> nn.Module:
    """Build one cell of a level."""
    width, latent, kernel = level.width, level.latent, level.kernel
    match cell:
        case schema.VDVAE():
            return VDVAECell(width, latent, middle, kernel, applied, scale)
        case schema.NVAE():
            return NVAECell(width, latent, middle, kernel, applied, scale)
        case schema.Markov():
            return MarkovCell(width, latent, middle, kernel, scale)
        case schema.Plain():
            return PlainCell(width, latent, middle, kernel, scale)


def _ladder(levels: Sequence[Level]) -> Ladder:
    """Return the ladder on which all levels stand."""
    coarse, fine = levels[0].size, levels[-1].size
    depth = round(math.log2(fine / coarse))
    if coarse << depth != fine:
        raise ValueError(f"resolutions {coarse} … {fine} are not joined by steps of 2")
    return Ladder(coarse, depth)


def _scale(scale: schema.Scale) -> Scale:
    match scale:
        case schema.RawScale():
            return RawScale()
        case schema.SoftplusScale(beta):
            return SoftplusScale(beta)
