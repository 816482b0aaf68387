from __future__ import annotations

from dataclasses import replace

import pytest

from mrvae.recipes import ALL, Recipe, override, recipe
from mrvae.recipes.overrides import resolve
from mrvae.recipes.schema import Adamax, CategoricalPixels, Cosine, LogisticMixturePixels, Model

DIGITS = recipe("digits-vdvae")


@pytest.mark.parametrize("known", ALL, ids=lambda known: known.name)
def test_assigning_what_is_there_changes_nothing(known: Recipe) -> None:
    same = [
        f"training.steps={known.training.steps}",
        f"model.size={known.model.size}",
        f"data={known.data.source}",
        f"clip={known.training.clip}",
        f"binary={known.data.binary}",
    ]
    if isinstance(known.model, Model):
        same.append(f"model.width={','.join(map(str, known.model.width))}")
    assert override(known, same) == known


def test_each_type_is_read_and_nothing_else_changes() -> None:
    changed = override(
        DIGITS,
        ["training.steps=100", "rate=1e-3", "bf16=true", "data=a=b.npz", "schedule=constant"],
    )
    training = replace(
        DIGITS.training,
        steps=100,
        bf16=True,
        optimizer=replace(DIGITS.training.optimizer, rate=1e-3),
        schedule=changed.training.schedule,
    )
    assert changed == replace(
        DIGITS, data=replace(DIGITS.data, source="a=b.npz"), training=training
    )
    assert type(changed.training.schedule).__name__ == "Constant"


def test_lists_are_read_and_counts_are_forgotten() -> None:
    changed = override(DIGITS, ["model.width=64,64,32", "latent=8"])
    assert (changed.hierarchy.width, changed.hierarchy.latent) == ((64, 64, 32), (8,))
    assert (changed.parameters, changed.depth) == (0, 0)


def test_counts_stay_while_the_model_stays() -> None:
    changed = override(DIGITS, ["batch=32", "model.size=8"])
    assert (changed.parameters, changed.depth) == (DIGITS.parameters, DIGITS.depth)


def test_a_kind_starts_from_its_own_values_but_keeps_the_images_levels() -> None:
    assert override(DIGITS, ["likelihood=logistic_mixture"]).model.likelihood == (
        LogisticMixturePixels(levels=17)
    )
    assert override(DIGITS, ["likelihood=categorical", "levels=32"]).model.likelihood == (
        CategoricalPixels(32)
    )
    assert override(DIGITS, ["training.optimizer=adamax"]).training.optimizer == Adamax()
    assert override(DIGITS, ["schedule=cosine", "final=0.5"]).training.schedule == Cosine(0.5)


def test_values_that_only_go_together_can_be_given_in_either_order() -> None:
    pair = ["batch=63", "accumulate=3"]
    assert override(DIGITS, pair) == override(DIGITS, pair[::-1])
    binary = ["binary=true", "likelihood=bernoulli"]
    assert override(DIGITS, binary) == override(DIGITS, binary[::-1])


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("steps", "cannot read 'steps'; write key=value"),
        ("=3", "cannot read '=3'"),
        ("stpes=3", "no value 'stpes'.*did you mean training.steps"),
        ("training.stpes=3", "did you mean training.steps"),
        ("zzzz=3", "no value 'zzzz'.*the keys are: data.source, "),
        ("name=other", "no value 'name'"),
        ("about=other", "no value 'about'"),
        ("parameters=3", "no value 'parameters'"),
        ("depth=3", "no value 'depth'"),
        ("kind=adamax", "no value 'kind'"),
        ("model=3", "no value 'model'"),
        ("steps=many", "training.steps=many: expected a whole number, found 'many'"),
        ("steps=1.5", "training.steps=1.5: expected a whole number"),
        ("steps=", "training.steps=: expected a whole number"),
        ("steps=-5", "training: steps is -5; it must be positive.*after steps=-5"),
        ("steps=" + "9" * 5000, "expected a whole number"),
        ("clip=big", "training.clip=big: expected a finite number, found 'big'"),
        ("clip=nan", "training.clip: found nan, expected a finite number"),
        ("clip=inf", "training.clip: found inf, expected a finite number"),
        ("bf16=maybe", "training.bf16=maybe: expected true or false, found 'maybe'"),
        ("bf16=1", "expected true or false"),
        ("width=64,,32", "model.width=64,,32: expected whole numbers, like 64,64,32"),
        ("width=", "expected whole numbers"),
        ("width=64,0", "model: width is"),
        ("likelihood=bernouli", "expected one of bernoulli, categorical, logistic_mixture"),
        ("data=", "source is empty"),
        ("binary=true", "binary images need a likelihood of 2 levels, not 17.*after binary=true"),
    ],
)
def test_a_wrong_assignment_is_refused_by_name(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        override(DIGITS, [assignment])


def test_a_tail_that_fits_several_paths_is_refused_with_all_of_them() -> None:
    paths = ["model.input.mean", "data.mean", "data.meaning"]
    with pytest.raises(ValueError, match=r"'mean' could be any of model\.input\.mean, data\.mean;"):
        resolve("mean", paths)
    assert resolve("input.mean", paths) == "model.input.mean"


def test_a_tail_is_whole_words() -> None:
    with pytest.raises(ValueError, match="no value 'ps'"):
        override(DIGITS, ["ps=3"])
