"""The size of an image: (height, width), or one number for a square.

A signal of T samples is an image of 1 × T. An axis of one pixel is no axis: it is never halved, no
kernel extends along it, and no frequency but the lowest lies on it.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Sides: TypeAlias = tuple[int, int]
"""Height and width."""

ImageSize: TypeAlias = int | tuple[int, int]
"""Height and width, or one number for a square."""

_TEXT = re.compile(r"(\d+)x(\d+)")


def sides(size: ImageSize) -> Sides:
    """Return (height, width).

    Example:
        >>> sides(28), sides((28, 20))
        ((28, 28), (28, 20))
    """
    return (size, size) if isinstance(size, int) else size


def simplest(size: ImageSize) -> ImageSize:
    """Return one number for a square, and a rectangle as it is.

    Example:
        >>> simplest((28, 28)), simplest((28, 20))
        (28, (28, 20))
    """
    height, width = sides(size)
    return height if height == width else (height, width)


def size_text(size: ImageSize) -> str:
    """Return a size as overrides and messages write it.

    Example:
        >>> size_text(28), size_text((28, 20))
        ('28', '28x20')
    """
    return str(size) if isinstance(size, int) else f"{size[0]}x{size[1]}"


def size_of_text(text: str) -> str | list[str]:
    """Return the parts of ``28x20`` as JSON lists them; any other text as it is.

    Example:
        >>> size_of_text("28x20"), size_of_text("28")
        (['28', '20'], '28')
    """
    match = _TEXT.fullmatch(text)
    return list(match.groups()) if match else text


def can_halve(size: ImageSize, steps: int) -> bool:
    """Return whether both sides can be halved so often; one pixel beside a longer side need not.

    Example:
        >>> can_halve(28, 2), can_halve(28, 3), can_halve((1, 64), 6), can_halve(1, 1)
        (True, False, True, False)
    """
    axes = [side for side in sides(size) if side > 1 or max(sides(size)) == 1]
    return all(side % (1 << steps) == 0 for side in axes)


def halved(size: ImageSize, steps: int) -> Sides:
    """Return (height, width) after so many halvings; an axis of one pixel stays one.

    Raises:
        ValueError: if that is no whole number of pixels.

    Example:
        >>> halved((48, 32), 3), halved((1, 64), 3)
        ((6, 4), (1, 8))
    """
    if not can_halve(size, steps):
        raise ValueError(f"{size_text(size)} pixels cannot be halved {steps} times")
    height, width = sides(size)
    return max(height >> steps, 1), max(width >> steps, 1)


def kernel_for(size: ImageSize, side: int) -> ImageSize:
    """Return the kernel of ``side`` × ``side``, or of 1 × ``side`` for a signal.

    Example:
        >>> kernel_for(28, 3), kernel_for((28, 20), 3), kernel_for((1, 64), 5)
        (3, 3, (1, 5))
    """
    height, width = sides(size)
    if height == width:
        return side
    return simplest((side if height > 1 else 1, side if width > 1 else 1))
