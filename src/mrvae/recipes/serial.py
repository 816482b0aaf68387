"""A recipe as JSON, and back: the two are inverse to each other.

msgspec reads and writes by the types of the fields. Reading is strict, because a recipe decides a
run: every key has to be there, and one that is unknown, or a value of another type, is refused
with its place. The keys in ``ADDED`` came later: in a recipe that was written before, a missing one
has its default, with which the run is what it was.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from collections.abc import Mapping

import msgspec

from mrvae.recipes.schema import Recipe
from mrvae.recipes.validation import Spec, require, shown
from mrvae.suggestions import did_you_mean

_EXPECTED: Mapping[str, str] = types.MappingProxyType(
    {
        "Expected `int | array`": "a whole number, or two for a rectangle",
        "Expected `array` of length 2": "a whole number, or two for a rectangle",
        "Expected `int`": "a whole number",
        "Integer value out of range": "a whole number of fewer digits",
        "Expected `float`": "a finite number",
        "Number out of range": "a finite number",
        "Expected `bool`": "true or false",
        "Expected `str`": "a text",
        "Expected `array`": "a list of numbers",
        "Expected `object`": "an object",
    }
)
"""How a message of msgspec about a value begins, and what is expected in its place."""

ADDED = frozenset(
    f"recipe.data.{name}" for name in ("mode", "alpha", "pad", "skip_unreadable", "signal")
)
"""Keys that recipes of older versions lack, and whose defaults change nothing."""

_MISSING = "Object missing required field `"
_UNKNOWN = "Object contains unknown field `"

Tree = dict[str, object]


class _Root(Spec, frozen=True):
    """Above the recipe, so that every message of msgspec has a place."""

    recipe: Recipe


def to_json(spec: Spec) -> Tree:
    """Return a recipe, or a part of one, as values that JSON can hold.

    Example:
        >>> from mrvae.recipes import recipe
        >>> to_json(recipe("digits-vdvae"))["model"]["likelihood"]
        {'kind': 'categorical', 'bins': 17}

    """
    # msgspec keeps tuples, where JSON has lists.
    return typing.cast("Tree", json.loads(json.dumps(msgspec.to_builtins(spec))))


def without_added(recipe: Recipe) -> Tree:
    """Return a recipe as JSON, without the keys in ``ADDED`` that have their defaults.

    It is what an older version wrote of the same recipe.

    Example:
        >>> from mrvae.recipes import recipe
        >>> "pad" in without_added(recipe("digits-vdvae"))["data"]
        False

    """
    tree = to_json(recipe)
    for path in ADDED:
        spec, parent = recipe, tree
        *above, name = path.split(".")[1:]
        for key in above:
            spec, parent = getattr(spec, key), typing.cast("Tree", parent[key])
        default = [f.default for f in msgspec.structs.fields(spec) if f.name == name]
        # A key of one kind of model is no key of the others.
        if default and getattr(spec, name) == default[0]:
            del parent[name]
    return tree


def from_json(value: object, *, strict: bool = True) -> Recipe:
    """Return the recipe that ``value``, as read from JSON, describes.

    Unless ``strict``, texts are taken as the numbers they hold.

    Raises:
        ValueError: if a key is missing or unknown, or a value has the wrong type or range; the
            message gives its dotted path, what was found and what was expected.

    Example:
        >>> from mrvae.recipes import recipe
        >>> from_json(to_json(recipe("mnist-vdvae"))) == recipe("mnist-vdvae")
        True

    """
    try:
        recipe = msgspec.convert({"recipe": value}, _Root, strict=strict).recipe
    except msgspec.ValidationError as error:
        raise ValueError(_explain(str(error), value)) from None
    except UnicodeEncodeError as error:
        raise ValueError(f"recipe: found {shown(error.object)}, expected Unicode text") from None
    _require_all(to_json(recipe), value, "recipe")
    return recipe


def parse(text: str) -> object:
    """Return the value of a JSON text in which no object has a key twice.

    Raises:
        ValueError: if it is not JSON, or a key is there twice.
        RecursionError: if it is nested too deeply.

    Example:
        >>> parse('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        ValueError: the key 'a' is there twice; remove one

    """
    return json.loads(text, object_pairs_hook=_distinct)


def members(hint: object) -> dict[str, type[Spec]]:
    """Return the members of a union by their kind; nothing if ``hint`` is no union."""
    structs = typing.get_args(hint) if isinstance(hint, types.UnionType) else ()
    if not all(isinstance(struct, type) and issubclass(struct, Spec) for struct in structs):
        return {}
    return {str(struct.__struct_config__.tag): struct for struct in structs}


def fields(hint: object, tree: object) -> dict[str, object]:
    """Return the types of the fields, by name, of what stands at a place of type ``hint``.

    ``tree`` is the value that is there: of a union its ``kind`` says which member it is.
    """
    union = members(hint)
    kind = tree.get("kind") if isinstance(tree, dict) else None
    struct = union.get(str(kind)) if union else hint
    if not (isinstance(struct, type) and issubclass(struct, Spec)):
        return {}
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its keys and values."""
    made: dict[str, object] = {}
    for key, value in pairs:
        require(key not in made, f"the key {shown(key)} is there twice; remove one")
        made[key] = value
    return made


def _require_all(written: object, found: object, path: str) -> None:
    """Refuse a key that a default stood in for, and numbers that are not finite."""
    values = written if isinstance(written, list) else [written]
    finite = all(math.isfinite(value) for value in values if isinstance(value, float))
    require(finite, f"{path}: found {shown(found)}, expected a finite number")
    if isinstance(written, dict) and isinstance(found, dict):
        for key, value in written.items():
            if f"{path}.{key}" in ADDED and key not in found:
                continue
            require(key in found, f"{path}: the key {key!r} is missing")
            _require_all(value, found[key], f"{path}.{key}")


def _explain(problem: str, tree: object) -> str:
    """Turn a message of msgspec into ours: path, what was found, what was expected."""
    what, _, place = problem.rpartition(" - at `$.")
    path = place.rstrip("`")
    found, hint, union = _at(path, tree)
    if path.endswith(".kind"):
        return f"{path}: found {shown(found)}, expected one of {', '.join(members(union))}"
    if what.startswith("Invalid enum value"):
        choices = ", ".join(map(str, typing.get_args(hint)))
        return f"{path}: found {shown(found)}, expected one of {choices}"
    for beginning, expected in _EXPECTED.items():
        if what.startswith(beginning):
            return f"{path}: found {shown(found)}, expected {expected}"
    if what == "Object missing required field `kind`":
        return f"{path}: the key 'kind' is missing; give one of {', '.join(members(hint))}"
    if what.startswith(_MISSING):
        return f"{path}: the key {what[len(_MISSING) : -1]!r} is missing"
    if what.startswith(_UNKNOWN):
        key, known = what[len(_UNKNOWN) : -1], list(fields(hint, found))
        near = (
            did_you_mean(key, known, 3, otherwise="")
            or f"the keys are: {', '.join(known) or 'none'}"
        )
        return f"{path}: unknown key {shown(key)}; {near}"
    return f"{path}: {what}"


def _at(path: str, tree: object) -> tuple[object, object, object]:
    """Return the value at a path of msgspec, its type, and the type of what it stands in."""
    hint: object = Recipe
    above: object = None
    for key in re.findall(r"\w+", path)[1:]:
        above, hint = hint, fields(hint, tree).get(key)
        tree = tree[int(key)] if isinstance(tree, list) else typing.cast("Tree", tree).get(key)
    return tree, hint, above
