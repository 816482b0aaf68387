"""The options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from mrvae.cli.declaration import Argument, Option
from mrvae.recipes import Recipe, override, recipe

RecipeName = Annotated[
    str, Argument("name of a recipe; mrvae recipes lists them", metavar="RECIPE")
]
Overrides = Annotated[
    tuple[str, ...],
    Argument(
        "changes to the recipe, such as training.batch=32 or width=64 or data=my.npz",
        metavar="[key=value …]",
    ),
]
RunPath = Annotated[
    Path,
    Argument(
        "run directory, as mrvae train makes it, or a model that ships with mrvae", metavar="RUN"
    ),
]
Split = Annotated[Literal["train", "validation", "test"], Option("which images")]
Seed = Annotated[int, Option("seed of all random numbers")]
Picture = Annotated[Path, Option("picture to write")]
Each = Annotated[
    Path | None,
    Option("folder for a file of each image, PNG, or of each signal, WAV"),
]
DataDir = Annotated[
    Path | None, Option("local folder with the data; by default MRVAE_DATA, else a download")
]
Best = Annotated[bool, Option("use the weights of the best validation, not the last")]
Quiet = Annotated[bool, Option("show no progress")]
Device = Annotated[
    str | None,
    Option("cpu, cuda, cuda:1 or mps; by default the fastest that there is", metavar="DEVICE"),
]
Large = Annotated[
    bool, Option("also a model that is larger than any published one, by far", name="yes-large")
]
Json = Annotated[bool, Option("print one JSON object and nothing else")]


def read_recipe(name: str, assignments: tuple[str, ...], steps: int | None = None) -> Recipe:
    """Return the recipe of a name with its overrides; ``steps`` is one more, made last."""
    more = () if steps is None else (f"training.steps={steps}",)
    return override(recipe(name), (*assignments, *more))
