"""``mrvae train``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.automatic import AnyRecipe, Scale, Source, choose
from mrvae.cli.checks import check_at_most, check_positive, check_processes, check_seed
from mrvae.cli.command import Answer, stopped_early
from mrvae.cli.declaration import Option
from mrvae.cli.options import (
    DataDir,
    Device,
    Json,
    Large,
    Overrides,
    Quiet,
    Seed,
)
from mrvae.cli.pictures import draw_picture
from mrvae.cli.signals import unit_of
from mrvae.recipes import Recipe
from mrvae.reports.figures import loss_figure, write_figure
from mrvae.run_log import read_events

if TYPE_CHECKING:
    from mrvae.training import RunSummary

_MOST_THREADS = 1024


@dataclass(frozen=True)
class Train:
    """Train a recipe and write its run directory.

    Without a recipe, --data names images and a model is chosen for them, see --scale. A value of
    the recipe is changed by key=value, such as training.batch=32. After training, or after Ctrl-C,
    the run directory is complete, and --resume continues from it.
    """

    recipe: AnyRecipe = None
    overrides: Overrides = ()
    data: Source = None
    scale: Scale = "small"
    out: Annotated[Path | None, Option("run directory to make; by default runs/RECIPE")] = None
    steps: Annotated[
        int | None, Option("total number of steps; it fixes the schedule; by default the recipe's")
    ] = None
    seed: Seed = 0
    resume: Annotated[bool, Option("continue the run in the directory")] = False
    data_dir: DataDir = None
    tracker: Annotated[
        str | None, Option("also log to tensorboard, wandb or another tracker of accelerate")
    ] = None
    device: Device = None
    threads: Annotated[
        int | None,
        Option("threads on the CPU; by default one, or more where that is measured to be worth it"),
    ] = None
    quiet: Quiet = False
    large: Large = False
    json: Json = False

    def run(self) -> Answer:
        """Train, then draw the loss and some samples."""
        check_positive(steps=self.steps, threads=self.threads)
        check_at_most(_MOST_THREADS, threads=self.threads)
        check_seed(self.seed)
        check_processes()
        choice = choose(
            self.recipe, self.overrides, self.data, self.scale, self.data_dir, self.steps
        )
        choice.announce()
        recipe = choice.recipe
        out = Path("runs") / recipe.name if self.out is None else self.out
        before = _written(out)
        from mrvae.processes import leave_group, process_state

        try:
            summary = self._train(recipe, out)
        finally:
            leave_group()
        if not process_state().is_main_process:
            return Answer({}, "")
        changed = _written(out) != before or not _pictures_exist(out)
        return _answer(recipe, summary, _draw(out, self.large, self.device) if changed else ())

    def _train(self, recipe: Recipe, out: Path) -> RunSummary:
        from mrvae.training import train

        with stopped_early():
            return train(
                recipe,
                out,
                seed=self.seed,
                data_dir=self.data_dir,
                resume=self.resume,
                tracker=self.tracker,
                quiet=self.quiet,
                large=self.large,
                device=self.device,
                threads=self.threads,
            )


def _written(out: Path) -> int:
    """Return when the weights were last written, in nanoseconds; 0 if there are none."""
    weights = out / "weights.safetensors"
    return weights.stat().st_mtime_ns if weights.is_file() else 0


def _pictures_exist(out: Path) -> bool:
    return (out / "loss.png").is_file() and (out / "samples.png").is_file()


def _draw(out: Path, large: bool, device: str | None) -> tuple[str, ...]:
    """Write the loss curve and samples into the run directory; return what failed."""
    from mrvae.cli.runs import draw, open_run

    def losses() -> None:
        run = open_run(out, large=large, device=device)
        dims = None if run.levels == 2 else run.model.frame.dims
        write_figure(out / "loss.png", loss_figure(read_events(out / "metrics.jsonl"), dims))

    def samples() -> None:
        run = open_run(out, large=large, device=device)
        count = 64 if run.signal is None else 16
        run.show(out / "samples.png", draw(run, count, (1.0,), seed=0))

    return draw_picture(out / "loss.png", losses) + draw_picture(out / "samples.png", samples)


def _answer(recipe: Recipe, summary: RunSummary, problems: tuple[str, ...]) -> Answer:
    from mrvae.models import bits_per_dim

    dims = recipe.model.dims
    nats = summary.nats if math.isfinite(summary.nats) else None
    values = {
        "run": str(summary.run),
        "steps": summary.steps,
        "seconds": summary.seconds,
        "nats": nats,
        "recipe": recipe.name,
    }
    pictures = "" if problems else ", with loss.png and samples.png"
    bits, meaning = bits_per_dim(summary.nats, dims), unit_of(recipe)
    unit = "" if meaning is None else f"\n{meaning}"
    text = f"""\
trained {summary.steps} steps in {summary.seconds:.0f} s
validation −ELBO {summary.nats:.2f} nats per image, {bits:.3f} bits/dim{unit}
run directory {summary.run}{pictures}

next: mrvae evaluate {summary.run}
      mrvae sample {summary.run} --out samples.png
      mrvae reconstruct {summary.run}
      mrvae inspect {summary.run} latents"""
    return Answer(values, text, problems)
