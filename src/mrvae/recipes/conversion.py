"""What a recipe may ask of pictures that are neither 8-bit grey nor 8-bit RGB."""

from __future__ import annotations

from mrvae.recipes.validation import Choice


class Stored(Choice, frozen=True, tag="stored"):
    """Pictures are taken as their files hold them; what 8-bit grey or RGB lacks is refused."""


class ToRGB(Choice, frozen=True, tag="rgb"):
    """Every picture becomes RGB of 8 bits."""


class ToGrey(Choice, frozen=True, tag="grey"):
    """Every picture becomes grey of 8 bits, by the luma of ITU-R BT.601."""


Mode = Stored | ToRGB | ToGrey


class Opaque(Choice, frozen=True, tag="refuse"):
    """A picture with transparency is refused."""


class OverWhite(Choice, frozen=True, tag="white"):
    """Transparent pixels show white behind them."""


class OverBlack(Choice, frozen=True, tag="black"):
    """Transparent pixels show black behind them."""


class DropAlpha(Choice, frozen=True, tag="drop"):
    """Opacity is dropped, and hidden colours become visible."""


Alpha = Opaque | OverWhite | OverBlack | DropAlpha
