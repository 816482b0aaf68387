"""A recipe as JSON, and back: the two are inverse to each other.

The mapping follows the types of the fields. A dataclass becomes an object with one key per field,
a tuple becomes a list, and where a field is a union of dataclasses the object carries one more
key, ``kind``, taken from a closed table of names. Reading is strict, because a recipe decides a
run: a key that is missing, unknown or of another type is refused with the place where it stands,
rather than filled in or ignored. Only a value that the schema marks as having come ``LATER`` may be
missing, so that a run that was made before can be read; and the hierarchy of blocks, which was once
the only kind of model, is written and read without a ``kind``. Only what the types foresee is
descended into, so that no input, however deep, takes more than the schema's own depth.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from reprlib import repr as short
from typing import TypeGuard

from mrvae.recipes import context, context_only, cut, schema, validation, wavelet
from mrvae.recipes.schema import Recipe

KINDS: Mapping[type, str] = types.MappingProxyType(
    {
        schema.BernoulliPixels: "bernoulli",
        schema.CategoricalPixels: "categorical",
        schema.LogisticMixturePixels: "logistic_mixture",
        schema.RawScale: "raw",
        schema.SoftplusScale: "softplus",
        schema.BoundedScale: "bounded",
        schema.VDVAE: "vdvae",
        schema.NVAE: "nvae",
        schema.Markov: "markov",
        schema.Plain: "plain",
        schema.TopDown: "top_down",
        cut.Whole: "whole",
        cut.Patches: "patches",
        schema.AdamW: "adamw",
        schema.Adamax: "adamax",
        schema.Constant: "constant",
        schema.Cosine: "cosine",
        schema.Model: "",
        context.NoContext: "none",
        context.DCT: "dct",
        context.Pooled: "pooled",
        context.WaveletTop: "wavelet",
        context.MidRise: "mid_rise",
        context.MidTread: "mid_tread",
        context.Normal: "normal",
        context.Autoregressive: "autoregressive",
        context.Diffusion: "diffusion",
        context.LinearNoise: "linear_noise",
        context.CosineNoise: "cosine_noise",
        context.PredictMean: "mean",
        context.PredictStart: "start",
        context.PredictNoise: "noise",
        context_only.ContextOnly: "context_alone",
        wavelet.WaveletVAE: "wavelet_vae",
        wavelet.VAE: "vae",
        wavelet.LogisticImage: "logistic_around",
        wavelet.GaussianImage: "gaussian_around",
        wavelet.Squared: "squared",
        wavelet.CrossEntropy: "cross_entropy",
        wavelet.Bound: "bound",
        wavelet.Weighted: "weighted",
        wavelet.Sparse: "sparse",
        wavelet.Transform: "transform",
        wavelet.Pyramid: "pyramid",
        wavelet.GlobalNoise: "global",
        wavelet.NoisePerKind: "kind",
        wavelet.NoisePerLevel: "level",
        wavelet.NoisePerCoefficient: "coefficient",
        wavelet.NoiseFromImage: "image",
        wavelet.Laplace: "laplace",
        wavelet.Logistic: "logistic",
        wavelet.Gaussian: "gaussian",
        wavelet.StandardNormal: "standard_normal",
        wavelet.Independent: "independent",
        wavelet.CoarseToFine: "coarse_to_fine",
        wavelet.Couplings: "couplings",
        wavelet.NoRefinement: "unrefined",
        wavelet.Refine: "unet",
    }
)
"""The name by which JSON and the command line call each member of a union; "" is not written."""

EXPECTED: Mapping[object, str] = types.MappingProxyType(
    {
        int: "a whole number",
        float: "a finite number",
        bool: "true or false",
        str: "a text",
        tuple[int, ...]: "a list of whole numbers",
        tuple[float, ...]: "a list of numbers",
    }
)
"""What each type of a field is called in a message."""


def to_json(recipe: Recipe) -> dict[str, object]:
    """Return the recipe as values that JSON can hold.

    Example:
        >>> from mrvae.recipes import recipe
        >>> to_json(recipe("digits-vdvae"))["model"]["likelihood"]
        {'kind': 'categorical', 'levels': 17}

    """
    written = write(Recipe, recipe)
    return typing.cast("dict[str, object]", written)


def from_json(value: object) -> Recipe:
    """Return the recipe that ``value``, as read from JSON, describes.

    Raises:
        ValueError: if a key is missing or unknown, or a value has the wrong type or range; the
            message gives its dotted path, what was found and what was expected.

    Example:
        >>> from mrvae.recipes import recipe
        >>> from_json(to_json(recipe("mnist-vdvae"))) == recipe("mnist-vdvae")
        True

    """
    return typing.cast("Recipe", _read(Recipe, value, "recipe"))


@cache
def _later(cls: type) -> frozenset[str]:
    """Return the fields that older recipes do not have."""
    every = dataclasses.fields(cls)
    return frozenset(field.name for field in every if field.metadata == validation.LATER)


@cache
def hints(cls: type) -> dict[str, object]:
    """Return the type of each field of a dataclass, by name."""
    return dict(typing.get_type_hints(cls))


def members(hint: object) -> dict[str, type]:
    """Return the dataclasses of a union by their kind; nothing if ``hint`` is no union."""
    if not isinstance(hint, types.UnionType):
        return {}
    return {KINDS[member]: member for member in typing.get_args(hint)}


def write(hint: object, value: object) -> object:
    """Turn a value of a field of type ``hint`` into JSON's values."""
    if isinstance(value, tuple):
        return list(value)
    if not is_dataclass(value):
        return value
    cls: type = type(value)
    kind = {"kind": KINDS[cls]} if members(hint) and KINDS[cls] else {}
    return kind | {name: write(sub, getattr(value, name)) for name, sub in hints(cls).items()}


