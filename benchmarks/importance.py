"""How many draws a second the importance-weighted bound makes, each image encoded once.

    python benchmarks/importance.py --threads 1 --json results/importance.json
    python benchmarks/importance.py --quick
    python benchmarks/importance.py --table results/importance.json

With K samples of N images the bound takes N·K draws of all latents and as many log-likelihoods.
Three ways of making them take turns in one process:

- *ours*: ``mrvae.evaluation.evaluate``, which encodes every image once and makes several draws of
  it at a time; its noise is one stream for each image and draw, and the one-sample bound, which it
  measures too, is one more draw that is not counted;
- *naive*: the same model in a loop over K, every image encoded anew for each sample;
- *literal*: the published model in that loop, which makes the terms of its own bound.

How often an image went through the encoder is counted, not assumed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

from mrvae.data import Images
from mrvae.evaluation import evaluate
from mrvae.models import HVAE
from pairing import Place, Report, Step, Timing, ratios, take_turns, written
from sides import (
    Case,
    LiteralModel,
    Shape,
    case,
    check_sizes,
    literal_inputs,
    our_model,
    published,
    synthetic,
)


@dataclass(frozen=True)
class Options(Place):
    """What to time.

    Attributes:
        shapes: models, as ``train_step.py`` has them.
        images: N.
        samples: K.
        rounds: timed rounds, in each of which every way has one turn.
        warmup: rounds before them that are not counted.
        quick: one round of 16 images and four samples.
    """

    shapes: tuple[Shape, ...] = ("mnist", "cifar10", "dct-mnist")
    images: int = 16
    samples: int = 16
    rounds: int = 5
    warmup: int = 1
    quick: bool = False


@dataclass(frozen=True)
class Result:
    """Seconds of the three ways, and passes through the encoder for each image of ours."""

    shape: str
    images: int
    samples: int
    ours: Timing
    naive: Timing
    literal: Timing
    our_passes: float
    naive_passes: float


def weigh(model: HVAE, images: Images, samples: int) -> Step:
    """Return a step that is our evaluation."""
    return lambda _: evaluate(model, images, samples=samples)


def naive(model: HVAE, x: Tensor, samples: int) -> Step:
    """Return a step that encodes every image anew for each sample."""

    @torch.no_grad()
    def step(_: int) -> object:
        return torch.cat([model.log_weights(x, 1) for _ in range(samples)]).logsumexp(0)

    return step


def literally(case_: Case, model: LiteralModel, x: Tensor, samples: int) -> Step:
    """Return a step that makes as many passes through the published model."""

    @torch.no_grad()
    def step(_: int) -> object:
        inputs = literal_inputs(case_, x)
        return torch.stack([model.loss(*inputs) for _ in range(samples)])

    return step


def passes(encoder: nn.Module, step: Step, images: int) -> float:
    """Return how often an image goes through an encoder in a step."""
    seen: list[int] = []
    handle = encoder.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    try:
        step(0)
    finally:
        handle.remove()
    return sum(seen) / images


def compare(shape: Shape, options: Options) -> Result:
    """Time the three ways on one shape."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    case_ = case(shape)
    theirs, ours = published(case_, device), our_model(case_.recipe, device)
    check_sizes(case_, theirs, ours)
    grey = synthetic(case_.recipe).subset(torch.arange(options.images))
    seen = grey.binarised(0) if case_.recipe.data.binary else grey
    everything = torch.arange(options.images)
    x = seen.take(everything).to(device)
    one = weigh(ours, seen, options.samples)
    other = naive(ours, x, options.samples)
    third = literally(case_, theirs, grey.take(everything).to(device), options.samples)
    timings = take_turns((one, other, third), options.rounds, options.warmup, device)
    return Result(
        shape,
        options.images,
        options.samples,
        ours=timings[0],
        naive=timings[1],
        literal=timings[2],
        our_passes=passes(ours.encoder, one, options.images),
        naive_passes=passes(ours.encoder, other, options.images),
    )


HEADINGS = (
    "shape",
    "images × samples",
    "ours, draws/s",
    "naive, draws/s",
    "literal, draws/s",
    "naive / ours",
    "literal / ours",
    "by CPU time",
    "encoder passes an image, ours and naive",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each result."""
    for each in results:
        draws = each.images * each.samples
        sides = (each.ours, each.naive, each.literal)
        against = (each.naive, each.literal)
        walls = [ratios(side.wall, each.ours.wall) for side in against]
        cpus = [ratios(side.cpu, each.ours.cpu)[0] for side in against]
        yield (
            each.shape,
            f"{each.images} × {each.samples}",
            *(f"{draws / statistics.median(side.wall):.1f}" for side in sides),
            *(f"{wall[0]:.2f} ({wall[1]:.2f}–{wall[2]:.2f})" for wall in walls),
            ", ".join(f"{ratio:.2f}" for ratio in cpus),
            f"{each.our_passes:g}, {each.naive_passes:g}",
        )


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [Result(**each) for each in written(path)]


REPORT = Report("Draws of the importance-weighted bound", HEADINGS, rows, read, width=150)


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    if options.quick:
        options = replace(options, images=16, samples=4, rounds=1, warmup=1)
    counts = {"rounds": options.rounds, "warmup": options.warmup}
    REPORT.make(
        options, counts, ((each, partial(compare, each, options)) for each in options.shapes)
    )


if __name__ == "__main__":
    main(tyro.cli(Options))
