"""The forecast of a training step against the truth: what ``mrvae train`` prints, and then takes.

    python benchmarks/forecast.py --json results/forecast.json
    python benchmarks/forecast.py --recipes digits-vdvae --steps 10
    python benchmarks/forecast.py --table results/forecast.json

For each recipe the forecast is made as a run makes it, from passes over its own images, and also as
``mrvae describe`` does, without its data; then so many updates are timed. All times are CPU seconds
of this process with one thread. On a machine with other work the clock shows more.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from accelerate import Accelerator

import mrvae
from mrvae.data import Stream, images_for
from mrvae.evaluation import describe
from mrvae.recipes import override
from mrvae.training.machine.plan import training_pass
from mrvae.training.machine.precision import settled
from mrvae.training.machine.speed import Stopwatch
from mrvae.training.machine.step_time import step_time
from mrvae.training.update import Updater
from pairing import Place, Report

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Options(Place):
    """What to forecast.

    Attributes:
        recipes: names.
        steps: updates that are timed.
    """

    recipes: tuple[str, ...] = ("digits-vdvae", "falck2022-mnist-x1", "kuzina2023-mnist-vdvae")
    steps: int = 20


@dataclass(frozen=True)
class Result:
    """Seconds of a step: two forecasts, and what the updates took."""

    recipe: str
    batch: int
    described: float
    trained: float
    truth: list[float]


def measure(name: str, steps: int) -> Result:
    """Forecast a recipe's step, and make some."""
    torch.manual_seed(0)
    recipe = override(settled(mrvae.recipe(name), CPU, None), ["training.compile=false"])
    counts = describe(recipe)
    described = step_time(recipe, CPU, counts.parameters, counts.flops_per_image).seconds
    stream = Stream(images_for(recipe, "train"), recipe.training.batch, 0, recipe.data.binary)
    model = mrvae.build(recipe)
    if model.context.shapes:
        model.context.fit(stream.images.tensor())
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    updater = Updater(model, recipe.training, stream, Accelerator(cpu=True))
    part = Stopwatch(training_pass(updater), CPU).batch(len(updater.parts[0]), 1.0)
    truth = []
    for step in range(steps):
        began = time.process_time()
        updater.update(step)
        truth.append(time.process_time() - began)
    trained = part.seconds * len(updater.parts)
    return Result(name, recipe.training.batch, described, trained, truth)


HEADINGS = ("recipe", "batch", "s/step", "train / truth", "describe / truth")


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each recipe."""
    for each in results:
        truth = statistics.mean(each.truth)
        yield (
            f"`{each.recipe}`",
            str(each.batch),
            f"{truth:.3f}",
            f"{each.trained / truth:.2f}",
            f"{each.described / truth:.2f}",
        )


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [Result(**each) for each in json.loads(path.read_text())["results"]]


def main(options: Options) -> None:
    """Forecast and time what is asked for, and print and write it."""
    report = Report("Forecast and truth of a step", HEADINGS, rows, read, 90)
    cases = ((name, lambda n=name: measure(n, options.steps)) for name in options.recipes)
    report.make(options, {"steps": options.steps}, cases)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tyro.cli(Options))
