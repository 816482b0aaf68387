"""The types of the commands' arguments, and checks that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from mrvae.files import writable
from mrvae.recipes import Recipe, override, recipe


def _read_whole(texts: list[str]) -> int:
    try:
        return int(texts[0])
    except ValueError:
        raise ValueError(f"expected a whole number, found {texts[0]!r}") from None


def _read_number(texts: list[str]) -> float:
    try:
        return float(texts[0])
    except ValueError:
        raise ValueError(f"expected a number, found {texts[0]!r}") from None


def _read_numbers(texts: list[str]) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in texts[0].split(","))
    except ValueError:
        raise ValueError(
            f"expected a number, or numbers like 1,0.9,0.8, found {texts[0]!r}"
        ) from None


_WHOLE = PrimitiveConstructorSpec(
    nargs=1,
    metavar="N",
    instance_from_str=_read_whole,
    is_instance=lambda value: value is None or isinstance(value, int),
    str_from_instance=lambda value: [str(value)],
)
_NUMBER = PrimitiveConstructorSpec(
    nargs=1,
    metavar="R",
    instance_from_str=_read_number,
    is_instance=lambda value: isinstance(value, int | float),
    str_from_instance=lambda value: [str(value)],
)
_MAYBE_NUMBER = PrimitiveConstructorSpec(
    nargs=1,
    metavar="R",
    instance_from_str=_read_number,
    is_instance=lambda value: value is None or isinstance(value, float),
    str_from_instance=lambda value: [str(value)],
)
_NUMBERS = PrimitiveConstructorSpec(
    nargs=1,
    metavar="T[,T…]",
    instance_from_str=_read_numbers,
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda values: [",".join(map(str, values))],
)
_FILE = PrimitiveConstructorSpec(
    nargs=1,
    metavar="PATH",
    instance_from_str=lambda texts: Path(texts[0]),
    is_instance=lambda value: value is None or isinstance(value, Path),
    str_from_instance=lambda value: [str(value)],
)
_TEXT = PrimitiveConstructorSpec(
    nargs=1,
    metavar="NAME",
    instance_from_str=lambda texts: texts[0],
    is_instance=lambda value: value is None or isinstance(value, str),
    str_from_instance=lambda value: [str(value)],
)

# What an option does when it is not given is in its own words, where those say more than a value.
Flag = arg(help_behavior_hint="")

RecipeName = Annotated[
    Positional[str],
    arg(
        metavar="RECIPE",
        help="name of a recipe; mrvae recipes lists them",
        help_behavior_hint="",
    ),
]
Overrides = Annotated[
    Positional[tuple[str, ...]],
    arg(
        metavar="[key=value …]",
        help="changes to the recipe, such as training.batch=32 or width=64 or data=my.npz",
        help_behavior_hint="",
    ),
]
RunPath = Annotated[
    Positional[Path],
    arg(
        metavar="RUN",
        help="run directory, as mrvae train makes it, or a model that ships with mrvae",
        help_behavior_hint="",
    ),
]
Split = Annotated[Literal["train", "validation", "test"], arg(help="which images")]
Whole = Annotated[int, _WHOLE]
MaybeWhole = Annotated[int | None, _WHOLE, Flag]
Number = Annotated[float, _NUMBER]
MaybeNumber = Annotated[float | None, _MAYBE_NUMBER, Flag]
Numbers = Annotated[tuple[float, ...], _NUMBERS]
File = Annotated[Path, _FILE]
MaybeFile = Annotated[Path | None, _FILE, Flag]
MaybeName = Annotated[str | None, _TEXT, Flag]
Seed = Annotated[int, _WHOLE, arg(help="of every random number")]
DataDir = Annotated[
    Path | None,
    _FILE,
    arg(
        help="local folder with the data; by default MRVAE_DATA, else a download",
        help_behavior_hint="",
    ),
]
Best = Annotated[
    bool,
    arg(help="use the weights of the best validation, not the last", help_behavior_hint=""),
]
Json = Annotated[bool, arg(help="print one JSON object and nothing else", help_behavior_hint="")]


def read_recipe(name: str, assignments: tuple[str, ...], steps: int | None = None) -> Recipe:
    """Return the recipe of a name with its overrides; ``steps`` is one more, made last."""
    more = () if steps is None else (f"training.steps={steps}",)
    return override(recipe(name), (*assignments, *more))


def check_positive(**values: int | None) -> None:
    """Refuse counts below 1, by the name of their option.

    Example:
        >>> check_positive(n=0)
        Traceback (most recent call last):
        ValueError: --n is 0; give at least 1

    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {value}; give at least 1")


def check_seed(seed: int) -> None:
    """Refuse a seed that cannot name a random stream."""
    if not 0 <= seed < 1 << 63:
        raise ValueError(f"--seed is {seed}; give a whole number of at least 0, below 2^63")


def check_temperature(values: tuple[float, ...]) -> None:
    """Refuse temperatures that are negative or not finite."""
    for value in values:
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"--temperature is {value}; give numbers of at least 0")


def check_radius(radius: float) -> None:
    """Refuse a radius outside 0 … 1."""
    if not 0 <= radius <= 1:
        raise ValueError(f"--radius is {radius}; images are on [0, 1], so give 0 … 1")


def check_picture(path: Path) -> None:
    """Refuse a picture that could not be written, before anything is computed for it."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"--out is {path}; pictures are PNG, so give a name that ends in .png")
    writable(path)
