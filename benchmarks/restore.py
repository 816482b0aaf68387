"""What restoration comes to: PSNR on held-out images, beside what needs no model.

    python benchmarks/restore.py --json results/restore.json
    python benchmarks/restore.py --quick
    python benchmarks/restore.py --table results/restore.json

Test images are damaged in known ways and restored. The PSNR is that of the images on [0, 1],
averaged over images, with its standard error; the difference to the baseline is of the same images.
*Mean* is the mean of the chains, *draw* is one draw, which has less PSNR: it looks like an image,
and has twice the squared error of a perfect mean. The free number of a baseline, the weight of
total variation or the balance of Wiener's filter, is the best on as many validation images; ours
has none. Seconds are the process's own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import tyro
from torch import Tensor

from mrvae.data import images_for
from mrvae.models import HVAE
from mrvae.models.build.weights import load, locate, read_recipe
from mrvae.restoration import (
    Averages,
    Blur,
    MarkovChain,
    PlugAndPlay,
    Restored,
    bicubic,
    biharmonic,
    deblur,
    denoise,
    gaussian_kernel,
    inpaint,
    total_variation,
    upscale,
    wiener,
)
from pairing import Place, Report

_RUNS = Path(__file__).resolve().parents[1] / "results" / "runs"
_WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6)
_BALANCES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_BLUR_NOISE = 0.05

Restore = Callable[[Tensor], Restored]
Baseline = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Options(Place):
    """What to restore.

    Attributes:
        models: shipped ones, or run directories below results/runs.
        images: test images of each.
        draws: chains of each image.
        steps: of a chain, of which half are warm-up; plug and play makes a third as many.
        tasks: by their first word; all by default.
        quick: two images and four steps.
    """

    models: tuple[str, ...] = ("digits-vdvae", "kuzina2023-cpu/kuzina2023-mnist-vdvae-seed0")
    images: int = 200
    draws: int = 2
    steps: int = 120
    tasks: tuple[str, ...] = ()
    quick: bool = False


@dataclass(frozen=True)
class Result:
    """One damage of one model's images; PSNR in dB, each with its standard error."""

    model: str
    task: str
    images: int
    draws: int
    steps: int
    ours: float
    ours_se: float
    draw: float
    draw_se: float
    method: str
    baseline: float
    baseline_se: float
    gain: float
    gain_se: float
    acceptance: float | None
    seconds: float


@dataclass(frozen=True)
class Task:
    """One way of damaging images u on [0, 1], what restores them, and its baseline.

    Attributes:
        name: as the table has it.
        damage: from images and a generator to the observation.
        restore: ours.
        method: name of the baseline.
        baselines: one for each value of its free number; the best on validation images counts.
    """

    name: str
    damage: Callable[[Tensor, torch.Generator], Tensor]
    restore: Restore
    method: str
    baselines: Sequence[Baseline]


