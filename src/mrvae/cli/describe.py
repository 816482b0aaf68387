"""``mrvae describe``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from mrvae.cli.automatic import AnyRecipe, Scale, Source, blocks_of, choose
from mrvae.cli.checks import check_positive
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.options import DataDir, Device, Json, Large, Overrides
from mrvae.cli.tables import table
from mrvae.forecast import counted, duration
from mrvae.recipes import Recipe, override

if TYPE_CHECKING:
    from mrvae.training.machine.step_time import StepTime
    from mrvae.training.memory.footprint import Footprint


@dataclass(frozen=True)
class Describe:
    """Count a recipe's parameters, latents, floating-point operations and memory.

    Instead of a recipe, give a file or a folder of images: the model is the one that mrvae train
    --data would choose for it. The forecast is of this machine, from a calibration of under a
    second. With any of --batch, --precision and --device-flops also predict the memory of a step.
    """

    recipe: AnyRecipe = None
    overrides: Overrides = ()
    data: Source = None
    scale: Scale = "small"
    data_dir: DataDir = None
    batch: Annotated[int | None, Option("images of a training step; by default the recipe's")] = (
        None
    )
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        Option("precision of the layers in a training step; by default the recipe's"),
    ] = None
    device_flops: Annotated[
        float | None,
        Option("FLOP/s that the device sustains, such as 5e13; also predict the days of training"),
    ] = None
    device: Device = None
    large: Large = False
    json: Json = False

    def run(self) -> Answer:
        """Build the model on the meta device and count; time a few images of a small one."""
        check_positive(batch=self.batch)
        _check_rate(self.device_flops)
        choice = choose(self.recipe, self.overrides, self.data, self.scale, self.data_dir)
        recipe = override(choice.recipe, self._changes())
        from mrvae.devices import choose_device
        from mrvae.evaluation.cost import describe
        from mrvae.training.machine.precision import settled
        from mrvae.training.machine.step_time import step_time

        device = choose_device(self.device)
        values = describe(recipe, self.large)
        recipe = settled(recipe, device, None)
        time = step_time(recipe, device, values.parameters, values.flops_per_image)
        lines = [
            ["recipe", recipe.name],
            ["about", recipe.about],
            *blocks_of(recipe),
            ["parameters", f"{values.parameters:,}"],
            ["stochastic layers", str(values.stochastic_depth)],
            ["latents per image", f"{values.latents:,}"],
            ["FLOPs per image", f"{values.flops_per_image:,} (one bound, forward)"],
            ["memory per image", f"{_mebibytes(values.bytes_per_image)} (training)"],
            ["forecast", _forecast(time, recipe)],
        ]
        text = "\n".join(f"{name:<18} {value}" for name, value in lines)
        head = ["resolution", "width", "latent channels", "layers", "latents"]
        rows = [[level[key] for key in _COLUMNS] for level in values.levels]
        text = f"{text}\n\n{table([head, *rows])}"
        known: dict[str, object] = {**vars(values), "forecast": vars(time)}
        if not self._asks_for_a_step():
            return Answer(known, text)
        step, more = self._step(recipe)
        return Answer(known | {"step": step}, f"{text}\n\n{more}")

    def _changes(self) -> list[str]:
        """Return what the options change of the recipe."""
        batch = [] if self.batch is None else [f"training.batch={self.batch}"]
        if self.precision is None:
            return batch
        return [*batch, f"training.precision={self.precision}"]

    def _asks_for_a_step(self) -> bool:
        return (self.batch, self.precision, self.device_flops) != (None, None, None)

    def _step(self, recipe: Recipe) -> tuple[dict[str, object], str]:
        """Return what a step costs, as values and as text."""
        from mrvae.training.memory.footprint import footprint

        cost, training = footprint(recipe), recipe.training
        days = None
        if self.device_flops is not None:
            days = training.steps * cost.flops / self.device_flops / 86_400
        precision = training.precision
        values: dict[str, object] = {
            "batch": training.batch,
            "accumulate": training.accumulate,
            "precision": precision,
            "checkpoint": training.activation_checkpointing,
            "flops": cost.flops,
            "peak_bytes": cost.peak,
            "weights_bytes": cost.weights,
            "gradients_bytes": cost.gradients,
            "averages_bytes": cost.averages,
            "moments_bytes": cost.moments,
            "kept_bytes": cost.kept,
            "steps": training.steps,
            "days": days,
        }
        return values, _text(cost, recipe, precision, days)


def _text(cost: Footprint, recipe: Recipe, precision: str, days: float | None) -> str:
    """Return the lines of a step."""
    training = recipe.training
    again = ", blocks computed again" if training.activation_checkpointing else ""
    parts = f" in {training.accumulate} parts" if training.accumulate > 1 else ""
    lines = [
        ["training step", f"{training.batch} images{parts}, {precision}{again}"],
        ["FLOPs", f"{cost.flops:,} (forward and backward)"],
        ["peak memory", _mebibytes(cost.peak)],
        ["  weights", _mebibytes(cost.weights)],
        ["  gradients", _mebibytes(cost.gradients)],
        ["  averages", _mebibytes(cost.averages)],
        ["  optimiser", _mebibytes(cost.moments)],
        ["  activations", f"{_mebibytes(cost.kept)} (kept for the backward pass)"],
    ]
    if days is not None:
        number = f"{days:,.2g}"
        unit = "day" if number == "1" else "days"
        lines.append(["training", f"{number} {unit} for {training.steps:,} steps"])
    return "\n".join(f"{name:<18} {value}" for name, value in lines)


def _forecast(time: StepTime, recipe: Recipe) -> str:
    """Return what a step takes here, and all of them."""
    how = "at least" if time.bound else "about"
    threads = "" if time.threads is None else f" with {counted(time.threads, 'thread')}"
    steps = recipe.training.steps
    whole = duration(time.seconds * steps)
    return f"{how} {time.seconds:.2g} s per step here{threads}; {whole} for {steps:,} steps"


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _check_rate(rate: float | None) -> None:
    """Refuse a speed that no device has."""
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"--device-flops is {rate}; give FLOP/s above 0, such as 5e13")


_COLUMNS = ("size", "width", "latent", "layers", "latents")
