"""``mrvae recipes``."""

from __future__ import annotations

from dataclasses import dataclass

from mrvae.cli.command import Answer
from mrvae.cli.options import Json
from mrvae.cli.tables import table
from mrvae.recipes import ALL, Recipe


@dataclass(frozen=True)
class Recipes:
    """List every recipe: what it trains, on what, from which paper, at what cost."""

    json: Json = False

    def run(self) -> Answer:
        """Answer from the recipes' own words; nothing is built."""
        head = ["recipe", "paper", "row", "budget", "layers", "parameters"]
        rows = [[r.name, r.paper, r.row, r.budget, r.depth, r.parameters] for r in ALL]
        return Answer({"recipes": [_values(r) for r in ALL]}, table([head, *rows]))


def _values(recipe: Recipe) -> dict[str, object]:
    return {
        "recipe": recipe.name,
        "about": recipe.about,
        "paper": recipe.paper,
        "row": recipe.row,
        "parameters": recipe.parameters,
        "stochastic_depth": recipe.depth,
        "budget": recipe.budget,
        "data": recipe.data.source,
        "steps": recipe.training.steps,
    }
