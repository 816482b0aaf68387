"""Changing a recipe from the command line: ``key=value``, typed by the recipe's own fields.

A key is the dotted path of a field, such as ``training.optimizer.rate``, or any tail of one that
fits no other field, such as ``rate``. Where a field is a choice among kinds, the choice itself is
assigned by its name (``model.likelihood=categorical``), which starts from that kind's own values;
only the number of bins, which belongs to the images, is kept. The model's own kind is no such
choice: another kind has no values of its own for the images' size. A size is one number, or two as
in ``model.size=28x20``. ``data=PATH`` is short for
``data.source=PATH``. All assignments are made, left to right, before the result is checked, so
that two values that are only valid together can be changed together.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import Tree, fields, from_json, members, to_json
from mrvae.recipes.validation import require, shown
from mrvae.sizes import ImageSize, size_of_text
from mrvae.suggestions import did_you_mean

_FIXED = ("name", "about", "paper", "row", "budget", "parameters", "depth", "model")
_SHORT = {"data": "data.source"}
_KEPT = "bins"
_LABELS = {"parameters", "depth", "about", "budget", "paper", "row"}


def override(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return the recipe with each ``key=value`` assigned, from left to right.

    If the model changes, ``parameters`` and ``depth`` of the result are 0: not known until it is
    built.

    Raises:
        ValueError: if an assignment has no ``=``, its key names no field or several, or its value
            has the wrong type or range.

    Example:
        >>> from mrvae.recipes import recipe
        >>> changed = override(recipe("digits-vdvae"), ["training.steps=100", "width=64"])
        >>> changed.training.steps, changed.hierarchy.width, changed.parameters
        (100, (64,), 0)

    """
    tree = to_json(recipe)
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise ValueError(f"cannot read {shown(assignment)}; write key=value, as in steps=1000")
        _assign(tree, key, text)
    try:
        changed = from_json(tree, strict=False)
    except ValueError as error:
        problem = str(error).removeprefix("recipe: ").removeprefix("recipe.")
        commas = "; separate values by commas" if "]: found" in problem else ""
        raise ValueError(f"{problem}{commas} (after {shown(' '.join(assignments))})") from None
    return changed if changed.model == recipe.model else replace(changed, parameters=0, depth=0)


def resolve(key: str, paths: Sequence[str]) -> str:
    """Return the one path that ``key`` is, or is a tail of.

    Raises:
        ValueError: if there is none (near ones are named) or more than one (all are listed).

    Example:
        >>> resolve("rate", ["training.steps", "training.optimizer.rate"])
        'training.optimizer.rate'

    """
    found = [path for path in paths if path == key] or [
        path for path in paths if path.endswith(f".{key}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{key!r} could be any of {', '.join(found)}; write more of its path")
    tails = [path.rpartition(".")[2] for path in paths]
    near = (
        did_you_mean(key, [*tails, *paths], 3, otherwise="") or f"the keys are: {', '.join(paths)}"
    )
    raise ValueError(f"the recipe has no value {shown(key)} that can be changed; {near}")


def _assign(tree: Tree, key: str, text: str) -> None:
    """Put one value into the tree of the recipe."""
    places = {path: (above, hint) for path, above, hint in _places(Recipe, tree, "")}
    path = resolve(_SHORT.get(key, key), [path for path in places if path not in _FIXED])
    above, hint = places[path]
    name = path.rpartition(".")[2]
    above[name] = _value(path, text, hint, above[name])


def _places(hint: object, tree: object, prefix: str) -> Iterator[tuple[str, Tree, object]]:
    """Yield the path of every field below a place, the object it stands in, and its type."""
    for name, below in fields(hint, tree).items():
        above = typing.cast("Tree", tree)
        if members(below) or not fields(below, above[name]):
            yield f"{prefix}{name}", above, below
        yield from _places(below, above[name], f"{prefix}{name}.")


def _value(path: str, text: str, hint: object, old: object) -> object:
    """Return what JSON would hold; a number stays a text, which ``from_json`` takes by its type."""
    union = members(hint)
    if union:
        choices = ", ".join(union)
        require(text in union, f"{path}: found {shown(text)}, expected one of {choices}")
        made = to_json(union[text]())
        if isinstance(old, dict) and _KEPT in old and _KEPT in made:
            made[_KEPT] = old[_KEPT]
        return made
    if typing.get_origin(hint) is tuple:
        return text.split(",")
    if hint == ImageSize:
        return size_of_text(text)
    if hint is bool:
        good = text.lower() in ("true", "false")
        require(good, f"{path}: found {shown(text)}, expected true or false")
    return text


def assignments(base: Recipe, changed: Recipe) -> list[str] | None:
    """Return ``key=value`` texts that make ``changed`` of ``base``, or None where none do.

    Example:
        >>> from mrvae.recipes import recipe
        >>> digits = recipe("digits-vdvae")
        >>> assignments(digits, override(digits, ["training.steps=9", "model.width=8,16,16"]))
        ['model.width=8,16,16', 'training.steps=9']

    """
    found = list(_differences("", to_json(base), to_json(changed)))
    try:
        made = override(base, found)
    except ValueError:
        return None
    same = _without_labels(made) == _without_labels(changed)
    return found if same else None


def _without_labels(recipe: Recipe) -> dict[str, object]:
    return {key: value for key, value in to_json(recipe).items() if key not in _LABELS}


def _differences(path: str, base: object, changed: object) -> Iterator[str]:
    """Yield an assignment for every leaf that differs."""
    if isinstance(base, dict) and isinstance(changed, dict):
        if base.get("kind") != changed.get("kind"):
            yield f"{path}={changed.get('kind')}"
            base = {}
        for key, value in changed.items():
            if key != "kind" and (path or key not in _LABELS):
                yield from _differences(f"{path}.{key}" if path else key, base.get(key), value)
    elif base != changed and not isinstance(changed, dict):
        yield f"{path}={_text(changed, 'x' if path == 'model.size' else ',')}"


def _text(value: object, separator: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return separator.join(map(str, value)) if isinstance(value, list) else str(value)
