"""``mrvae describe``."""

from __future__ import annotations

from dataclasses import dataclass

from mrvae.cli.answer import Answer, table
from mrvae.cli.options import Json, Overrides, RecipeName, read_recipe


@dataclass(frozen=True)
class Describe:
    """Count a recipe's parameters, latents, floating-point operations and memory."""

    recipe: RecipeName
    overrides: Overrides = ()
    json: Json = False

    def run(self) -> Answer:
        """Build the model on the meta device and count."""
        recipe = read_recipe(self.recipe, self.overrides)
        from mrvae.evaluation import describe

        values = describe(recipe)
        lines = [
            ["recipe", recipe.name],
            ["about", recipe.about],
            ["parameters", f"{values.parameters:,}"],
            ["stochastic layers", str(values.stochastic_depth)],
            ["latents per image", f"{values.latents:,}"],
            ["FLOPs per image", f"{values.flops_per_image:,} (one bound, forward)"],
            ["memory per image", f"{values.bytes_per_image / 2**20:,.1f} MiB (training)"],
        ]
        text = "\n".join(f"{name:<18} {value}" for name, value in lines)
        head = ["resolution", "width", "latent channels", "layers", "latents"]
        rows = [[level[key] for key in _COLUMNS] for level in values.levels]
        return Answer(vars(values), f"{text}\n\n{table([head, *rows])}")


_COLUMNS = ("size", "width", "latent", "layers", "latents")
