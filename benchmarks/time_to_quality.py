r"""How long a run trains until its bound reaches a given quality, ours against the published model.

    python benchmarks/time_to_quality.py --threads 1 --json results/time_to_quality.json \
        --picture docs/images/time-to-quality.png
    python benchmarks/time_to_quality.py --threads 1 --json results/time_to_quality.json \
        --change training.steps=4000 --seeds 0      # keeps the runs of other lengths in the file
    python benchmarks/time_to_quality.py --table results/time_to_quality.json     # as Markdown

Ours is the run of ``mrvae train mnist-fast``, of several seeds, with all that it does: batches of
MNIST binarised anew, updates, and validation by the averaged weights. The published model is the
literal transcription of openai/vdvae at its smallest size for MNIST, trained with the settings that
its code has for small models; its curve is in ``results/published-vdvae-mnist-x1.json``, made by
``benchmarks/published_mnist.py``. It is the same quantity of the same images on both sides: −ELBO
of one sample, of the first 1,000 validation images.

Seconds are those of the process's CPUs spent in updates; validation and saving are left out on both
sides. After every so many updates of ours two steps of the literal model are made, and the second
is timed. The published seconds are the steps of its curve times the median of those, or times a
step of its own run if that was shorter. The time at which a curve reaches a quality is interpolated
between the two points around it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

import mrvae
from mrvae.data import Images, all_batches, images_for, normal
from mrvae.models import HVAE
from mrvae.recipes import Recipe, override
from mrvae.reports.figures import curve, empty_figure, write_figure
from mrvae.training import run as training
from mrvae.training.store.metrics import Metrics
from mrvae.training.update import Updater, UpdateReport
from pairing import as_markdown, machine, show
from sides import LiteralStep, case, synthetic

sys.path.append(str(Path(__file__).resolve().parents[1] / "results"))

from record import commit

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "results" / "published-vdvae-mnist-x1.json"
TARGETS = (110.0, 97.65, 90.0, 86.0)
PUBLISHED_STEPS = 5000
HEADINGS = (
    "−ELBO at most, nats",
    "our runs",
    "ours, step",
    "ours, CPU s",
    "published, step",
    "published, CPU s",
    "times sooner",
)

Point = tuple[float, float]


@dataclass(frozen=True)
class Result:
    """One run of ours.

    Attributes:
        recipe: its name.
        seed: of the run.
        steps: of the run.
        commit: of the code.
        changes: to the recipe.
        points: step, CPU seconds of training until then, −ELBO of the validation images.
        literal: CPU seconds of the steps of the published model that were made in between.
        seconds: CPU seconds of all updates.
        images: all validation images, of which ``nats`` is the mean −ELBO at the end.
        nats: as it says.
        nats_se: its standard error.
    """

    recipe: str
    seed: int
    steps: int
    commit: str
    changes: list[str]
    points: list[tuple[int, float, float]]
    literal: list[float]
    seconds: float
    images: int
    nats: float
    nats_se: float


def crossing(points: Sequence[Point], target: float) -> float | None:
    """Return where a curve of (x, nats) first comes down to a target; None if it never does.

    Between two points the curve is a straight line. A curve that begins below the target has its
    first x, which is then an upper bound.

    Example:
        >>> crossing([(1.0, 120.0), (3.0, 100.0), (5.0, 105.0)], 105.0)
        2.5
    """
    if points and points[0][1] <= target:
        return points[0][0]
    for (before, high), (after, low) in pairwise(points):
        if low <= target:
            return before + (after - before) * (high - target) / (high - low)
    return None


class Clock:
    """Takes the CPU seconds of every update, and of a literal step after every few of them.

    Args:
        every: updates between two literal steps; 0 makes none.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.updates: list[float] = []
        self.literal: list[float] = []
        known = case("mnist")
        self.step = LiteralStep(known, synthetic(known.recipe), torch.device("cpu"))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Time every update inside the block."""
        plain = Updater.update

        def update(updater: Updater, step: int) -> UpdateReport:
            began = time.process_time()
            report = plain(updater, step)
            self.updates.append(time.process_time() - began)
            if self.every and len(self.updates) % self.every == 0:
                self._literal()
            return report

        with patch.object(Updater, "update", update):
            yield

    def _literal(self) -> None:
        # The first of two finds neither its memory nor its weights in the caches.
        self.step(0)
        began = time.process_time()
        self.step(1)
        self.literal.append(time.process_time() - began)


def measure(recipe: Recipe, changes: list[str], seed: int, every: int, folder: Path) -> Result:
    """Train a recipe and time it, and score all validation images at the end."""
    clock = Clock(every)
    with clock.running():
        training.train(recipe, folder, seed=seed, quiet=True)
    after = [0.0]
    for seconds in clock.updates:
        after.append(after[-1] + seconds)
    events = Metrics(folder / "metrics.jsonl").read()
    points = [
        (step, after[step], nats)
        for step, nats in zip(*curve(events, "validation_nats"), strict=True)
    ]
    nats = bounds(mrvae.load(folder), images_for(recipe, "validation"))
    return Result(
        recipe.name,
        seed,
        recipe.training.steps,
        commit(ROOT),
        changes,
        points,
        clock.literal,
        after[-1],
        len(nats),
        float(nats.mean()),
        float(nats.std()) / math.sqrt(len(nats)),
    )


@torch.no_grad()
def bounds(model: HVAE, images: Images) -> torch.Tensor:
    """Return the one-sample −ELBO of every image in nats, float64 (N,), under fixed noise."""
    parts = []
    for indices, x in all_batches(images, 250, range(len(images))):
        noise = normal(0, 0, indices, model.noise_size)
        parts.append(model.elbo(x, noise).nats.double())
    return torch.cat(parts)


# --------------------------------------------------------------------------------------- reports


@dataclass(frozen=True)
class Published:
    """The published curve in steps, and CPU seconds: of a step, of its run, of a step now."""

    averaged: list[Point]
    raw: list[Point]
    step: float
    seconds: float
    now: float


def published(results: Sequence[Result], path: Path = PUBLISHED) -> Published:
    """Return the published curve; empty if it was not recorded."""
    step = statistics.median([seconds for result in results for seconds in result.literal])
    if not path.is_file():
        return Published([], [], step, math.nan, step)
    recorded = json.loads(path.read_text("utf-8"))
    averaged = [(float(row["step"]), float(row["averaged_nats"])) for row in recorded["curve"]]
    raw = [(float(row["step"]), float(row["nats"])) for row in recorded["curve"]]
    seconds = float(recorded["seconds"])
    return Published(averaged, raw, min(step, seconds / recorded["steps"]), seconds, step)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line for each quality: of the shortest runs of which all reach it.

    Where there are several seeds, it is the median, with the least and the largest behind it.
    """
    theirs = published(results)
    for target in TARGETS:
        step = _published_step(theirs, target)
        last = None if step is None else step * theirs.step
        yield (
            f"{target:g}",
            *_ours(results, target),
            "not reached" if step is None else f"{step:,.0f}",
            "–" if last is None else f"{last:,.0f}",
            _factor(reached(results, target), last),
        )