def tasks(model: HVAE, options: Options) -> Iterator[Task]:
    """Yield the ways in which a model's images are damaged."""
    steps = 4 if options.quick else options.steps
    chain = MarkovChain(steps, steps // 2, steps // 6)
    play = PlugAndPlay(max(2, steps // 3), steps // 9)
    yield from exact_tasks(model, options.draws, chain)
    for factor in (2, 4):
        averages = Averages(factor.bit_length() - 1)
        yield Task(
            f"upscale, {factor} ×",
            lambda u, _, a=averages: a.apply(u),  # type: ignore[misc]
            partial(upscale, model, factor=factor, n=options.draws, method=play),
            "bicubic",
            [partial(bicubic, factor=factor)],
        )
    width = model.frame.sides[1] / 16
    blur = Blur(gaussian_kernel(width))
    yield Task(
        f"deblur, {width} pixels, σ = {_BLUR_NOISE}",
        lambda u, random: _noisy(blur.apply(u), random, _BLUR_NOISE),
        partial(deblur, model, kernel=blur.kernel, sigma=_BLUR_NOISE, n=options.draws, method=play),
        "Wiener",
        [partial(wiener, blur=blur, balance=balance) for balance in _BALANCES],
    )


def exact_tasks(model: HVAE, n: int, chain: MarkovChain) -> Iterator[Task]:
    """Yield the tasks that a chain solves."""
    side = model.frame.sides[0]
    half = (torch.arange(side) < side // 2)[:, None].expand(side, side)
    random = torch.rand(side, side, generator=torch.Generator().manual_seed(2)) < 0.5
    for name, known in (("lower half missing", half), ("random half missing", random)):
        yield Task(
            f"inpaint, {name}",
            lambda u, _: u,
            partial(_inpainted, model=model, known=known, n=n, chain=chain),
            "biharmonic",
            [partial(biharmonic, known=known)],
        )
    for sigma in (0.25, 0.5):
        yield Task(
            f"denoise, σ = {sigma}",
            partial(_noisy, sigma=sigma),
            partial(denoise, model, sigma=sigma, n=n, chain=chain),
            "total variation",
            [partial(total_variation, weight=weight) for weight in _WEIGHTS],
        )


def measure(model: HVAE, name: str, task: Task, splits: dict[str, Tensor], o: Options) -> Result:
    """Restore the test images of one task, and compare."""
    u = splits["test"]
    y = task.damage(u, torch.Generator().manual_seed(0))
    tuning = splits["validation"]
    damaged = task.damage(tuning, torch.Generator().manual_seed(1))
    best = max(task.baselines, key=lambda each: float(psnr(each(damaged), tuning).mean()))
    theirs = psnr(best(y), u)
    began = time.process_time()
    made = task.restore(y)
    seconds = time.process_time() - began
    ours, draw = psnr(made.mean, u), psnr(made.draws[0], u)
    accepted = None if made.acceptance is None else float(made.acceptance.mean())
    return Result(
        name,
        task.name,
        len(u),
        o.draws,
        o.steps,
        *mean_and_error(ours),
        *mean_and_error(draw),
        task.method,
        *mean_and_error(theirs),
        *mean_and_error(ours - theirs),
        accepted,
        seconds,
    )


def psnr(restored: Tensor, u: Tensor) -> Tensor:
    """Return the PSNR of each image in dB, (B,); of an error below 10⁻⁶ that of 10⁻⁶, 60 dB."""
    error = (restored.double().clamp(0, 1) - u).square().mean(dim=(1, 2, 3))
    return -10 * error.clamp(min=1e-6).log10()


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Return the mean and its standard error."""
    return float(values.mean()), float(values.std()) / math.sqrt(len(values))


def _noisy(u: Tensor, random: torch.Generator, sigma: float) -> Tensor:
    return u + sigma * torch.randn(u.shape, generator=random, dtype=u.dtype)


def _inpainted(u: Tensor, model: HVAE, known: Tensor, n: int, chain: MarkovChain) -> Restored:
    x = (u * (model.frame.bins - 1)).round().to(torch.uint8)
    return inpaint(model, x, known, n, chain)


def images_of(name: str, count: int) -> tuple[HVAE, dict[str, Tensor]]:
    """Return a model, and images of both splits on [0, 1]."""
    path = _RUNS / name if (_RUNS / name).is_dir() else Path(name)
    model, recipe = load(path), read_recipe(locate(path))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    splits = {}
    for split in ("test", "validation"):
        images = images_for(recipe, split).first(count)
        splits[split] = images.tensor().double() / (model.frame.bins - 1)
    return model, splits


HEADINGS = (
    "model", "damage", "images", "ours, mean, dB", "ours, draw, dB", "baseline, dB", "", "gain, dB",
    "accepted", "CPU s",
)  # fmt: skip


def read(path: Path) -> list[Result]:
    """Return the measurements in a file."""
    return [Result(**each) for each in json.loads(path.read_text("utf-8"))["results"]]


def rows(results: list[Result]) -> Iterator[Sequence[str]]:
    """Yield a line for each model and damage."""
    for r in results:
        yield (
            Path(r.model).name,
            r.task,
            str(r.images),
            f"**{r.ours:.2f}** ± {r.ours_se:.2f}",
            f"{r.draw:.2f} ± {r.draw_se:.2f}",
            f"{r.baseline:.2f} ± {r.baseline_se:.2f}",
            r.method,
            f"{r.gain:+.2f} ± {r.gain_se:.2f}",
            "–" if r.acceptance is None else f"{100 * r.acceptance:.0f} %",
            f"{r.seconds:.0f}",
        )


def numbers(results: list[Result]) -> dict[str, str]:
    """Return the numbers that stand in sentences."""
    won = sum(r.gain > 2 * r.gain_se for r in results)
    return {
        "won": f"{won} of {len(results)}",
        "least": f"{min(r.gain for r in results):+.1f}",
        "most": f"{max(r.gain for r in results):+.1f}",
    }


def main(options: Options) -> None:
    """Measure every task of every model, or print the table of a file."""
    cases = []
    for name in options.models if options.table is None else ():
        model, splits = images_of(name, 2 if options.quick else options.images)
        for task in tasks(model, options):
            if not options.tasks or task.name.split(",")[0] in options.tasks:
                run = partial(measure, model, name, task, splits, options)
                cases.append((f"{name}: {task.name}", run))
    Report("Restoration", HEADINGS, rows, read, width=160).make(options, {}, cases)


if __name__ == "__main__":
    main(tyro.cli(Options))
