"""Checks of values that several commands share; each refuses a value before any work is done."""

from __future__ import annotations

import math
from pathlib import Path

from mrvae.files import writable


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


def check_folder(path: Path) -> None:
    """Refuse a folder to write to whose name is that of a file."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out is {path}, which is a file; name a folder")