def reached(results: Sequence[Result], target: float) -> list[tuple[Result, float, float]]:
    """Return the shortest runs of which all reach a quality, with the step and the CPU seconds."""
    for steps in sorted({result.steps for result in results}):
        runs = [result for result in results if result.steps == steps]
        where = [crossing([(p[0], p[2]) for p in run.points], target) for run in runs]
        when = [crossing([p[1:] for p in run.points], target) for run in runs]
        lines = zip(runs, where, when, strict=True)
        every = [(run, at, s) for run, at, s in lines if at is not None and s is not None]
        if len(every) == len(runs):
            return every
    return []


def _ours(results: Sequence[Result], target: float) -> tuple[str, str, str]:
    """Return which runs reached a quality, the step and the seconds."""
    found = reached(results, target)
    if not found:
        return "not reached", "–", "–"
    seeds = f"{len(found)} seed{'s' * (len(found) > 1)}"
    runs = f"{found[0][0].steps:,} steps, {seeds}"
    return runs, _spread([step for _, step, _ in found], 0), _spread([s for *_, s in found], 1)


def _published_step(theirs: Published, target: float) -> float | None:
    """Return when the published model is that good, by its averaged or its raw weights.

    At the quality that gave the benchmark its name it is the 5,000 steps of that measurement.
    """
    if target == TARGETS[1]:
        return PUBLISHED_STEPS
    every = (crossing(theirs.averaged, target), crossing(theirs.raw, target))
    return min((step for step in every if step is not None), default=None)


def _spread(values: Sequence[float], digits: int) -> str:
    """Return the median, and the least and largest if there are several."""
    middle, low, high = statistics.median(values), min(values), max(values)
    shown = [f"{value:,.{digits}f}" for value in (middle, low, high)]
    return f"{shown[0]} ({shown[1]}–{shown[2]})" if len(values) > 1 else shown[0]


def _factor(found: Sequence[tuple[Result, float, float]], theirs: float | None) -> str:
    """Return the published seconds over the median of ours."""
    if theirs is None or not found:
        return "–"
    return f"{theirs / statistics.median(seconds for *_, seconds in found):.1f}"


