"""A recipe from the images: the rule that ``mrvae train --data PATH`` follows.

**Resolutions.** Let n be the longer side. J halvings leave ⌈n/2^J⌉ pixels, and the network sees the
image padded to multiples of 2^J, by less than one pixel of the coarsest level on each axis. Of all
J that leave 8 pixels or fewer, the rule takes the one with the least padding, and of equal ones the
largest. Every halving has a level, but for 2 between 1 and 4, as published; of a signal every other
halving, so that a level has a quarter of the values of the next, as that of an image has.

**Likelihood.** Two bins: Bernoulli. At most 32: categorical. More: a mixture of logistics.

**Scale.** It has a number of blocks and cells a level, a largest width, and budgets of
multiply-adds and of memory. The width is the largest of a few that keeps the first, and the batch
the largest power of two that keeps the second. Both are counted by formulas, for bottlenecks of a
quarter of the width w: a block takes 1.6 w² multiply-adds a pixel and a cell 5.1 w², of a signal
0.55 times as many; for the backward pass a block keeps 3 w and a cell 14 w numbers a pixel, and the
likelihood 35 numbers a value and component.

**Learning.** Inputs are centred by the mean of the training images and divided by their standard
deviation. AdamW, a warm-up, half a cosine.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import (
    BernoulliPixels,
    CategoricalPixels,
    Cosine,
    Likelihood,
    LogisticMixturePixels,
    Model,
    Normalise,
    Recipe,
    Training,
)
from mrvae.recipes.validation import WIDEST, require
from mrvae.sizes import ImageSize, sides, size_text

_COARSEST = 8
_FEW_BINS = 32
_WIDTHS = (512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16)
_GIB = 1 << 30


@dataclass(frozen=True)
class ImageFacts:
    """What the rule reads off the training images.

    Attributes:
        channels: of an image.
        size: (height, width), or one number for a square.
        bins: the values of a pixel are 0 … bins-1.
        mean: of all pixels.
        deviation: of all pixels.
    """

    channels: int
    size: ImageSize
    bins: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class ScaleRule:
    """How large a model of one scale is, and how long it learns.

    Attributes:
        blocks: of the encoder at each level, the pooling one not counted.
        cells: of the decoder at each level but the coarsest, the mixing one not counted.
        widest: the largest width.
        latent: channels of each latent.
        components: of a mixture of logistics.
        operations: multiply-adds for one image, at most.
        memory: bytes of a batch's activations, at most.
        batch: images of a step, at most.
        steps: of the run.
        rate: of AdamW.
        ema: decay of the averaged weights.
    """

    blocks: int
    cells: int
    widest: int
    latent: int
    components: int
    operations: float
    memory: int
    batch: int
    steps: int
    rate: float
    ema: float


SCALES: Mapping[str, ScaleRule] = types.MappingProxyType(
    {
        "small": ScaleRule(1, 1, 64, 8, 5, 6e7, 2 * _GIB, 32, 1_500, 2e-3, 0.99),
        "medium": ScaleRule(3, 3, 256, 16, 10, 1e10, 16 * _GIB, 64, 50_000, 5e-4, 0.999),
        "large": ScaleRule(8, 8, 512, 16, 10, 1e11, 64 * _GIB, 128, 500_000, 2e-4, 0.9999),
    }
)
"""Minutes on two cores; hours on one GPU; days on several."""


@dataclass(frozen=True)
class Rung:
    """One resolution of a ladder: its longer side, its blocks and cells, and their repeats."""

    side: int
    blocks: int
    cells: int
    block_repeat: int = 1
    repeat: int = 1
    mixes: bool = True


def resolutions(size: ImageSize) -> tuple[int, ...]:
    """Return the longer sides of the levels for images of a size, coarse to fine.

    Example:
        >>> resolutions(28), resolutions(64)
        ((7, 14, 28), (1, 4, 8, 16, 32, 64))
        >>> resolutions((1, 1000)), resolutions((48, 37))
        ((1, 4, 16, 64, 256, 1024), (6, 12, 24, 48))
    """
    longer, shorter = max(sides(size)), min(sides(size))
    candidates = [
        (_padded(longer, shorter, steps), -steps)
        for steps in range(longer.bit_length() + 1)
        if -(-longer // (1 << steps)) <= _COARSEST
    ]
    steps = -min(candidates)[1]
    coarsest = -(-longer // (1 << steps))
    stride = 2 if shorter == 1 else 1
    levels = [coarsest << level for level in range(steps, -1, -stride)]
    if levels[-1] != coarsest:
        levels.append(coarsest)
    if levels[-3:] == [4, 2, 1]:
        levels.remove(2)
    return tuple(reversed(levels))


def _padded(longer: int, shorter: int, steps: int) -> int:
    """Return the pixels that the network sees after padding for so many halvings."""
    factor = 1 << steps
    short = 1 << (shorter - 1).bit_length() if shorter < factor else -(-shorter // factor) * factor
    return -(-longer // factor) * factor * short


def block_strings(rungs: Sequence[Rung]) -> tuple[str, str]:
    """Return the encoder's and the decoder's strings of levels, coarse to fine.

    Example:
        >>> block_strings([Rung(7, 1, 1), Rung(14, 2, 3), Rung(28, 0, 1)])
        ('28d2,14x2,14d2,7x1', '7x1,14m7,14x3,28m14,28x1')
    """
    encoder: list[str] = []
    decoder: list[str] = []
    for index, rung in enumerate(rungs):
        below = rungs[index - 1].side if index else 0
        pieces = [_piece(rung.side, rung.blocks, rung.block_repeat)] if rung.blocks else []
        encoder = [*pieces, *([f"{rung.side}d{rung.side // below}"] if index else []), *encoder]
        decoder += [f"{rung.side}{'m' if rung.mixes else 'u'}{below}"] if index else []
        decoder += [_piece(rung.side, rung.cells, rung.repeat)] if rung.cells else []
    return ",".join(encoder), ",".join(decoder)


def _piece(side: int, count: int, repeat: int) -> str:
    return f"{side}x{count}" + (f"r{repeat}" if repeat > 1 else "")


def likelihood_for(bins: int, channels: int, components: int) -> Likelihood:
    """Return the likelihood of pixels of so many bins.

    Example:
        >>> likelihood_for(2, 1, 5), likelihood_for(17, 1, 5)
        (BernoulliPixels(), CategoricalPixels(bins=17))
    """
    if bins <= 2:
        return BernoulliPixels()
    if bins <= _FEW_BINS:
        return CategoricalPixels(bins)
    return LogisticMixturePixels(bins, components, autoregressive=channels == 3)


def automatic(source: str, facts: ImageFacts, scale: str) -> Recipe:
    """Return the recipe for images that the rule chooses.

    Args:
        source: where the images are, as ``data.source`` has it.
        facts: of the training images.
        scale: small, medium or large.

    Raises:
        ValueError: if there is no such scale, or no width keeps the scale's memory.

    Example:
        >>> faces = ImageFacts(channels=1, size=(28, 20), bins=256, mean=127.0, deviation=50.0)
        >>> model = automatic("faces.npz", faces, "small").hierarchy
        >>> model.encoder, model.decoder, model.width
        ('28x1,28d2,14x1,14d2,7x1', '7x1,14m7,14x1,28m14,28x1', (64,))
    """
    rule = _rule(scale)
    rungs = ladder_for(facts.size, rule)
    width = _width(rungs, facts, rule)
    encoder, decoder = block_strings(rungs)
    model = Model(
        facts.channels,
        facts.size,
        encoder,
        decoder,
        (width,),
        (rule.latent,),
        likelihood_for(facts.bins, facts.channels, rule.components),
        Normalise(_short(facts.mean), _short(max(facts.deviation, facts.bins / 256))),
    )
    training = Training(
        rule.steps,
        _batch(rungs, facts, rule, width),
        AdamW(rule.rate),
        Cosine(),
        ema=rule.ema,
        precision="auto",
        validate_every=max(rule.steps // 10, 1),
        checkpoint_every=max(rule.steps // 10, 1),
    )
    shape = f"{size_text(facts.size)} pixels, {facts.channels} channels, {facts.bins} bins"
    return Recipe(
        name=_name(source, scale),
        about=f"{source}: {shape}",
        paper="Child 2021",
        row="chosen by rule",
        budget=_BUDGETS[scale],
        parameters=0,
        depth=0,
        data=Data(source),
        model=model,
        training=training,
    )


_BUDGETS: Mapping[str, str] = types.MappingProxyType(
    {"small": "minutes on 2 cores", "medium": "hours on one GPU", "large": "days on several GPUs"}
)


def ladder_for(size: ImageSize, rule: ScaleRule) -> tuple[Rung, ...]:
    """Return the levels of a scale for images of a size, coarse to fine."""
    levels = resolutions(size)
    return tuple(
        Rung(side, rule.blocks, rule.cells if index else max(rule.cells // 2, 1))
        for index, side in enumerate(levels)
    )


def _rule(scale: str) -> ScaleRule:
    require(scale in SCALES, f"scale is {scale!r}; choose from {', '.join(SCALES)}")
    return SCALES[scale]


def _pixels(rungs: Sequence[Rung], size: ImageSize) -> list[int]:
    """Return the pixels of each level."""
    height, width = sides(size)
    finest = rungs[-1].side
    padded = _padded(max(height, width), min(height, width), _steps(rungs))
    shorter = padded // finest
    return [rung.side * max(shorter * rung.side // finest, 1) for rung in rungs]


def _steps(rungs: Sequence[Rung]) -> int:
    return (rungs[-1].side // rungs[0].side).bit_length() - 1


def _operations(rungs: Sequence[Rung], facts: ImageFacts, width: int) -> float:
    """Return about how many multiply-adds the bound of one image takes."""
    each = zip(rungs, _pixels(rungs, facts.size), strict=True)
    kernel = 0.55 if min(sides(facts.size)) == 1 else 1.0
    return (
        kernel
        * width**2
        * sum(pixels * (1.6 * (rung.blocks + 1) + 5.1 * (rung.cells + 1)) for rung, pixels in each)
    )


def activation_bytes(rungs: Sequence[Rung], facts: ImageFacts, width: int, components: int) -> int:
    """Return about how many bytes the backward pass of one image needs."""
    each = zip(rungs, _pixels(rungs, facts.size), strict=True)
    states = sum(pixels * (3 * (rung.blocks + 1) + 14 * (rung.cells + 1)) for rung, pixels in each)
    dims = facts.channels * sides(facts.size)[0] * sides(facts.size)[1]
    parameters = facts.bins if facts.bins <= _FEW_BINS else 35 * components
    return 4 * (width * states + parameters * dims)


def _width(rungs: Sequence[Rung], facts: ImageFacts, rule: ScaleRule) -> int:
    """Return the largest width within the budget of multiply-adds, or the smallest."""
    widths = [width for width in _WIDTHS if width <= rule.widest]
    within = [width for width in widths if _operations(rungs, facts, width) <= rule.operations]
    return within[0] if within else widths[-1]


def _batch(rungs: Sequence[Rung], facts: ImageFacts, rule: ScaleRule, width: int) -> int:
    """Return the largest power of two of images within the budget of memory."""
    batch, each = rule.batch, activation_bytes(rungs, facts, width, rule.components)
    while batch > 1 and batch * each > rule.memory:
        batch //= 2
    require(
        max(sides(facts.size)) <= WIDEST and batch * each <= rule.memory,
        f"images of {size_text(facts.size)} pixels are too large for this scale: one needs "
        f"{each / _GIB:.1f} GiB; choose a larger scale, or cut them: data.cut=patches "
        "model.size=64",
    )
    return batch


def _short(value: float) -> float:
    """Return a number with five digits."""
    return float(f"{value:.5g}")


def _name(source: str, scale: str) -> str:
    """Return a name that a folder can have."""
    stem = Path(source.rstrip("/")).stem or "images"
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', stem).strip('-.') or 'images'}-{scale}"
