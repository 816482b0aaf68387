from __future__ import annotations

import copy
import json
import math
import re
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from helpers.members import for_all
from mrvae.recipes import ALL, Recipe, from_json, override, recipe, to_json
from mrvae.recipes.optimizers import Adamax, AdamW, Muon
from mrvae.recipes.schema import (
    BoundedScaleSpec,
    CategoricalPixels,
    Constant,
    Cosine,
    RawScaleSpec,
    SoftplusScaleSpec,
    Training,
)
from mrvae.recipes.serial import ADDED, parse, without_added

Json = dict[str, Any]


@for_all("known", ALL)
def test_reading_inverts_writing_through_text(known: Recipe) -> None:
    text = json.dumps(to_json(known), allow_nan=False)
    assert from_json(json.loads(text)) == known


positive = st.floats(min_value=1e-9, max_value=1e9)
moment = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
optimizers = st.one_of(
    st.builds(AdamW, rate=positive, beta1=moment, beta2=moment, weight_decay=positive),
    st.builds(Adamax, rate=positive, beta1=moment, beta2=moment, weight_decay=positive),
    st.builds(Muon, rate=positive, momentum=moment, beta1=moment, adamw_share=moment),
)
trainings = st.builds(
    Training,
    steps=st.integers(1, 10**12),
    batch=st.integers(1, 4096),
    optimizer=optimizers,
    schedule=st.one_of(st.builds(Constant), st.builds(Cosine, final=moment)),
    clip=positive,
    ema=moment,
    precision=st.sampled_from(["auto", "float32", "bfloat16"]),
    compile=st.booleans(),
)


@given(
    training=trainings,
    bins=st.integers(2, 256),
    width=st.lists(st.integers(1, 512), min_size=1, max_size=8).map(tuple),
    scale=st.one_of(
        st.builds(RawScaleSpec),
        st.builds(SoftplusScaleSpec, beta=positive),
        st.builds(BoundedScaleSpec, beta=positive),
    ),
    about=st.text(),
)
@settings(max_examples=40, deadline=None)
def test_reading_inverts_writing_for_any_values(
    training: Training,
    bins: int,
    width: tuple[int, ...],
    scale: RawScaleSpec | SoftplusScaleSpec | BoundedScaleSpec,
    about: str,
) -> None:
    base = recipe("digits-vdvae")
    model = replace(base.hierarchy, likelihood=CategoricalPixels(bins), width=width, scale=scale)
    changed = replace(base, about=about, model=model, training=training)
    assert from_json(json.loads(json.dumps(to_json(changed)))) == changed


def test_a_choice_is_an_object_with_its_kind_first() -> None:
    model = cast("Json", to_json(recipe("digits-vdvae"))["model"])
    assert next(iter(model.items())) == ("kind", "hierarchy")
    assert json.dumps(model["likelihood"]) == '{"kind": "categorical", "bins": 17}'
    assert json.dumps(model["width"]) == "[48]"


def _put(path: str, value: object) -> Json:
    """Return a recipe's tree with one value put in."""
    tree: Json = to_json(recipe("digits-vdvae"))
    *parents, last = path.split(".")
    below = tree
    for parent in parents:
        below = below[parent]
    below[last] = value
    return tree


def _paths(value: Json, prefix: str = "") -> list[str]:
    return [prefix + key for key in value] + [
        path
        for key, below in value.items()
        if isinstance(below, dict)
        for path in _paths(below, f"{prefix}{key}.")
    ]


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


WHOLE, FINITE = "expected a whole number", "expected a finite number"
STEPS, CLIP, WIDTH = r"recipe\.training\.steps", r"recipe\.training\.clip", r"recipe\.model\.width"
SCALES = "expected one of raw, softplus, bounded"

