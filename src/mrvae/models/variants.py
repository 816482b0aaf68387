"""The papers' models as short constructors, and the one that a recipe asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mrvae.distributions import RawScale, SoftplusScale
from mrvae.models.cell import Scale
from mrvae.models.decoder import Decoder, VDVAERung
from mrvae.models.encoder import Encoder
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level, parse_levels
from mrvae.models.likelihood import Head
from mrvae.recipes import schema
from mrvae.resolution import Ladder


def build(recipe: schema.Recipe) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    Raises:
        ValueError: if the recipe's blocks cannot be read or do not fit its images.

    Example:
        >>> import mrvae
        >>> mrvae.build(mrvae.recipe("digits-vdvae")).frame.size
        8
    """
    model = recipe.model
    levels = parse_levels(model.encoder, model.decoder, model.width, model.latent)
    frame = ImageFrame(
        model.channels,
        model.size,
        levels[-1].size,
        model.input.mean,
        model.input.std,
        model.likelihood.levels,
    )
    return vdvae(levels, frame, model.likelihood, model.bottleneck, model.scale, model.bias_up_to)


def vdvae(
    levels: Sequence[Level],
    frame: ImageFrame,
    likelihood: schema.Likelihood,
    bottleneck: float = 0.25,
    scale: schema.Scale | None = None,
    bias_up_to: int = 64,
) -> HVAE:
    """Build a VDVAE (Child 2021); with repeated cells, a weight-shared one (Falck et al. 2022).

    Args:
        levels: coarse to fine.
        frame: the image's place in the network.
        likelihood: distribution of the pixels.
        bottleneck: ratio of the bottlenecks' inner width to their level's.
        scale: how raw scales of the latents are read; log σ itself by default.
        bias_up_to: largest resolution with a learned bias.

    Raises:
        ValueError: if a level leaves no channel to its bottlenecks.
    """
    ladder = _ladder(levels)
    applied = sum(level.visits for level in levels) + len(levels) - 1
    rungs = [
        VDVAERung(
            level,
            bottleneck,
            applied,
            _scale(scale or schema.RawScale()),
            bias=level.size <= bias_up_to,
            ladder=ladder,
            below=levels[index - 1] if index else None,
        )
        for index, level in enumerate(levels)
    ]
    return HVAE(
        Encoder(levels, frame.channels, bottleneck, ladder),
        Decoder(rungs),
        Head(levels[-1].width, frame, likelihood),
        frame,
    )


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