def _read(hint: object, value: object, path: str) -> object:
    """Turn JSON's value into one of type ``hint``."""
    union = members(hint)
    if union:
        return _read_union(union, value, path)
    if isinstance(hint, type) and is_dataclass(hint):
        return _read_fields(hint, _object(value, path), path)
    return _read_plain(hint, value, path)


def _read_union(union: dict[str, type], value: object, path: str) -> object:
    """Read the member of a union that the object's ``kind`` names."""
    found, names = dict(_object(value, path)), ", ".join(name for name in union if name)
    if "kind" not in found and "" not in union:
        raise ValueError(f"{path}: the key 'kind' is missing; give one of {names}")
    kind = found.pop("kind", "")
    if not isinstance(kind, str) or kind not in union:
        raise ValueError(f"{path}.kind: found {short(kind)}, expected one of {names}")
    return _read_fields(union[kind], found, path)


def _read_fields(cls: type, value: dict[str, object], path: str) -> object:
    """Read a dataclass whose fields are exactly the keys of the object."""
    wanted = hints(cls)
    unknown, missing = value.keys() - wanted.keys(), wanted.keys() - value.keys() - _later(cls)
    if unknown:
        known = ", ".join(wanted) or "none"
        raise ValueError(f"{path}: unknown key {short(min(unknown))}; the keys are: {known}")
    if missing:
        raise ValueError(f"{path}: the key {min(missing)!r} is missing")
    fields = {name: _read(wanted[name], found, f"{path}.{name}") for name, found in value.items()}
    try:
        return cls(**fields)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _object(value: object, path: str) -> dict[str, object]:
    """Return the value if it is a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{path}: found {short(value)}, expected an object")
    return value


def _read_plain(hint: object, value: object, path: str) -> object:
    """Read a number, a text, a truth value or a list of numbers."""
    if hint is float and _number(value):
        return float(value)
    if (hint is int and _whole(value)) or (hint in (bool, str) and type(value) is hint):
        return value
    if hint == tuple[int, ...] and isinstance(value, list) and all(map(_whole, value)):
        return tuple(value)
    if hint == tuple[float, ...] and isinstance(value, list) and all(map(_number, value)):
        return tuple(map(float, value))
    raise ValueError(f"{path}: found {short(value)}, expected {EXPECTED[hint]}")


def _whole(value: object) -> TypeGuard[int]:
    """Tell whether a value is an integer; to Python a truth value is one, to us it is not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number that a float can hold; infinity and NaN are not."""
    return (isinstance(value, float) or _whole(value)) and abs(value) <= sys.float_info.max
