"""How long one training step takes, ours against the published model, transcribed literally.

    python benchmarks/train_step.py --shapes mnist --steps 20 --json results/train_step.json
    python benchmarks/train_step.py --table results/train_step.json

A step is everything from a batch of uint8 images to the next weights: the inputs' normalisation,
forward, backward, clipping, AdamW, and the moving average of the weights. The literal side does
it as it was published (NCHW, float32, eager, an average updated tensor by tensor); ours is the
update that ``mrvae train`` makes, with its own data stream and reproducible noise. Neither ever
leaves out an update here, so that all steps do the same work.

The two take turns within one process, literal, ours, literal, ours, …, and each pair gives one
ratio. What else the machine is doing changes over seconds, a pair is over sooner: so ratios of
neighbours are comparable where medians of two separate runs are not.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from literal import vdvae as literal
from mrvae.data import Images, Stream
from mrvae.models import build
from mrvae.recipes import Recipe, recipe
from mrvae.recipes.schema import SkipRule
from mrvae.training.compiling import try_compile
from mrvae.training.update import Updater
from pairing import Timing, as_markdown, ratios, show, take_turns, write

Shape = Literal["mnist", "cifar10"]
Variant = Literal["float32", "float32-compiled", "bf16", "bf16-compiled"]

_IMAGES = 512
_EMA = 0.9999
_CLIP = 200.0


@dataclass(frozen=True)
class Options:
    """What to time.

    Attributes:
        shapes: models: MNIST x1 (106,689 parameters) and CIFAR-10 x1 (8,744,356).
        variants: ours, each timed against the literal one.
        steps: timed pairs of steps.
        warmup: pairs before them that are not counted.
        threads: of torch; its default if not given.
        device: such as cpu or cuda.
        json: file to write the measurements to.
        table: only print the Markdown table of such a file.
    """

    shapes: tuple[Shape, ...] = ("mnist", "cifar10")
    variants: tuple[Variant, ...] = ("float32", "float32-compiled", "bf16", "bf16-compiled")
    steps: int = 20
    warmup: int = 3
    threads: int | None = None
    device: str = "cpu"
    json: Path | None = None
    table: Path | None = None


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


# --------------------------------------------------------------------------------- the two sides


def case(shape: Shape) -> tuple[Recipe, literal.Hyperparameters]:
    """Return the same model and batch in our terms and in the published ones."""
    if shape == "mnist":
        return recipe("falck2022-mnist-x1"), literal.mnist()
    full, (encoder, decoder) = recipe("vdvae-cifar10"), literal.small_ladder(1)
    model = replace(full.hierarchy, encoder=encoder, decoder=decoder)
    training = replace(full.training, batch=16)
    return replace(full, model=model, training=training), literal.cifar10()


def synthetic(recipe_: Recipe) -> Images:
    """Return random images; the time of a step does not depend on their values."""
    model, generator = recipe_.model, torch.Generator().manual_seed(0)
    shape = (_IMAGES, model.channels, model.size, model.size)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return Images(pixels, "synthetic", "train")


class LiteralStep:
    """The published training step, always updating."""

    def __init__(
        self, H: literal.Hyperparameters, recipe_: Recipe, images: Images, device: torch.device
    ) -> None:
        self.recipe, self.images, self.device = recipe_, images, device
        self.model = literal.VAE(H).to(device)
        self.average = deepcopy(self.model).requires_grad_(False)
        spec = recipe_.training.optimizer
        # On CUDA the published code has a fused AdamW, from apex.
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=spec.rate,
            betas=(spec.beta1, spec.beta2),
            weight_decay=spec.weight_decay,
            fused=device.type == "cuda",
        )

    def __call__(self, step: int) -> None:
        """Make one update."""
        self.model.zero_grad()
        torch.autograd.backward(self.model.loss(*self.inputs(step)))
        nn.utils.clip_grad_norm_(self.model.parameters(), _CLIP).item()
        self.optimizer.step()
        pairs = zip(self.model.parameters(), self.average.parameters(), strict=True)
        for weight, average in pairs:
            average.data.mul_(_EMA)
            average.data.add_(weight.data * (1 - _EMA))

    def inputs(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the normalised images and the targets of a batch."""
        model, batch = self.recipe.hierarchy, self.recipe.training.batch
        first = step * batch % (_IMAGES - batch + 1)
        x = self.images.take(torch.arange(first, first + batch)).to(self.device).float()
        if self.recipe.data.binary:
            edge = (self.model.H.image_size - model.size) // 2
            x = target = functional.pad(torch.bernoulli(x / 255), (edge, edge, edge, edge))
        else:
            target = (x - 127.5) / 127.5
        return (x - model.input.mean) / model.input.std, target


