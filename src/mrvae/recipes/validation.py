"""What every part of a recipe is made of, and how a wrong value is refused.

A recipe may come from outside. So each number has a bound that no network reaches, and what reads
the recipe later cannot be made to overflow.
"""

from __future__ import annotations

import reprlib

import msgspec

from mrvae.sizes import ImageSize, Sides, sides, simplest

WIDEST = 1 << 16
LONGEST = 1 << 40
# Real numbers and their inverses are such that single precision holds them.
_LARGEST = 1e30

_LARGEST_PRINTED = 128  # bits of an integer; Python itself refuses to print very large ones
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a recipe; in JSON an object with one key for each field."""


class Choice(Spec, frozen=True, tag_field="kind"):
    """A member of a union; in JSON its tag is the value of one more key, ``kind``."""


class ImageModel(Choice, frozen=True):
    """What the model of every recipe has: the number of channels and the size of its images.

    ``size`` is one number for a square, or (height, width).
    """

    channels: int
    size: ImageSize

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "channels")
        for side in self.sides:
            good = 0 < side <= WIDEST
            require(good, f"size is {shown(self.size)}; a side must be in 1…{WIDEST}")
        # Of the two spellings of a square, JSON keeps the shorter.
        msgspec.structs.force_setattr(self, "size", simplest(self.size))

    @property
    def sides(self) -> Sides:
        """Height and width of an image in pixels."""
        return sides(self.size)

    @property
    def image(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return self.channels, *self.sides

    @property
    def dims(self) -> int:
        """Number of values of an image."""
        return self.channels * self.sides[0] * self.sides[1]


def shown(value: object) -> str:
    """Return a value for a message: short, on one line, control characters escaped.

    Example:
        >>> shown(9**999)
        'an integer of 3167 bits'

    """
    if isinstance(value, int) and value.bit_length() > _LARGEST_PRINTED:
        return f"an integer of {value.bit_length()} bits"
    return _short.repr(value)


def require(holds: bool, message: str) -> None:
    """Refuse what does not hold.

    Raises:
        ValueError: with the message.

    """
    if not holds:
        raise ValueError(message)


def positive(owner: object, *names: str) -> None:
    """Refuse an owner whose named values are not positive, and neither huge nor tiny.

    Raises:
        ValueError: naming the first of them.

    """
    for name in names:
        value = getattr(owner, name)
        require(value > 0, f"{name} is {shown(value)}; it must be positive")
        good = 1 / _LARGEST <= value <= _LARGEST
        require(good, f"{name} is {shown(value)}; it must be in {1 / _LARGEST}…{_LARGEST}")


def real(owner: object, *names: str) -> None:
    """Refuse an owner whose named values are no numbers, or too large for single precision.

    Raises:
        ValueError: naming the first of them.

    """
    for name in names:
        value = getattr(owner, name)
        good = -_LARGEST <= value <= _LARGEST
        require(good, f"{name} is {shown(value)}; it must be in {-_LARGEST}…{_LARGEST}")


def bounded(owner: object, most: int, *names: str) -> None:
    """Refuse an owner whose named values are not in (0, most].

    Raises:
        ValueError: naming the first of them.

    """
    positive(owner, *names)
    for name in names:
        value = getattr(owner, name)
        require(value <= most, f"{name} is {shown(value)}; it must be at most {most}")


def within(owner: object, least: int, most: int, *names: str) -> None:
    """Refuse an owner whose named values are not in [least, most].

    Raises:
        ValueError: naming the first of them.

    """
    for name in names:
        value = getattr(owner, name)
        require(least <= value <= most, f"{name} is {shown(value)}; it must be in {least}…{most}")
