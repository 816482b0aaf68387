"""What is written after a recipe's name makes the same recipe again."""

from __future__ import annotations

import mrvae
from helpers.members import for_all
from mrvae.recipes import ALL, Recipe, override
from mrvae.recipes.overrides import assignments

CHANGES = [
    [],
    ["training.steps=7", "training.optimizer.rate=0.001", "training.compile=true"],
    ["training.schedule=constant", "training.optimizer=adamax", "training.optimizer.beta1=0.5"],
    ["data=my folder/x.npz", "training.ema=0"],
]


@for_all("changes", CHANGES)
def test_assignments_are_the_inverse_of_override(changes: list[str]) -> None:
    base = mrvae.recipe("digits-vdvae")
    changed = override(base, changes)
    found = assignments(base, changed)
    assert found is not None
    assert override(base, found) == changed
    assert (found == []) == (changes == [])


@for_all("known", ALL)
def test_a_recipe_differs_from_itself_in_nothing(known: Recipe) -> None:
    assert assignments(known, known) == []


def test_what_no_assignment_makes_is_none() -> None:
    assert assignments(mrvae.recipe("digits-vdvae"), mrvae.recipe("kodak-context")) is None
