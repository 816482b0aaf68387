"""What the values of a recipe have to hold, and how a wrong one is refused.

A recipe may come from outside. So each number has a bound that no network reaches, and what reads
the recipe later cannot be made to overflow.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping

# A value that came later may be missing from a recipe on disk; its default is what was so before.
LATER: Mapping[str, bool] = types.MappingProxyType({"later": True})

WIDEST = 1 << 16
LONGEST = 1 << 40


def require(holds: bool, message: str) -> None:
    """Refuse what does not hold.

    Raises:
        ValueError: with the message.

    """
    if not holds:
        raise ValueError(message)


def positive(owner: object, *names: str) -> None:
    """Refuse an owner whose named values are not positive and finite.

    Raises:
        ValueError: naming the first of them.

    """
    for name in names:
        value = getattr(owner, name)
        require(value > 0 and math.isfinite(value), f"{name} is {value}; it must be positive")


def bounded(owner: object, most: int, *names: str) -> None:
    """Refuse an owner whose named values are not in (0, most].

    Raises:
        ValueError: naming the first of them.

    """
    positive(owner, *names)
    for name in names:
        value = getattr(owner, name)
        require(value <= most, f"{name} is {value}; it must be at most {most}")
