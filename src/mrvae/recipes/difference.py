"""The inverse of :mod:`mrvae.recipes.overrides`: what to write after a recipe's name."""

from __future__ import annotations

from collections.abc import Iterator

from mrvae.recipes.overrides import override
from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import to_json

_LABELS = {"parameters", "depth", "about", "budget", "paper", "row"}


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
        yield f"{path}={_text(changed)}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
