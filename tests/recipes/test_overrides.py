from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.members import for_all
from mrvae.recipes import ALL, Recipe, from_json, override, recipe, to_json
from mrvae.recipes.optimizers import Adamax
from mrvae.recipes.overrides import resolve
from mrvae.recipes.schema import CategoricalPixels, Constant, Cosine, LogisticMixturePixels, Model
from mrvae.sizes import size_text

DIGITS = recipe("digits-vdvae")


@for_all("known", ALL)
def test_assigning_what_is_there_changes_nothing(known: Recipe) -> None:
    same = [
        f"training.steps={known.training.steps}",
        f"model.size={size_text(known.model.size)}",
        f"data={known.data.source}",
        f"clip={known.training.clip}",
        f"binary={known.data.binary}",
    ]
    if isinstance(known.model, Model):
        same.append(f"model.width={','.join(map(str, known.model.width))}")
    assert override(known, same) == known


def test_each_type_is_read_and_nothing_else_changes() -> None:
    assignments = [
        "training.steps=1e2",
        "rate=1e-3",
        "precision=bfloat16",
        "data=a=b.npz",
        "schedule=constant",
        "model.width=64,64,32",
        "latent=8",
    ]
    training = replace(
        DIGITS.training,
        steps=100,
        precision="bfloat16",
        optimizer=replace(DIGITS.training.optimizer, rate=1e-3),
        schedule=Constant(),
    )
    assert override(DIGITS, assignments) == replace(
        DIGITS,
        data=replace(DIGITS.data, source="a=b.npz"),
        model=replace(DIGITS.hierarchy, width=(64, 64, 32), latent=(8,)),
        training=training,
        parameters=0,
        depth=0,
    )


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_a_number_is_read_to_its_last_bit(clip: float) -> None:
    assert override(DIGITS, [f"clip={clip!r}"]).training.clip == clip


def test_counts_stay_while_the_model_stays() -> None:
    changed = override(DIGITS, ["batch=32", "model.size=8"])
    assert (changed.parameters, changed.depth) == (DIGITS.parameters, DIGITS.depth)


def test_a_kind_starts_from_its_own_values_but_keeps_the_images_bins() -> None:
    assert override(DIGITS, ["likelihood=logistic_mixture"]).model.likelihood == (
        LogisticMixturePixels(bins=17)
    )
    assert override(DIGITS, ["likelihood=categorical", "bins=32"]).model.likelihood == (
        CategoricalPixels(32)
    )
    assert override(DIGITS, ["training.optimizer=adamax"]).training.optimizer == Adamax()
    assert override(DIGITS, ["schedule=cosine", "final=0.5"]).training.schedule == Cosine(0.5)


@for_all("pair", [["batch=63", "accumulate=3"], ["binary=true", "likelihood=bernoulli"]])
def test_values_that_only_go_together_can_be_given_in_either_order(pair: list[str]) -> None:
    assert override(DIGITS, pair) == override(DIGITS, pair[::-1]) != DIGITS


WRONG = [
    ("steps", "cannot read 'steps'; write key=value"),
    ("=3", "cannot read '=3'"),
    ("stpes=3", "no value 'stpes'.*did you mean steps"),
    ("training.stpes=3", "did you mean training.steps"),
    ("zzzz=3", "no value 'zzzz'.*the keys are: data.source, "),
    ("ps=3", "no value 'ps'"),
    ("name=other", "no value 'name'"),
    ("about=other", "no value 'about'"),
    ("parameters=3", "no value 'parameters'"),
    ("depth=3", "no value 'depth'"),
    ("kind=adamax", "no value 'kind'"),
    ("model=3", "no value 'model'"),
    ("\x1b[2J\n=3", r"no value '\\x1b\[2J\\n'"),
    ("k" * 900_000 + "=3", r"no value 'k+\.\.\.k+'"),
    ("steps=many", "training.steps: found 'many', expected a whole number .after 'steps=many'"),
    ("steps=1.5", "training.steps: found '1.5', expected a whole number"),
    ("steps=", "training.steps: found '', expected a whole number"),
    ("steps=-5", "training: steps is -5; it must be positive .after 'steps=-5'"),
    (
        "steps=" + "9" * 4000,
        r"steps is an integer of 13288 bits; .*after 'steps=9+\.\.\.",
    ),
    ("steps=" + "9" * 900_000, r"training.steps: found '9+\.\.\.9+', expected a whole number"),
    ("steps=\udcff", r"found '\\udcff', expected Unicode text .after 'steps=\\udcff'"),
    ("clip=big", "training.clip: found 'big', expected a finite number"),
    ("clip=nan", "training: clip is nan"),
    ("mean=nan", "model.input: mean is nan; it must be in "),
    ("mean=inf", "model.input: mean is inf; it must be in "),
    ("mean=1e999", "model.input.mean: found '1e999', expected a finite number"),
    (
        "precision=maybe",
        "training.precision: found 'maybe', expected one of auto, float32, bfloat16",
    ),
    ("compile=1", "training.compile: found '1', expected true or false"),
    ("width=64,,32", r"width\[1\]: found '', expected a whole number; separate values by commas"),
    ("width=", r"model.width\[0\]: found '', expected a whole number"),
    ("width=64,0", r"model: width is \(64, 0\)"),
    ("likelihood=bernouli", "found 'bernouli', expected one of bernoulli, categorical, logistic_"),
    ("data=", "source is empty"),
    ("binary=true", "binary images need a likelihood of 2 bins, not 17.*after 'binary=true'"),
]


@for_all(("assignment", "message"), WRONG)
def test_a_wrong_assignment_is_refused_by_name(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        override(DIGITS, [assignment])
    assert len(str(caught.value)) < 2000
    assert "\n" not in str(caught.value)


def test_a_tail_that_fits_several_paths_is_refused_with_all_of_them() -> None:
    paths = ["model.input.mean", "data.mean", "data.meaning"]
    with pytest.raises(ValueError, match=r"'mean' could be any of model\.input\.mean, data\.mean;"):
        resolve("mean", paths)
    assert resolve("input.mean", paths) == "model.input.mean"


def test_every_real_number_has_bounds_and_not_a_number_is_in_none() -> None:
    wavelet = to_json(recipe("kiruluta2025-cifar10-32-wavelet"))
    bounded = to_json(override(DIGITS, ["scale=bounded", "context=dct", "quantiser=mid_tread"]))
    seen = 0
    for tree in (wavelet, bounded):
        for above, name in _reals(tree):
            kept = above[name]
            for wrong in (math.nan, math.inf, -math.inf, 1e300, -1e300, "1e300", "nan"):
                above[name] = wrong
                with pytest.raises(ValueError, match=name):
                    from_json(tree, strict=False)
            above[name] = kept
            seen += 1
        from_json(tree)
    assert seen > 20


def _reals(tree: dict[str, object]) -> Iterator[tuple[dict[str, object], str]]:
    for name, value in tree.items():
        if isinstance(value, float):
            yield tree, name
        if isinstance(value, dict):
            yield from _reals(value)
