"""What to answer to a name that does not exist: the names that resemble it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 100


def did_you_mean(
    word: str, known: Iterable[str], count: int = 1, otherwise: str | None = None
) -> str:
    """Return the end of an error message: the known names nearest to ``word``, or all of them.

    Names that begin with ``word`` are nearer than those that resemble it as a whole.

    Args:
        word: the name that is not known.
        known: the names that are.
        count: number of near names, at most.
        otherwise: what to return if no name is near; by default the list of known names.

    Example:
        >>> did_you_mean("trian", ["train", "sample"])
        'did you mean train?'
        >>> did_you_mean("--tem", ["--out", "--temperature"])
        'did you mean --temperature?'
        >>> did_you_mean("x", ["train", "sample"])
        'there are train, sample'

    """
    names = list(known)
    begun = [name for name in names if word and name.startswith(word)]
    near = begun[:count] or difflib.get_close_matches(word[:_LONGEST], names, n=count, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(names)}" if otherwise is None else otherwise
