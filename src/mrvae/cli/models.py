"""``mrvae models``."""

from __future__ import annotations

from dataclasses import dataclass

from mrvae.cli.command import Answer
from mrvae.cli.options import Json
from mrvae.cli.tables import table


@dataclass(frozen=True)
class Models:
    """List the trained models that ship with mrvae; their names stand for run directories.

    Each has a card, README.md beside its weights, with its data, its numbers and its limits.
    """

    json: Json = False

    def run(self) -> Answer:
        """List them."""
        from mrvae.models.build.weights import SHIPPED, read_recipe

        entries = []
        for folder in sorted(path for path in SHIPPED.iterdir() if path.is_dir()):
            recipe = read_recipe(folder)
            size = (folder / "weights.safetensors").stat().st_size
            entries.append(
                {
                    "model": folder.name,
                    "about": recipe.about,
                    "parameters": recipe.parameters,
                    "bytes": size,
                    "card": str(folder / "README.md"),
                }
            )
        head = ["model", "parameters", "MB", "about"]
        rows = [
            [
                entry["model"],
                f"{entry['parameters']:,}",
                f"{int(str(entry['bytes'])) / 1e6:.1f}",
                entry["about"],
            ]
            for entry in entries
        ]
        text = f"{table([head, *rows])}\n\nfor example: mrvae sample {entries[0]['model']}"
        return Answer({"models": entries}, text)
