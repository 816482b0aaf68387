"""From levels and the values of a recipe to a hierarchy of blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

from torch import nn

from mrvae.models.build.cells import CellConstructor, make_cells, with_top_latent_skip
from mrvae.models.build.context import make_conditioner
from mrvae.models.cells.normalised import NormalisedCell
from mrvae.models.heads.pixels import (
    BernoulliFamily,
    CategoricalFamily,
    Head,
    LogisticMixtureFamily,
    PixelFamily,
    SpatialHead,
)
from mrvae.models.hierarchy.decoder import CellStage, Decoder
from mrvae.models.hierarchy.encoder import Encoder
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.top_down_encoder import TopDownEncoder
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.recipes import context as spec
from mrvae.recipes import schema
from mrvae.resolution import Ladder, Resampling, Wavelet, WaveletPooling
from mrvae.sizes import sides

_RAW_SCALE, _VDVAE, _NONE = schema.RawScaleSpec(), schema.VDVAE(), spec.NoContextSpec()


def hierarchy(
    levels: Sequence[Level],
    frame: ImageFrame,
    likelihood: schema.Likelihood,
    *,
    bottleneck: float = 0.25,
    scale: schema.Scale = _RAW_SCALE,
    bias_up_to: int = 64,
    cell: schema.Cell | CellConstructor = _VDVAE,
    normalise: bool = False,
    synchronous: bool = False,
    wavelet: str = "haar",
    context: spec.Context = _NONE,
) -> HVAE:
    """Build a model from its levels; the default values are the VDVAE of Child (2021).

    Where levels repeat their cells it is a weight-shared one (Falck et al. 2022).

    Args:
        levels: coarse to fine.
        frame: the image's place in the network.
        likelihood: distribution of the pixels.
        bottleneck: ratio of the bottlenecks' inner width to their level's.
        scale: how raw scales of the latents become log σ.
        bias_up_to: largest resolution with a learned bias.
        cell: the step from one latent to the next, and with it the kind of encoder and head; or a
            function that builds a cell of one's own, with VDVAE's encoder and head.
        normalise: divide the state by its norm after every block and cell.
        synchronous: give each cell the encoder's state after its own block.
        wavelet: whose projection and embedding lead from level to level; haar's average and repeat.
        context: the latent above the coarsest one that is a function of the image.

    Raises:
        ValueError: if a level leaves no channel to its bottlenecks, a synchronous model has not as
            many blocks as cells, the wavelet is unknown or not orthogonal, or the context does not
            fit the images or their places.
    """
    _check_places(frame, context)
    ladder = _ladder(levels)
    resampling = None if wavelet == "haar" else _pooling(wavelet, ladder)
    cells = make_cells(cell, levels, bottleneck, scale)
    if normalise:
        cells = [[NormalisedCell(one) for one in stage] for stage in cells]
    stages = _stages(levels, cells, bias_up_to, ladder, resampling)
    path = (levels, frame.inputs, bottleneck, ladder, normalise, synchronous, resampling)
    tail = (levels[-1].width, frame, pixel_family(frame.channels, likelihood))
    encoder: nn.Module
    match cell:
        case schema.TopDown(top_latent_skip=skips, weight_norm=normed):
            encoder = TopDownEncoder(*path, normed)
            decoder = Decoder(with_top_latent_skip(stages) if skips else stages)
            head: nn.Module = SpatialHead(*tail)
        case _:
            encoder, decoder, head = Encoder(*path), Decoder(stages), Head(*tail)
    if isinstance(likelihood, schema.BernoulliPixels) and 0 < frame.mean < 1:
        begin_at(head, frame.mean)
    conditioner = make_conditioner(context, levels, frame, ladder)
    return HVAE(encoder, decoder, head, frame, conditioner)


def _check_places(frame: ImageFrame, context: spec.Context) -> None:
    """Refuse a context for a network that has not a place for each pixel."""
    if frame.space_to_depth > 1 and not isinstance(context, spec.NoContextSpec):
        raise ValueError(
            f"a place of this hierarchy is {frame.space_to_depth} pixels wide, and a context needs "
            "one for each pixel; leave out the encoder's piece with 's', or the context"
        )


def _stages(
    levels: Sequence[Level],
    cells: Sequence[Sequence[nn.Module]],
    bias_up_to: int,
    ladder: Ladder,
    resampling: Resampling | None,
) -> list[CellStage]:
    """Return the stage of every level; those up to ``bias_up_to`` have a learned bias."""
    return [
        CellStage(
            level,
            cells[index],
            bias=max(level.sides) <= bias_up_to,
            ladder=ladder,
            below=levels[index - 1] if index else None,
            resampling=resampling,
        )
        for index, level in enumerate(levels)
    ]


def begin_at(head: nn.Module, mean: float) -> None:
    """Set the first bias of a head of binary pixels so that each is white with p = ``mean``.

    Otherwise the first steps of training are spent on it: MNIST is black by 0.87.
    """
    bias = cast(nn.Conv2d, head.get_submodule("leave")).bias
    if bias is not None:
        nn.init.constant_(bias, math.log(mean / (1 - mean)))


def pixel_family(channels: int, likelihood: schema.Likelihood) -> PixelFamily:
    """Return the family of pixel distributions of a likelihood.

    Example:
        >>> pixel_family(3, schema.LogisticMixturePixels(components=10)).parameters
        100
    """
    match likelihood:
        case schema.BernoulliPixels():
            return BernoulliFamily(channels)
        case schema.CategoricalPixels(bins):
            return CategoricalFamily(channels, bins)
        case schema.LogisticMixturePixels(bins, components, autoregressive):
            return LogisticMixtureFamily(channels, bins, components, autoregressive)


def _ladder(levels: Sequence[Level]) -> Ladder:
    """Return the ladder on which all levels stand."""
    return Ladder.between(levels[0].size, levels[-1].size)


def _pooling(wavelet: str, ladder: Ladder) -> WaveletPooling:
    """Return the steps of a wavelet on a ladder of images or of signals."""
    down, across = sides(ladder.depth)
    if down == across:
        return WaveletPooling(Wavelet(wavelet))
    if sides(ladder.base)[0] > 1 or down:
        raise ValueError(
            f"wavelet is {wavelet}; a rectangle whose shorter side becomes one pixel before the "
            "longer one needs haar, or fewer levels"
        )
    return WaveletPooling(Wavelet(wavelet, dims=1))
