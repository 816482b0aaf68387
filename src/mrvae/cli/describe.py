"""``mrvae describe``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.constructors import PrimitiveConstructorSpec

from mrvae.cli.answer import Answer, table
from mrvae.cli.options import (
    Flag,
    Json,
    MaybeNumber,
    MaybeWhole,
    Overrides,
    RecipeName,
    check_positive,
    read_recipe,
)
from mrvae.recipes import Recipe, override

if TYPE_CHECKING:
    from mrvae.training.memory.footprint import Footprint

Precision = Literal["float32", "bf16"]


def _read_precision(texts: list[str]) -> Precision:
    match texts[0]:
        case "float32" | "bf16" as found:
            return found
        case other:
            raise ValueError(f"expected float32 or bf16, found {other!r}")


_PRECISION = PrimitiveConstructorSpec(
    nargs=1,
    metavar="{float32,bf16}",
    instance_from_str=_read_precision,
    is_instance=lambda value: value in (None, "float32", "bf16"),
    str_from_instance=lambda value: [str(value)],
)


@dataclass(frozen=True)
class Describe:
    """Count a recipe's parameters, latents, floating-point operations and memory.

    With any of --batch, --precision and --device-flops also predict a training step.
    """

    recipe: RecipeName
    overrides: Overrides = ()
    batch: MaybeWhole = None
    """images of a training step; by default the recipe's"""
    precision: Annotated[Precision | None, _PRECISION, Flag] = None
    """in which a step computes its layers; by default the recipe's"""
    device_flops: MaybeNumber = None
    """FLOP/s that the device sustains, such as 5e13; also tell the days to train"""
    json: Json = False

    def run(self) -> Answer:
        """Build the model on the meta device and count."""
        check_positive(batch=self.batch)
        _check_rate(self.device_flops)
        recipe = override(read_recipe(self.recipe, self.overrides), self._changes())
        from mrvae.evaluation import describe

        values = describe(recipe)
        lines = [
            ["recipe", recipe.name],
            ["about", recipe.about],
            ["parameters", f"{values.parameters:,}"],
            ["stochastic layers", str(values.stochastic_depth)],
            ["latents per image", f"{values.latents:,}"],
            ["FLOPs per image", f"{values.flops_per_image:,} (one bound, forward)"],
            ["memory per image", f"{_mebibytes(values.bytes_per_image)} (training)"],
        ]
        text = "\n".join(f"{name:<18} {value}" for name, value in lines)
        head = ["resolution", "width", "latent channels", "layers", "latents"]
        rows = [[level[key] for key in _COLUMNS] for level in values.levels]
        text = f"{text}\n\n{table([head, *rows])}"
        if not self._asks_for_a_step():
            return Answer(vars(values), text)
        step, more = self._step(recipe)
        return Answer(vars(values) | {"step": step}, f"{text}\n\n{more}")

    def _changes(self) -> list[str]:
        """Return what the options change of the recipe."""
        batch = [] if self.batch is None else [f"training.batch={self.batch}"]
        if self.precision is None:
            return batch
        return [*batch, f"training.bf16={str(self.precision == 'bf16').lower()}"]

    def _asks_for_a_step(self) -> bool:
        return (self.batch, self.precision, self.device_flops) != (None, None, None)

    def _step(self, recipe: Recipe) -> tuple[dict[str, object], str]:
        """Return what a step costs, as values and as text."""
        from mrvae.training.memory.footprint import footprint

        found, training = footprint(recipe), recipe.training
        days = None
        if self.device_flops is not None:
            days = training.steps * found.flops / self.device_flops / 86_400
        precision = "bf16" if training.bf16 else "float32"
        values = {
            "batch": training.batch,
            "accumulate": training.accumulate,
            "precision": precision,
            "checkpoint": training.checkpoint,
            "flops": found.flops,
            "peak_bytes": found.peak,
            "weights_bytes": found.weights,
            "gradients_bytes": found.gradients,
            "averages_bytes": found.averages,
            "moments_bytes": found.moments,
            "kept_bytes": found.kept,
            "steps": training.steps,
            "days": days,
        }
        return values, _text(found, recipe, precision, days)


def _text(found: Footprint, recipe: Recipe, precision: str, days: float | None) -> str:
    """Return the lines of a step."""
    training = recipe.training
    again = ", blocks computed again" if training.checkpoint else ""
    parts = f" in {training.accumulate} parts" if training.accumulate > 1 else ""
    lines = [
        ["training step", f"{training.batch} images{parts}, {precision}{again}"],
        ["FLOPs", f"{found.flops:,} (forward and backward)"],
        ["peak memory", _mebibytes(found.peak)],
        ["  weights", _mebibytes(found.weights)],
        ["  gradients", _mebibytes(found.gradients)],
        ["  averages", _mebibytes(found.averages)],
        ["  optimiser", _mebibytes(found.moments)],
        ["  activations", f"{_mebibytes(found.kept)} (kept for the backward pass)"],
    ]
    if days is not None:
        lines.append(["training", f"{days:,.2g} days for {training.steps:,} steps"])
    return "\n".join(f"{name:<18} {value}" for name, value in lines)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _check_rate(rate: float | None) -> None:
    """Refuse a speed that no device has."""
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"--device-flops is {rate}; give FLOP/s above 0, such as 5e13")


_COLUMNS = ("size", "width", "latent", "layers", "latents")