BROKEN: list[tuple[str, str, object, str]] = [
    ("bool for int", "training.steps", True, f"{STEPS}: found True, {WHOLE}"),
    ("float for int", "training.steps", 5.5, rf"{STEPS}: found 5\.5, {WHOLE}"),
    ("whole float for int", "training.steps", 5.0, rf"{STEPS}: found 5\.0, {WHOLE}"),
    ("text for int", "training.steps", "5", f"{STEPS}: found '5', {WHOLE}"),
    ("none for int", "training.steps", None, f"{STEPS}: found None, {WHOLE}"),
    ("huge int", "training.steps", 10**4000, "recipe.training: steps is an integer of 13288 bits"),
    ("larger int", "model.bias_up_to", 10**4999, "recipe.model: bias_up_to is an integer of"),
    ("huge count", "parameters", 10**4000, "recipe: parameters is an integer of 13288 bits"),
    ("int for bool", "data.binary", 1, r"recipe\.data\.binary: found 1, expected true or false"),
    ("bool for float", "training.clip", True, f"{CLIP}: found True, {FINITE}"),
    ("text for float", "training.clip", "5.0", rf"{CLIP}: found '5\.0', {FINITE}"),
    ("nan", "model.input.mean", math.nan, r"recipe\.model\.input: mean is nan; it must"),
    ("inf", "model.input.mean", math.inf, r"recipe\.model\.input: mean is inf; it must"),
    ("negative inf", "training.clip", -math.inf, r"recipe\.training: clip is -inf"),
    ("huge", "training.clip", 10**400, f"{CLIP}: found an integer of 1329 bits, {FINITE}"),
    ("number for text", "data.source", 3, r"recipe\.data\.source: found 3, expected a text"),
    ("number for list", "model.width", 3, f"{WIDTH}: found 3, expected a list"),
    ("bool in list", "model.width", [3, True], rf"{WIDTH}\[1\]: found True, {WHOLE}"),
    ("huge in list", "model.width", [10**4000], r"recipe\.model: width is"),
    ("list for object", "model", [], r"recipe\.model: found \[\], expected an object"),
    ("deep", "model.width", _nested(100_000), rf"{WIDTH}\[0\]: found \[.*\.\.\..*\], {WHOLE}"),
    ("long", "training.steps", "9" * 900_000, rf"{STEPS}: found '9+\.\.\.9+', {WHOLE}"),
    ("control", "training.steps", "\x1b[2J\n", rf"{STEPS}: found '\\x1b\[2J\\n', {WHOLE}"),
    ("unknown key", "data.sauce", "x", r"recipe\.data: unknown key 'sauce'; did you mean source"),
    ("far key", "data.zzz", "x", "unknown key 'zzz'; the keys are: source, binary, bits, fit, cut"),
    ("long key", "data." + "k" * 900_000, "x", r"recipe\.data: unknown key 'k+\.\.\.k+'"),
    ("odd key", "data.\x1b`\n", "x", r"recipe\.data: unknown key '\\x1b`\\n'"),
    ("place as key", "a` - at `$", "x", r"recipe: unknown key 'a` - at `\$'"),
    ("foreign kind", "training.kind", "x", r"recipe\.training: unknown key 'kind'"),
    ("unknown kind key", "model.scale.beta", 1.0, r"recipe\.model\.scale: unknown key 'beta'"),
    ("unknown kind", "model.scale.kind", "cubic", rf"scale\.kind: found 'cubic', {SCALES}"),
    ("odd kind", "model.scale.kind", [], rf"scale\.kind: found \[\], {SCALES}"),
    ("long kind", "model.scale.kind", "k" * 900_000, rf"kind: found 'k+\.\.\.k+', {SCALES}"),
    ("no Unicode", "model.scale.kind", "\ud800", r"recipe: found '\\ud800', expected Unicode text"),
    ("range", "data.bits", 9, r"recipe\.data: bits is 9; it must be in 1…8"),
    ("together", "data.binary", True, "recipe: binary images"),
]


@for_all(("path", "value", "message"), [b[1:] for b in BROKEN])
def test_what_is_not_a_recipe_is_refused_by_place(path: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        from_json(_put(path, value))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@for_all("value", [None, 3, "recipe", [], _nested(100_000)])
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"recipe: found .*expected an object"):
        from_json(value)


def test_every_key_is_needed_but_those_that_came_later() -> None:
    for path in _paths(to_json(recipe("digits-vdvae"))):
        tree: Json = to_json(recipe("digits-vdvae"))
        *parents, last = path.split(".")
        below = tree
        for parent in parents:
            below = below[parent]
        del below[last]
        place = ".".join(["recipe", *parents])
        if f"{place}.{last}" in ADDED:
            assert from_json(tree) == recipe("digits-vdvae")
            continue
        with pytest.raises(ValueError, match=rf"^{re.escape(place)}: the key '{last}' is missing"):
            from_json(tree)


def test_an_old_recipe_and_a_new_one_of_the_same_values_are_written_alike() -> None:
    digits = recipe("digits-vdvae")
    old = without_added(digits)
    assert from_json(old) == digits
    assert {f"recipe.{path}" for path in {*_paths(to_json(digits))} - {*_paths(old)}} >= set(ADDED)
    changed = override(digits, ["data.pad=true"])
    assert from_json(without_added(changed)) == changed


def test_a_whole_number_will_do_for_any_number() -> None:
    clip = from_json(_put("training.clip", 5)).training.clip
    assert (clip, type(clip)) == (5.0, float)


@for_all(
    ("text", "message"),
    [
        ('{"recipe": {"name": "a", "name": "b"}}', "the key 'name' is there twice"),
        ('{"k": 1, "k": 2}'.replace("k", "k" * 4000), r"the key 'k+\.\.\.k+' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)
    assert len(str(caught.value)) < 100


def test_a_struct_can_be_matched_hashed_and_not_changed() -> None:
    known = recipe("digits-vdvae")
    match known.model.likelihood:
        case CategoricalPixels(bins):
            assert bins == 17
        case _:
            pytest.fail("the digits are categorical")
    assert hash(known) == hash(copy.deepcopy(known))
    with pytest.raises(AttributeError):
        known.name = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="bins is 1; it must be in 2…256"):
        replace(CategoricalPixels(), bins=1)
