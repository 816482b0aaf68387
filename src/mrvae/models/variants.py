"""The papers' models as short constructors, and the one that a recipe asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from mrvae.distributions import BoundedScale, RawScale, SoftplusScale
from mrvae.models.alone import make_alone
from mrvae.models.cell import Scale, VDVAECell
from mrvae.models.decoder import CellRung, Decoder
from mrvae.models.echo import EchoRung, FirstCell, PassingCell
from mrvae.models.encoder import Encoder, middle_width
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level, parse_levels
from mrvae.models.likelihood import Head, SpatialHead
from mrvae.models.other_cells import MarkovCell, NormalisedCell, NVAECell, PlainCell
from mrvae.models.topdown import TopDownCell
from mrvae.models.topdown_encoder import TopDownEncoder
from mrvae.models.tops import make_top
from mrvae.models.vae import make_vae
from mrvae.models.wavelet_vae import make_wavelet_vae
from mrvae.recipes import context as spec
from mrvae.recipes import schema
from mrvae.recipes.alone import ContextAlone
from mrvae.recipes.wavelet import VAE, WaveletVAE
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
        return _other(model)
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


def _other(model: WaveletVAE | VAE | ContextAlone) -> HVAE:
    """Build a model that has no blocks."""
    match model:
        case WaveletVAE():
            return make_wavelet_vae(model)
        case VAE():
            return make_vae(model)
        case ContextAlone():
            return make_alone(model)


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
        cell: the step from one latent to the next, and with it the kind of encoder and head.
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
    cells = _cells(cell, levels, bottleneck, _scale(scale))
    rungs = [
        CellRung(
            level,
            [NormalisedCell(made) if normalise else made for made in cells[index]],
            bias=level.size <= bias_up_to,
            ladder=ladder,
            below=levels[index - 1] if index else None,
            resampling=resampling,
        )
        for index, level in enumerate(levels)
    ]
    path = (levels, frame.inputs, bottleneck, ladder, normalise, synchronous, resampling)
    tail = (levels[-1].width, frame, likelihood)
    encoder: nn.Module
    match cell:
        case schema.TopDown(echo=echo, weight_norm=normed):
            encoder, decoder = TopDownEncoder(*path, normed), Decoder(_echoed(rungs, echo))
            head: nn.Module = SpatialHead(*tail)
        case _:
            encoder, decoder, head = Encoder(*path), Decoder(rungs), Head(*tail)
    return HVAE(encoder, decoder, head, frame, make_top(context, levels, frame, ladder))


def _cells(
    cell: schema.Cell, levels: Sequence[Level], bottleneck: float, scale: Scale
) -> list[list[nn.Module]]:
    """Build the cells of every level, a mixing one first where there is one."""
    mixing = [index > 0 and level.mixes for index, level in enumerate(levels)]
    applied = sum(level.visits for level in levels) + sum(mixing)
    widths = [level.width for level in levels]
    return [
        [
            _cell(cell, level, middle_width(level, bottleneck), applied, scale, outputs)
            for outputs in _outputs(level, level.cells + mixes, after)
        ]
        for level, mixes, after in zip(levels, mixing, [*widths[1:], widths[-1]], strict=True)
    ]


def _outputs(level: Level, count: int, after: int) -> list[int]:
    """Return the widths to which the cells of a level lead: the last one to that of the next."""
    return [level.width] * (count - 1) + [after] * (count > 0)


def _cell(
    cell: schema.Cell, level: Level, middle: int, applied: int, scale: Scale, outputs: int
) -> nn.Module:
    """Build one cell of a level; those that cannot change the state's width leave it as it is."""
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
        case schema.TopDown(shortcut, _, normed):
            if level.repeat > 1 and outputs != width:
                raise ValueError(
                    f"the last cell at {level.size} leads from width {width} to {outputs}, so it "
                    "cannot be repeated; give both resolutions one width, or repeat once"
                )
            return TopDownCell(width, latent, middle, outputs, applied, scale, shortcut, normed)


def _echoed(rungs: Sequence[CellRung], echo: bool) -> Sequence[nn.Module]:
    """Let the first latent, if it has an echo, go down and be heard by every further level."""
    if not echo:
        return rungs
    carried = rungs[0].level.latent
    result: list[nn.Module] = []
    for index, rung in enumerate(rungs):
        goes_on = index < len(rungs) - 1
        if goes_on:
            each: list[nn.Module] = [PassingCell(cell, carried) for cell in rung.cells]
            if not index:
                each[0] = FirstCell(rung.cells[0])
            rung.cells = nn.ModuleList(each)
        heard = index > 0 and rung.level.drawn
        result.append(EchoRung(rung, carried, heard=heard, goes_on=goes_on))
    return result


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
        case schema.BoundedScale(beta, lowest, highest):
            return BoundedScale(beta, lowest, highest)
