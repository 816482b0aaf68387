"""The ladder of a recipe for images of another size, by the rule of ``recipes/automatic.py``.

The resolutions are those of the rule. Each has the blocks, cells, width and latents of the recipe's
resolution that is nearest by the ratio of their longer sides; the coarsest those of the coarsest.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from mrvae.models.hierarchy.level import Level, parse_levels
from mrvae.recipes.automatic import Rung, block_strings, resolutions
from mrvae.recipes.schema import Model


def resized(model: Model) -> Model:
    """Return the model with a ladder for its own ``size``; its strings are of another one.

    Raises:
        ValueError: if the block strings cannot be read.

    Example:
        >>> import mrvae
        >>> from mrvae.recipes import override
        >>> larger = override(mrvae.recipe("digits-vdvae"), ["model.size=28x20"]).hierarchy
        >>> resized(larger).encoder, resized(larger).decoder
        ('28x1,28d2,14x1,14d2,7x1', '7x1,14m7,14x2,28m14,28x2')
    """
    old = parse_levels(model.encoder, model.decoder, _one(model.width), _one(model.latent))
    count = len(old)
    if len(model.width) == count or len(model.latent) == count:
        old = parse_levels(
            model.encoder,
            model.decoder,
            model.width if len(model.width) == count else _one(model.width),
            model.latent if len(model.latent) == count else _one(model.latent),
        )
    sides = resolutions(model.size)
    levels = [_nearest(old, side) if index else old[0] for index, side in enumerate(sides)]
    encoder, decoder = block_strings(
        [
            Rung(side, x.blocks, x.cells, x.block_repeat, x.repeat, x.mixes)
            for side, x in zip(sides, levels, strict=True)
        ]
    )
    return replace(
        model,
        encoder=encoder,
        decoder=decoder,
        width=_all(model.width, count, [level.width for level in levels]),
        latent=_all(model.latent, count, [level.latent for level in levels]),
    )


def _one(values: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first value, for all levels."""
    return values[:1]


def _all(values: tuple[int, ...], count: int, chosen: list[int]) -> tuple[int, ...]:
    """Return values for the new levels: as given, unless they were one for each old level."""
    return tuple(chosen) if len(values) == count > 1 else values


def _nearest(levels: Sequence[Level], side: int) -> Level:
    """Return the level whose longer side is nearest by ratio, the finer of two."""

    def distance(level: Level) -> tuple[float, int]:
        own = max(level.sides)
        return max(own / side, side / own), -own

    return min(levels, key=distance)
