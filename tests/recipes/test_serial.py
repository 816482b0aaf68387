from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrvae.recipes import ALL, Recipe, from_json, recipe, to_json
from mrvae.recipes.schema import (
    Adamax,
    AdamW,
    BoundedScale,
    CategoricalPixels,
    Constant,
    Cosine,
    RawScale,
    SoftplusScale,
    Training,
)
from mrvae.recipes.serial import KINDS

Json = dict[str, Any]


@pytest.mark.parametrize("known", ALL, ids=lambda known: known.name)
def test_reading_inverts_writing_through_text(known: Recipe) -> None:
    text = json.dumps(to_json(known), allow_nan=False)
    assert from_json(json.loads(text)) == known


def test_a_recipe_from_before_a_value_was_there_reads_as_its_default() -> None:
    later = {"cell", "normalise", "fourier", "synchronous", "wavelet"}
    found = to_json(recipe("vdvae-cifar10"))
    model, training = cast("Json", found["model"]), cast("Json", found["training"])
    for key in later:
        del model[key]
    del training["checkpoint"]
    assert from_json(found) == recipe("vdvae-cifar10")
    del model["bottleneck"]
    with pytest.raises(ValueError, match="'bottleneck' is missing"):
        from_json(found)


positive = st.floats(min_value=1e-9, max_value=1e9)
moment = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
optimizers = st.one_of(
    st.builds(AdamW, rate=positive, beta1=moment, beta2=moment, weight_decay=positive),
    st.builds(Adamax, rate=positive, beta1=moment, beta2=moment, weight_decay=positive),
)
trainings = st.builds(
    Training,
    steps=st.integers(1, 10**12),
    batch=st.integers(1, 4096),
    optimizer=optimizers,
    schedule=st.one_of(st.builds(Constant), st.builds(Cosine, final=moment)),
    clip=positive,
    ema=moment,
    bf16=st.booleans(),
    compile=st.booleans(),
)


@given(
    training=trainings,
    levels=st.integers(2, 256),
    width=st.lists(st.integers(1, 512), min_size=1, max_size=8).map(tuple),
    scale=st.one_of(
        st.builds(RawScale),
        st.builds(SoftplusScale, beta=positive),
        st.builds(BoundedScale, beta=positive),
    ),
    about=st.text(),
)
@settings(max_examples=40, deadline=None)
def test_reading_inverts_writing_for_any_values(
    training: Training,
    levels: int,
    width: tuple[int, ...],
    scale: RawScale | SoftplusScale | BoundedScale,
    about: str,
) -> None:
    base = recipe("digits-vdvae")
    model = replace(base.hierarchy, likelihood=CategoricalPixels(levels), width=width, scale=scale)
    changed = replace(base, about=about, model=model, training=training)
    assert from_json(json.loads(json.dumps(to_json(changed)))) == changed


def test_kinds_are_distinct_names() -> None:
    assert len(set(KINDS.values())) == len(KINDS)


def _change(path: str, value: object) -> Callable[[Json], None]:
    def change(tree: Json) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            tree = tree[parent]
        tree[last] = value

    return change


def _remove(path: str) -> Callable[[Json], None]:
    def remove(tree: Json) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            tree = tree[parent]
        del tree[last]

    return remove


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


BROKEN: list[tuple[str, Callable[[Json], None], str]] = [
    ("bool for int", _change("training.steps", True), r"recipe\.training\.steps.*True.*whole"),
    ("float for int", _change("training.steps", 5.0), r"recipe\.training\.steps.*5\.0.*whole"),
    ("text for int", _change("training.steps", "5"), r"recipe\.training\.steps.*'5'.*whole"),
    ("none for int", _change("training.steps", None), r"recipe\.training\.steps.*None.*whole"),
    ("int for bool", _change("data.binary", 1), r"recipe\.data\.binary.*1.*true or false"),
    ("bool for float", _change("training.clip", True), r"recipe\.training\.clip.*finite"),
    ("nan", _change("training.clip", float("nan")), r"recipe\.training\.clip.*nan.*finite"),
    ("inf", _change("training.clip", float("-inf")), r"recipe\.training\.clip.*inf.*finite"),
    ("huge", _change("training.clip", 10**400), r"recipe\.training\.clip.*finite"),
    ("number for text", _change("data.source", 3), r"recipe\.data\.source.*3.*text"),
    ("number for list", _change("model.width", 3), r"recipe\.model\.width.*list"),
    ("bool in list", _change("model.width", [3, True]), r"recipe\.model\.width.*list"),
    ("list for object", _change("model", []), r"recipe\.model: .*object"),
    ("deep", _change("model.width", _nested(50_000)), r"recipe\.model\.width.*list"),
    ("unknown key", _change("data.sauce", "x"), r"recipe\.data: unknown key 'sauce'"),
    ("unknown kind key", _change("model.scale.beta", 1.0), r"recipe\.model\.scale: unknown key"),
    ("unknown kind", _change("model.scale.kind", "cubic"), r"scale\.kind.*'cubic'.*raw, softplus"),
    ("odd kind", _change("model.scale.kind", []), r"scale\.kind.*\[\].*raw, softplus"),
    ("missing kind", _remove("model.scale.kind"), r"recipe\.model\.scale.*'kind' is missing"),
    ("missing key", _remove("data.bits"), r"recipe\.data: the key 'bits' is missing"),
    ("missing group", _remove("training"), r"recipe: the key 'training' is missing"),
    ("range", _change("data.bits", 9), r"recipe\.data: bits is 9"),
    ("together", _change("data.binary", True), r"recipe: binary images"),
]


@pytest.mark.parametrize(("change", "message"), [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_what_is_not_a_recipe_is_refused_by_place(
    change: Callable[[Json], None], message: str
) -> None:
    tree: Json = copy.deepcopy(to_json(recipe("digits-vdvae")))
    change(tree)
    with pytest.raises(ValueError, match=message) as caught:
        from_json(tree)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [None, 3, "recipe", [], _nested(50_000)], ids=str.__class__)
def test_what_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"recipe: found .*expected an object"):
        from_json(value)


def test_every_key_is_needed() -> None:
    tree = to_json(recipe("digits-vdvae"))
    for key in tree:
        with pytest.raises(ValueError, match=f"the key '{key}' is missing"):
            from_json({name: value for name, value in tree.items() if name != key})
