"""How long one training step takes, ours against the published model, transcribed literally.

    python benchmarks/train_step.py --shapes mnist --steps 20 --json results/train_step.json
    python benchmarks/train_step.py --quick
    python benchmarks/train_step.py --table results/train_step.json

A step is everything from a batch of uint8 images to the next weights: the inputs' normalisation,
forward, backward, clipping, AdamW, and the moving average of the weights. The literal side does
it as it was published (NCHW, float32, eager, an average updated tensor by tensor); ours is the
update that ``mrvae train`` makes, with its own data stream and reproducible noise. Neither ever
leaves out an update here, so that all steps do the same work.

The two take turns within one process, literal, ours, literal, ours, …, and each pair gives one
ratio. What else the machine is doing changes over seconds, a pair is over sooner: so ratios of
neighbours are comparable where medians of two separate runs are not. A product of two matrices in
the precision of ours takes its turn with them. Operations a second are those of the literal step's
convolutions, on both sides: what has to be done, however it is done.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import torch
import tyro

from pairing import (
    Place,
    Product,
    Report,
    Timing,
    operations,
    peak_memory,
    ratios,
    take_turns,
    written,
)
from sides import LiteralStep, Shape, Variant, case, check_sizes, our_step, synthetic


@dataclass(frozen=True)
class Options(Place):
    """What to time.

    Attributes:
        shapes: models: MNIST x1 (106,689 parameters), CIFAR-10 x1 (8,744,356), ImageNet-32
            (119,280,868; not by default), and the hierarchy of Kuzina & Tomczak's MNIST (656,617).
        variants: ours, each timed against the literal one.
        steps: timed pairs of steps.
        warmup: pairs before them that are not counted.
        batch: images of a step; the published number if not given.
        quick: three pairs of 16 images, and nothing compiled.
    """

    shapes: tuple[Shape, ...] = ("mnist", "cifar10", "dct-mnist")
    variants: tuple[Variant, ...] = ("float32", "float32-compiled", "bf16", "bf16-compiled")
    steps: int = 20
    warmup: int = 3
    batch: int | None = None
    quick: bool = False


@dataclass(frozen=True)
class Result:
    """One of our variants against the literal model, on one shape."""

    shape: str
    variant: str
    parameters: int
    batch: int
    literal: Timing
    ours: Timing
    compile_seconds: float | None
    fell_back: bool
    skipped: int
    operations: int | None = None
    product: Timing | None = None
    product_operations: int | None = None
    literal_peak: int | None = None
    our_peak: int | None = None


# ------------------------------------------------------------------------------------ comparison


def compare(shape: Shape, variant: Variant, options: Options) -> Result:
    """Time one variant against the literal model on one shape.

    Raises:
        ValueError: if the two have not the same number of parameters.
    """
    torch.compiler.reset()
    torch.manual_seed(0)
    device = torch.device(options.device)
    case_ = case(shape, options.batch)
    images = synthetic(case_.recipe)
    published = LiteralStep(case_, images, device)
    updater, seconds = our_step(case_.recipe, variant, images, device)
    parameters = check_sizes(case_, published.model, updater.model)
    product = Product(torch.bfloat16 if variant.startswith("bf16") else torch.float32, device)
    sides = (published, updater.update, product)
    theirs, ours, products = take_turns(sides, options.steps, options.warmup, device)
    after = options.warmup + options.steps
    return Result(
        shape,
        variant,
        parameters,
        case_.recipe.training.batch,
        theirs,
        ours,
        seconds,
        fell_back=variant.endswith("compiled") and seconds is None,
        skipped=updater.monitor.skipped + updater.monitor.broken,
        operations=operations(published, after),
        product=products,
        product_operations=product.operations,
        literal_peak=peak_memory(published, after + 1, device),
        our_peak=peak_memory(updater.update, after, device),
    )


# --------------------------------------------------------------------------------------- reports


HEADINGS = (
    "shape",
    "ours",
    "parameters",
    "batch",
    "literal s/step",
    "ours s/step",
    "ours img/s",
    "times faster (min–max)",
    "by CPU time",
    "GFLOP/s literal, ours, of a product",
    "MiB literal, ours",
    "compile s",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each result."""
    for result in results:
        seconds = statistics.median(result.ours.wall)
        wall = ratios(result.literal.wall, result.ours.wall)
        cpu = ratios(result.literal.cpu, result.ours.cpu)
        compiled = "–" if result.compile_seconds is None else f"{result.compile_seconds:.1f}"
        peaks = (result.literal_peak, result.our_peak)
        yield (
            result.shape,
            result.variant,
            f"{result.parameters:,}",
            str(result.batch),
            f"{statistics.median(result.literal.wall):.4f}",
            f"{seconds:.4f}",
            f"{result.batch / seconds:.1f}",
            f"{wall[0]:.2f} ({wall[1]:.2f}–{wall[2]:.2f})",
            f"{cpu[0]:.2f}",
            _achieved(result),
            ", ".join("–" if peak is None else f"{peak / 2**20:.0f}" for peak in peaks),
            "failed, ran eager" if result.fell_back else compiled,
        )


def _achieved(result: Result) -> str:
    """Return 10⁹ operations a second of either side and of the product of matrices."""
    if not (result.operations and result.product and result.product_operations):
        return "–"
    steps = (result.literal, result.operations), (result.ours, result.operations)
    sides = (*steps, (result.product, result.product_operations))
    rates = (count / statistics.median(timing.wall) / 1e9 for timing, count in sides)
    return ", ".join(f"{rate:.0f}" for rate in rates)


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [Result(**each) for each in written(path)]


REPORT = Report(
    "One training step: literal / ours, taken in turns", HEADINGS, rows, read, width=190
)


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    options = shortened(options) if options.quick else options
    counts = {"steps": options.steps, "warmup": options.warmup}
    cases = product(options.shapes, options.variants)
    REPORT.make(
        options, counts, ((", ".join(case), partial(compare, *case, options)) for case in cases)
    )


def shortened(options: Options) -> Options:
    """Return what is over within a minute or two."""
    eager = tuple(each for each in options.variants if not each.endswith("compiled"))
    batch = options.batch or 16
    return replace(options, variants=eager, steps=3, warmup=1, batch=batch)


if __name__ == "__main__":
    main(tyro.cli(Options))
