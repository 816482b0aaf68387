"""How many images a second are drawn from the prior, ours against the published models.

    python benchmarks/sampling.py --threads 1 --json results/sampling.json
    python benchmarks/sampling.py --quick
    python benchmarks/sampling.py --table results/sampling.json

Both sides draw all latents from the prior, and images from the likelihood: noise, hierarchy, head
and pixels are timed, and no encoder is run. They take turns in one process, as in
``train_step.py``, and the weights are the first ones of either.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import torch
import tyro

from pairing import Place, Report, Step, Timing, ratios, take_turns, written
from sides import LiteralModel, Shape, case, check_sizes, our_model, published

Precision = Literal["float32", "bf16"]


@dataclass(frozen=True)
class Options(Place):
    """What to time.

    Attributes:
        shapes: models, as ``train_step.py`` has them.
        precisions: of our convolutions; the literal ones are float32.
        images: drawn at once.
        rounds: timed pairs.
        warmup: pairs before them that are not counted.
        quick: two pairs of 16 images.
    """

    shapes: tuple[Shape, ...] = ("mnist", "cifar10", "dct-mnist")
    precisions: tuple[Precision, ...] = ("float32", "bf16")
    images: int = 64
    rounds: int = 10
    warmup: int = 2
    quick: bool = False


@dataclass(frozen=True)
class Result:
    """Seconds of both sides for so many images."""

    shape: str
    precision: str
    images: int
    literal: Timing
    ours: Timing


def literal_draw(model: LiteralModel, images: int) -> Step:
    """Return a step that draws images from the literal model."""

    @torch.no_grad()
    def draw(_: int) -> object:
        return model.sample(model.noise(images))

    return draw


def compare(shape: Shape, precision: Precision, options: Options) -> Result:
    """Time both sides on one shape."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    case_ = case(shape)
    theirs, ours = published(case_, device), our_model(case_.recipe, device)
    check_sizes(case_, theirs, ours)

    @torch.no_grad()
    def draw(_: int) -> object:
        bf16 = precision == "bf16"
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
            return ours.sample(options.images)

    sides = (literal_draw(theirs, options.images), draw)
    literal, mine = take_turns(sides, options.rounds, options.warmup, device)
    return Result(shape, precision, options.images, literal, mine)


HEADINGS = ("shape", "ours", "images", "literal img/s", "ours img/s", "times faster", "by CPU time")


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each result."""
    for each in results:
        wall = ratios(each.literal.wall, each.ours.wall)
        sides = (each.literal, each.ours)
        yield (
            each.shape,
            each.precision,
            str(each.images),
            *(f"{each.images / statistics.median(side.wall):.1f}" for side in sides),
            f"{wall[0]:.2f} ({wall[1]:.2f}–{wall[2]:.2f})",
            f"{ratios(each.literal.cpu, each.ours.cpu)[0]:.2f}",
        )


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [Result(**each) for each in written(path)]


REPORT = Report("Images from the prior: literal / ours", HEADINGS, rows, read, width=110)


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    if options.quick:
        options = replace(options, images=16, rounds=2, warmup=1)
    counts = {"rounds": options.rounds, "warmup": options.warmup}
    cases = product(options.shapes, options.precisions)
    REPORT.make(
        options, counts, ((", ".join(case), partial(compare, *case, options)) for case in cases)
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
