"""Show our docstrings as they are meant, when mkdocstrings turns them into pages.

Docstrings are written for ``help()`` and editors: the doctest stands under ``Example:``, and names
are marked as ``:func:`name```. The pages' parser knows ``Examples:`` and Markdown.
"""

from __future__ import annotations

import re

import griffe

_ROLE = re.compile(r":\w+:`~?([^`]+)`")
_EXAMPLE = re.compile(r"^(\s*)Example:\s*$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite the docstring of one module, class, function or value."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """Return a docstring in the pages' own terms."""
    return _EXAMPLE.sub(r"\1Examples:", _ROLE.sub(r"`\1`", text))
