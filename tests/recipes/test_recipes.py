"""The recipes: their names, their published counts, and what they say of themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.members import for_all
from mrvae.recipes import ALL, Recipe, recipe
from mrvae.recipes.data import NoSignal

PUBLISHED = {
    "vdvae-cifar10": (39_145_700, 43),
    "vdvae-imagenet32": (119_280_868, 78),
    "vdvae-imagenet64": (125_005_860, 75),
    "vdvae-ffhq256": (114_874_852, 66),
    "falck2022-mnist-x1": (106_689, 9),
    "kuzina2023-mnist-vdvae": (656_617, 8),
    "kuzina2023-omniglot-vdvae": (656_617, 8),
    "kuzina2023-cifar10-vdvae": (21_400_322, 29),
}


@for_all("name", PUBLISHED)
def test_the_published_counts_are_stored(name: str) -> None:
    assert (recipe(name).parameters, recipe(name).depth) == PUBLISHED[name]


def test_names_are_distinct() -> None:
    assert len({known.name for known in ALL}) == len(ALL)


@for_all("known", ALL)
def test_a_recipe_is_found_by_its_name(known: Recipe) -> None:
    assert recipe(known.name) is known


@for_all("known", ALL)
def test_a_recipe_is_described_in_single_lines(known: Recipe) -> None:
    for text in (known.about, known.paper, known.row, known.budget):
        assert text.strip() == text != ""
        assert "\n" not in text


@for_all("known", ALL)
def test_the_bins_of_a_pixel_are_those_its_bits_leave(known: Recipe) -> None:
    likelihood = known.model.likelihood
    pictures = isinstance(known.data.signal, NoSignal)
    if known.data.source != "digits" and not known.data.binary and pictures:
        assert likelihood.bins == 2**known.data.bits


@for_all(
    ("name", "message"),
    [
        ("digit-vdvae", "no recipe 'digit-vdvae'; did you mean digits-vdvae or [^,]* or [^,]*[?]$"),
        ("zzz", "no recipe 'zzz'; `mrvae recipes` lists them$"),
        ("9" * 900_000, r"no recipe '9+\.\.\.9+'; `mrvae recipes` lists them$"),
        ("\x1b[2J\n", r"no recipe '\\x1b\[2J\\n'; `mrvae recipes` lists them$"),
    ],
)
def test_an_unknown_name_is_refused_with_at_most_three_near_ones(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        recipe(name)
    assert len(str(caught.value)) < 200


def test_the_room_needs_neither_torch_nor_numpy() -> None:
    program = (
        "import sys, mrvae.recipes;"
        "print([name for name in ('torch', 'numpy', 'mrvae.models') if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
