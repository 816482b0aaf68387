"""Changing a recipe from the command line: ``key=value``, typed by the recipe's own fields.

A key is the dotted path of a field, such as ``training.optimizer.rate``, or any tail of one that
fits no other field, such as ``rate``. Where a field is a choice among kinds, the choice itself is
assigned by its name (``model.likelihood=categorical``), which starts from that kind's own values;
only the number of levels, which belongs to the images, is kept. The model's own kind is no such
choice: another kind has no values of its own for the images' size. ``data=PATH`` is short for
``data.source=PATH``. All assignments are made, left to right, before the result is checked, so
that two values that are only valid together can be changed together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass, replace
from typing import cast

from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import EXPECTED, from_json, hints, members, to_json, write

_GROUPS = ("data", "model", "training")
_SHORT = {"data": "data.source"}
_KEPT = ("levels",)

Tree = dict[str, object]


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
    if not assignments:
        return recipe
    tree = to_json(recipe)
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise ValueError(f"cannot read {assignment!r}; write key=value, such as steps=1000")
        _assign(tree, key, text)
    changed = _checked(tree, assignments)
    if changed.model == recipe.model:
        return changed
    return replace(changed, parameters=0, depth=0)


def _checked(tree: Tree, assignments: Sequence[str]) -> Recipe:
    """Read the changed recipe, and say what was changed if it makes no sense."""
    try:
        return from_json(tree)
    except ValueError as error:
        problem = str(error).removeprefix("recipe: ").removeprefix("recipe.")
        raise ValueError(f"{problem} (after {' '.join(assignments)})") from None


def _assign(tree: Tree, key: str, text: str) -> None:
    """Put one value into the tree of the recipe."""
    fields = dict(_fields(Recipe, tree, ""))
    path = resolve(_SHORT.get(key, key), list(fields))
    *parents, name = path.split(".")
    for parent in parents:
        tree = cast("Tree", tree[parent])
    tree[name] = _value(path, text, fields[path], tree[name])


def _fields(cls: type, tree: Tree, prefix: str) -> Iterator[tuple[str, object]]:
    """Yield the dotted path and the type of every field that can be assigned."""
    for name, hint in hints(cls).items():
        if not prefix and name not in _GROUPS:
            continue
        path, union = f"{prefix}{name}", members(hint)
        below = cast("Tree", tree[name]) if union or is_dataclass(hint) else {}
        if union:
            if prefix:
                yield path, hint
            yield from _fields(union[str(below.get("kind", ""))], below, f"{path}.")
        elif isinstance(hint, type) and is_dataclass(hint):
            yield from _fields(hint, below, f"{path}.")
        else:
            yield path, hint


def resolve(key: str, paths: Sequence[str]) -> str:
    """Return the one path that ``key`` is, or is a tail of.

    Raises:
        ValueError: if there is none (near ones are named) or more than one (all are listed).

    Example:
        >>> resolve("rate", ["training.steps", "training.optimizer.rate"])
        'training.optimizer.rate'

    """
    if key in paths:
        return key
    found = [path for path in paths if path.endswith(f".{key}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{key!r} could be any of {', '.join(found)}; write more of its path")
    near = _near(key, paths)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the keys are: {', '.join(paths)}"
    raise ValueError(f"the recipe has no value {key!r} that can be changed; {hint}")


def _near(key: str, paths: Sequence[str]) -> list[str]:
    """Return the paths that resemble ``key``, in whole or in their last part."""
    last = {path.rpartition(".")[2]: path for path in paths}
    tails = difflib.get_close_matches(key.rpartition(".")[2], last, n=2)
    whole = difflib.get_close_matches(key, paths, n=2)
    return list(dict.fromkeys([*(last[tail] for tail in tails), *whole]))[:3]


def _value(path: str, text: str, hint: object, old: object) -> object:
    """Read ``text`` as the type of the field at ``path``."""
    union = members(hint)
    if union:
        return _kind(path, text, union, cast("Tree", old))
    try:
        return _plain(text, hint)
    except ValueError:
        raise ValueError(f"{path}={text}: expected {_wanted(hint)}, found {text!r}") from None


def _wanted(hint: object) -> str:
    """Say in words what the field takes on a command line."""
    if hint == tuple[float, ...]:
        return "numbers, like 0.1,0.05,0.02"
    return "whole numbers, like 64,64,32" if hint == tuple[int, ...] else EXPECTED[hint]


def _kind(path: str, text: str, union: dict[str, type], old: Tree) -> Tree:
    """Return the named kind with its own values, but with the images' levels."""
    if text not in union:
        raise ValueError(f"{path}={text}: expected one of {', '.join(union)}, found {text!r}")
    own = cast("Tree", write(union[text], union[text]()))
    return {"kind": text} | own | {name: old[name] for name in _KEPT if name in own and name in old}


def _plain(text: str, hint: object) -> object:
    """Read a number, a truth value, a text or a comma-separated list of whole numbers."""
    if hint is int:
        return int(text)
    if hint is float:
        return float(text)
    if hint is bool:
        return _truth(text)
    if hint == tuple[int, ...]:
        return [int(part) for part in text.split(",")]
    if hint == tuple[float, ...]:
        return [float(part) for part in text.split(",")]
    return text


def _truth(text: str) -> bool:
    """Read true or false."""
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text.lower() == "true"