def numbers(results: list[Result]) -> dict[str, str]:
    """Return the numbers that sentences have."""
    theirs, goal = published(results), TARGETS[1]
    found = reached(results, goal)
    shortest = min(result.steps for result in results)
    runs = [result for result in results if result.steps == shortest]
    seconds = [taken for *_, taken in found]
    return {
        "seeds": str(len(runs)),
        "steps": f"{shortest:,}",
        "whole": f"{statistics.median(run.seconds for run in runs):.0f}",
        "seconds": f"{statistics.median(seconds):.0f}" if seconds else "not reached",
        "literal": f"{PUBLISHED_STEPS * theirs.step:,.0f}",
        "step": f"{theirs.now:.2f}",
        "factor": _factor(found, PUBLISHED_STEPS * theirs.step),
        "last": f"{theirs.raw[-1][1]:.2f}" if theirs.raw else "not recorded",
        "recorded": f"{theirs.seconds:,.0f}",
        "images": f"{runs[0].images:,}",
        "nats": ", ".join(f"{run.nats:.2f} ± {run.nats_se:.2f}" for run in runs),
    }


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    found = json.loads(path.read_text("utf-8"))["results"]
    return [Result(**{**each, "points": [tuple(p) for p in each["points"]]}) for each in found]


def picture(results: list[Result], path: Path) -> None:
    """Draw both curves: −ELBO over CPU seconds."""
    figure, axes = empty_figure(width=7.0)
    for color, steps in zip(("C0", "C2"), sorted({each.steps for each in results}), strict=False):
        runs = [result for result in results if result.steps == steps]
        for index, run in enumerate(runs):
            seconds, nats = zip(*(point[1:] for point in run.points), strict=True)
            label = None if index else f"{run.recipe}, {steps:,} steps, {len(runs)} seed(s)"
            axes.plot(seconds, nats, color=color, linewidth=1.2, label=label)
    theirs = published(results)
    for points, style, weights in ((theirs.raw, "-", "raw"), (theirs.averaged, "--", "averaged")):
        if points:
            seconds, nats = zip(*((step * theirs.step, nats) for step, nats in points), strict=True)
            label = f"published VDVAE, {weights} weights"
            axes.plot(seconds, nats, style, color="C1", linewidth=1.2, label=label)
    _name(axes)
    write_figure(path, figure)


def _name(axes: Axes) -> None:
    """Put the scales, the words and the goal on the axes."""
    for target in TARGETS:
        axes.axhline(target, color="0.8", linewidth=0.6, zorder=0)
    axes.set_xscale("log")
    axes.set_ylim(80, 160)
    axes.set_yticks([*TARGETS, 120, 140, 160])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlabel("CPU seconds of training (one thread)")
    axes.set_ylabel("−ELBO of validation images, nats")
    axes.legend(frameon=False)


def main() -> None:
    """Train from every seed, and write, draw and show what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="mnist-fast", help="what is trained")
    parser.add_argument("--change", nargs="+", default=[], help="key=value changes to the recipe")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--literal-every", type=int, default=20, help="updates between two steps")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    parser.add_argument("--runs", type=Path, help="folder to keep the run directories in")
    parser.add_argument("--json", type=Path, help="file to write the measurements into")
    parser.add_argument("--picture", type=Path, help="file to draw the curves into")
    parser.add_argument("--table", type=Path, help="print a file's table as Markdown")
    options = parser.parse_args()
    if options.table is not None:
        results = read(options.table)
        sys.stdout.write(as_markdown(HEADINGS, list(rows(results))) + "\n")
    else:
        results = _measured(options)
        show("time to quality", HEADINGS, list(rows(results)), 110)
    if options.picture is not None:
        picture(results, options.picture)


def _measured(options: argparse.Namespace) -> list[Result]:
    """Train from every seed, writing what is measured so far after each."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    recipe, results = override(mrvae.recipe(options.recipe), options.change), list[Result]()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.runs or Path(temporary)
        for seed in options.seeds:
            name = f"{recipe.name}-{recipe.training.steps}-seed{seed}"
            every = options.literal_every
            result = measure(recipe, options.change, seed, every, folder / name)
            results = _kept(options.json, result, results)
            sys.stderr.write(f"{name}: {result.nats:.2f} nats, {result.seconds:.0f} CPU s\n")
    return results


def _kept(path: Path | None, result: Result, before: list[Result]) -> list[Result]:
    """Return the results with a new one, and write them if a file is named.

    The file keeps what it has of other lengths and seeds.
    """
    known = before if path is None or not path.is_file() else read(path)
    key = (result.steps, result.seed)
    others = [each for each in known if (each.steps, each.seed) != key]
    every = sorted([*others, result], key=lambda each: (each.steps, each.seed))
    if path is not None:
        value = {"machine": machine("cpu"), "results": [asdict(each) for each in every]}
        path.write_text(json.dumps(value, indent=1) + "\n")
    return every


if __name__ == "__main__":
    main()
