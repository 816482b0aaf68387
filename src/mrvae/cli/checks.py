"""Checks of values that several commands share; each refuses a value before any work is done."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from mrvae.files import is_stream, writable
from mrvae.recipes.validation import shown

# What mrvae itself reads again from a run directory; the pictures in it may be written over.
_OF_A_RUN = {
    "recipe.json",
    "weights.safetensors",
    "best.safetensors",
    "metrics.jsonl",
    "evaluation.json",
}


def check_positive(**values: int | None) -> None:
    """Refuse counts below 1, by the name of their option.

    Example:
        >>> check_positive(n=0)
        Traceback (most recent call last):
        ValueError: --n is 0; give at least 1

    """
    for name, value in values.items():
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} is {shown(value)}; give at least 1")


def check_at_most(most: int, **values: int | None) -> None:
    """Refuse counts above ``most``, by the name of their option.

    Example:
        >>> check_at_most(100, draws=1000)
        Traceback (most recent call last):
        ValueError: --draws is 1000; give at most 100

    """
    for name, value in values.items():
        if value is not None and value > most:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} is {shown(value)}; give at most {most:,}")


def check_seed(seed: int) -> None:
    """Refuse a seed that cannot name a random stream."""
    if not 0 <= seed < 1 << 63:
        raise ValueError(f"--seed is {shown(seed)}; give a whole number of at least 0, below 2^63")


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
    if path.suffix.lower() != ".png" and not is_stream(path):
        raise ValueError(f"--out is {path}; pictures are PNG, so give a name that ends in .png")
    check_output(path)


def check_output(path: Path, inputs: Iterable[Path] = (), option: str = "--out") -> None:
    """Refuse a file to write that is an input, or a run's own, or could not be written.

    Raises:
        ValueError: naming the option.

    Example:
        >>> check_output(Path("pyproject.toml"), [Path("pyproject.toml")])
        Traceback (most recent call last):
        ValueError: --out is pyproject.toml, which is also an input; give another name

    """
    writable(path)
    if is_stream(path):
        return
    for given in inputs:
        if given.exists() and path.exists() and given.samefile(path):
            raise ValueError(f"{option} is {path}, which is also an input; give another name")
    if _belongs_to_a_run(path):
        raise ValueError(f"{option} is {path}, a file of a run; give another name")


def check_folder(path: Path, option: str = "--out") -> None:
    """Refuse a folder to write to whose name is that of a file, or that is part of a run."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"{option} is {path}, which is a file; name a folder")
    if _in_a_state(path):
        raise ValueError(f"{option} is {path}, in the checkpoints of a run; name another folder")
    place = Path(os.path.realpath(path))
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{option} is {path}, and the folder {existing} is read-only")


def check_new_folder(path: Path, option: str = "--out") -> None:
    """Refuse what :func:`check_folder` refuses, and a folder whose parent does not exist."""
    check_folder(path, option)
    if not path.parent.is_dir():
        raise ValueError(f"{option} is {path}, and {path.parent} does not exist; make it")


def _belongs_to_a_run(path: Path) -> bool:
    """Return whether a run reads a file of this path again."""
    folder = Path(os.path.realpath(path.parent))
    own = path.name in _OF_A_RUN and (folder / "recipe.json").is_file()
    return own or _in_a_state(folder)


def _in_a_state(folder: Path) -> bool:
    """Return whether a folder is, or is in, the folder of a run's checkpoints."""
    place = Path(os.path.realpath(folder))
    return any(
        part.name == "state" and (part.parent / "recipe.json").is_file()
        for part in (place, *place.parents)
    )


def check_coding_device(device: str | None) -> None:
    """Refuse to code on another device than the CPU.

    Example:
        >>> check_coding_device("cuda")
        Traceback (most recent call last):
        ValueError: --device is 'cuda'; files are coded on the CPU only, in double precision, ...
    """
    if device not in (None, "cpu"):
        raise ValueError(
            f"--device is {shown(device)}; files are coded on the CPU only, in double precision, "
            "since a reader needs the writer's numbers: leave it out"
        )


def check_processes() -> None:
    """Refuse an environment of processes that no launcher makes.

    Raises:
        ValueError: naming WORLD_SIZE or RANK.

    """
    size = _count("WORLD_SIZE", 1)
    rank = _count("RANK", 0)
    if size < 1:
        raise ValueError(f"WORLD_SIZE is {size}; it must be at least 1, or not be set")
    if not 0 <= rank < size:
        raise ValueError(
            f"RANK is {rank} with WORLD_SIZE {size}; it must be in 0…{size - 1}: unset it, or "
            "start the processes with torchrun"
        )


def _count(name: str, default: int) -> int:
    """Return a whole number of the environment."""
    text = os.environ.get(name, "").strip()
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError(f"{name} is {shown(text)}; it must be a whole number") from None
