"""Near names for a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_LONGEST = 100


def did_you_mean(word: str, known: Sequence[str], count: int = 3) -> str:
    """Return a question with up to ``count`` names near ``word``; empty if none is near.

    Example:
        >>> did_you_mean("stepz", ["steps", "batch"])
        'did you mean steps?'

    """
    near = difflib.get_close_matches(word[:_LONGEST], list(dict.fromkeys(known)), n=count)
    if not near:
        return ""
    *first, last = near
    return f"did you mean {', '.join(first)} or {last}?" if first else f"did you mean {last}?"
