"""Every recipe as data: what is trained, on what, and how, without importing torch.

A recipe is a frozen struct (:mod:`~mrvae.recipes.schema`), reads and writes itself as JSON
(:mod:`~mrvae.recipes.serial`) and is changed by ``key=value`` (:mod:`~mrvae.recipes.overrides`).
"""

from __future__ import annotations

from mrvae.recipes.catalogue.cifar_small import CIFAR_SMALL
from mrvae.recipes.catalogue.falck2022 import FALCK2022
from mrvae.recipes.catalogue.kiruluta2025 import KIRULUTA2025
from mrvae.recipes.catalogue.kodak import KODAK
from mrvae.recipes.catalogue.kuzina2023 import KUZINA2023
from mrvae.recipes.catalogue.published import PUBLISHED
from mrvae.recipes.catalogue.signals import SIGNALS
from mrvae.recipes.catalogue.small import SMALL
from mrvae.recipes.overrides import override
from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import from_json, to_json
from mrvae.recipes.validation import shown
from mrvae.suggestions import did_you_mean

__all__ = ["ALL", "Recipe", "from_json", "override", "recipe", "to_json"]

ALL: tuple[Recipe, ...] = (
    *SMALL,
    *SIGNALS,
    *FALCK2022,
    *KUZINA2023,
    *CIFAR_SMALL,
    *KODAK,
    *KIRULUTA2025,
    *PUBLISHED,
)


def recipe(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises:
        ValueError: if there is none; near names are given.

    Example:
        >>> recipe("vdvae-cifar10").parameters
        39145700

    """
    for known in ALL:
        if known.name == name:
            return known
    near = did_you_mean(name, [known.name for known in ALL], 3, "") or "`mrvae recipes` lists them"
    raise ValueError(f"there is no recipe {shown(name)}; {near}")