def our_step(
    recipe_: Recipe, variant: Variant, images: Images, device: torch.device
) -> tuple[Updater, float | None]:
    """Return the state of our training, compiled if the variant says so, and the seconds."""
    training = replace(
        recipe_.training,
        bf16=variant.startswith("bf16"),
        clip=_CLIP,
        ema=_EMA,
        skip=SkipRule(factor=1e30),
    )
    model = build(recipe_)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    stream = Stream(images, training.batch, seed=0, binary=recipe_.data.binary)
    accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    updater = Updater(model, training, stream, accelerator)
    return updater, try_compile(updater) if variant.endswith("compiled") else None


# ------------------------------------------------------------------------------------ comparison


def compare(shape: Shape, variant: Variant, options: Options) -> Result:
    """Time one variant against the literal model on one shape.

    Raises:
        ValueError: if the two have not the same number of parameters.
    """
    torch.compiler.reset()
    torch.manual_seed(0)
    device = torch.device(options.device)
    recipe_, H = case(shape)
    images = synthetic(recipe_)
    published = LiteralStep(H, recipe_, images, device)
    updater, seconds = our_step(recipe_, variant, images, device)
    counts = [sum(p.numel() for p in m.parameters()) for m in (published.model, updater.model)]
    if counts[0] != counts[1]:
        raise ValueError(f"the literal model has {counts[0]} parameters and ours {counts[1]}")
    sides = (published, updater.update)
    theirs, ours = take_turns(sides, options.steps, options.warmup, device)
    return Result(
        shape,
        variant,
        counts[0],
        recipe_.training.batch,
        theirs,
        ours,
        seconds,
        fell_back=variant.endswith("compiled") and seconds is None,
        skipped=updater.monitor.skipped + updater.monitor.broken,
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
    "compile s",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each result."""
    for result in results:
        seconds = statistics.median(result.ours.wall)
        wall = ratios(result.literal.wall, result.ours.wall)
        cpu = ratios(result.literal.cpu, result.ours.cpu)
        compiled = "–" if result.compile_seconds is None else f"{result.compile_seconds:.1f}"
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
            "failed, ran eager" if result.fell_back else compiled,
        )


def markdown(results: list[Result]) -> str:
    """Return the table in Markdown."""
    return as_markdown(HEADINGS, list(rows(results)))


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    found = json.loads(path.read_text())["results"]
    return [
        Result(**(each | {side: Timing(**each[side]) for side in ("literal", "ours")}))
        for each in found
    ]


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    if options.table is not None:
        sys.stdout.write(markdown(read(options.table)) + "\n")
        return
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    results = []
    for shape in options.shapes:
        for variant in options.variants:
            sys.stderr.write(f"{shape}, {variant} …\n")
            results.append(compare(shape, variant, options))
            if options.json is not None:
                counts = {"steps": options.steps, "warmup": options.warmup}
                write(options.json, options.device, counts, list(map(asdict, results)))
    title = "One training step: literal / ours, taken in turns"
    show(title, HEADINGS, list(rows(results)), width=140)


if __name__ == "__main__":
    main(tyro.cli(Options))
