"""From what a picture's file holds to 8-bit grey or RGB, where a recipe asks for it.

Without a request nothing is converted. ``mode`` scales levels 0 … m to 0 … 255, and of 16 bits
keeps the eight leading ones; it looks up palettes, takes the first of several frames, and turns
CMYK into RGB without a colour profile. Grey from RGB is the luma of ITU-R BT.601,

    Y = (299 R + 587 G + 114 B + 500) // 1000.

``alpha`` blends a pixel of opacity a in 0 … 255 with the background b, (a x + (255 - a) b) / 255
rounded, or drops the opacity. Every picture is turned as its EXIF orientation asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mrvae.data.files.formats import Declared, Excess, unread
from mrvae.data.files.formats.tiff import exif_orientation
from mrvae.data.framing import Framing
from mrvae.recipes.data import (
    Alpha,
    DropAlpha,
    Mode,
    Opaque,
    OverWhite,
    Stored,
    ToGrey,
    ToRGB,
)

Levels = NDArray[np.uint8]
Values = NDArray[np.uint8] | NDArray[np.uint16]

_STORED, _OPAQUE = Stored(), Opaque()
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_OF_MODE = {
    "P": Excess.PALETTE,
    "CMYK": Excess.CMYK,
    "1": Excess.BILEVEL,
    "LA": Excess.ALPHA,
    "RGBA": Excess.ALPHA,
    **dict.fromkeys(_DEEP_MODES, Excess.DEEP),
}
_LOST = {
    Excess.DEEP: "the lower 8 bits are lost",
    Excess.PALETTE: "nothing is lost",
    Excess.CMYK: "the separation into inks is lost",
    Excess.SEVERAL: "all frames but the first are lost",
    Excess.BILEVEL: "nothing is lost",
    Excess.INVERTED: "nothing is lost",
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UNDONE = {6: 8, 8: 6}


@dataclass(frozen=True)
class Conversion:
    """How a source's pictures become the images of a set.

    Args:
        mode: the colours that are wanted.
        alpha: what becomes of transparency.
        framing: how pictures come to one size; None if they are taken as they are.
        skip_unreadable: pictures that cannot be read are left out, and not refused.
    """

    mode: Mode = _STORED
    alpha: Alpha = _OPAQUE
    framing: Framing | None = None
    skip_unreadable: bool = False

    def obstacles(self, file: Declared) -> tuple[str, ...]:
        """Return what a file holds that is neither an image's nor to be converted, in words."""
        return tuple(words for excess, words in file.excess if not self._takes(excess))

    def shape(self, file: Declared) -> tuple[int, int, int]:
        """Return the shape (C, H, W) of a file's image."""
        channels = channels_in(self.mode, file.channels)
        if self.framing is None:
            return channels, *file.upright
        return channels, self.framing.height, self.framing.width

    def largest(self, file: Declared) -> int:
        """Return the largest value of a file's image."""
        return file.largest if isinstance(self.mode, Stored) else 255

    def image(self, values: Values, opacity: Levels | None, file: Declared) -> Tensor:
        """Return a file's values, which have no obstacles, as an upright image: uint8 (C, H, W)."""
        levels = self._levels(values, opacity, file)
        if file.orientation == 1 and self.framing is None:
            return to_tensor(levels)
        picture = turned(Image.fromarray(levels), file.orientation)
        if self.framing is not None:
            picture = self.framing.apply(picture)
        # Bicubic interpolation may exceed the largest value.
        return to_tensor(np.array(picture)).clamp(max=self.largest(file))

    def losses(self, file: Declared) -> tuple[str, ...]:
        """Return what of a file is converted, and in brackets what that loses."""
        lost = {excess.value: _LOST[excess] for excess, _ in file.excess if excess in _LOST}
        if file.has(Excess.ALPHA):
            verb = "is" if isinstance(self.alpha, DropAlpha) else "is blended and"
            lost[Excess.ALPHA.value] = f"opacity {verb} lost"
        if file.channels == 3 and isinstance(self.mode, ToGrey):
            lost["in colour"] = "colours are lost"
        if file.channels == 1 and isinstance(self.mode, ToRGB):
            lost["in grey"] = "nothing is lost"
        if self.largest(file) != file.largest < 255:
            lost[f"of {file.largest + 1} levels"] = "levels are scaled to 0…255"
        return tuple(f"{kind} ({loss})" for kind, loss in lost.items())

    def _takes(self, excess: Excess) -> bool:
        """Whether pictures with a property are converted."""
        if excess is Excess.ALPHA:
            return not isinstance(self.alpha, Opaque)
        return not isinstance(self.mode, Stored)

    def _levels(self, values: Values, opacity: Levels | None, file: Declared) -> Levels:
        """Return the values of an image, not turned yet."""
        if not isinstance(self.mode, Stored) and file.largest != 255:
            values = _eight_bits(values, file.largest)
        if opacity is not None and not isinstance(self.alpha, Opaque | DropAlpha):
            white = self.largest(file) if isinstance(self.alpha, OverWhite) else 0
            values = _blended(values, opacity, white)
        return in_mode(values.astype(np.uint8, copy=False), self.mode)


def channels_in(mode: Mode, channels: int) -> int:
    """Return the number of channels of an image in a mode."""
    match mode:
        case ToRGB():
            return 3
        case ToGrey():
            return 1
        case _:
            return channels


def in_mode(levels: Levels, mode: Mode) -> Levels:
    """Return values (…) of grey or (…, 3) of RGB, one picture each, in a mode.

    Example:
        >>> in_mode(np.array([[[255, 0, 0]]], np.uint8), ToGrey()).tolist()
        [[76]]

    """
    match mode:
        case ToRGB() if levels.ndim == 2:
            return np.repeat(levels[..., None], 3, axis=-1)
        case ToGrey() if levels.ndim == 3:
            red, green, blue = (levels[..., i].astype(np.uint32) for i in range(3))
            return ((299 * red + 587 * green + 114 * blue + 500) // 1000).astype(np.uint8)
        case _:
            return levels


def to_tensor(levels: Levels) -> Tensor:
    """Return values (H, W) of grey or (H, W, 3) of RGB as uint8 of shape (C, H, W)."""
    image = torch.from_numpy(levels)
    return image[None] if image.ndim == 2 else image.permute(2, 0, 1).contiguous()


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    """Return a picture upright that is stored in an orientation of EXIF."""
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def turned_back(picture: Image.Image, orientation: int) -> Image.Image:
    """Return an upright picture as it is stored in an orientation of EXIF."""
    return turned(picture, _UNDONE.get(orientation, orientation))


def unpacked(picture: Image.Image, file: Declared) -> tuple[Values, Levels | None]:
    """Return a decoded picture's values, (H, W) or (H, W, 3), and its opacity (H, W) if it has any.

    Values are those of the file, 0 … ``file.largest``; of a palette they are its colours.
    """
    transparent = picture.info.get("transparency") if file.has(Excess.ALPHA) else None
    if file.has(Excess.PALETTE):
        picture = picture.convert("RGB" if transparent is None else "RGBA")
    elif file.has(Excess.CMYK):
        picture = picture.convert("RGB")
    elif picture.mode == "La":
        picture = picture.convert("LA")
    own = np.array(picture)
    own = own.astype(np.uint8) if picture.mode == "1" else own
    opacity = own[..., -1] if picture.mode in ("LA", "RGBA") else None
    colours = {"LA": own[..., 0], "RGBA": own[..., :3]}.get(picture.mode, own)
    if file.largest < 255 and picture.mode == "L" and file.format == "PNG":
        colours = colours // np.uint8(255 // file.largest)
    elif file.largest > 255 and colours.dtype == np.uint8:
        # Pillow keeps the leading bits only, but for grey.
        colours = colours.astype(np.uint16) << 8
    if opacity is None and transparent is not None:
        opacity = _opacity(colours, transparent)
    return colours, opacity


def from_pillow(picture: Image.Image, name: str) -> Declared:
    """Return what a picture is that Pillow has opened, as if its file had declared it.

    Raises ``ValueError`` if its mode is none of those that are converted.
    """
    mode, (width, height) = picture.mode, picture.size
    grey = mode in ("1", "L", "LA", *_DEEP_MODES)
    words = f"its mode is {mode}"
    if not grey and mode not in ("P", "RGB", "RGBA", "CMYK"):
        raise unread(name, words)
    held = [(_OF_MODE[mode], words)] if mode in _OF_MODE else []
    if "transparency" in picture.info and mode not in ("LA", "RGBA"):
        held.append((Excess.ALPHA, "has transparency"))
    largest = {"1": 1, **dict.fromkeys(_DEEP_MODES, 65_535)}.get(mode, 255)
    exif = picture.info.get("exif")
    turn = exif_orientation(exif) if isinstance(exif, bytes) else 1
    channels = 1 if grey else 3
    return Declared(str(picture.format), channels, height, width, largest, turn, tuple(held))


def _opacity(values: Values, transparent: object) -> Levels:
    """Return the opacity of pixels of which one grey value or one colour is transparent."""
    hidden = values == np.asarray(transparent)
    return np.where(hidden if hidden.ndim == 2 else hidden.all(-1), 0, 255).astype(np.uint8)


def _eight_bits(levels: Values, largest: int) -> Levels:
    """Return values 0 … 255 of values 0 … largest."""
    wide = levels.astype(np.uint32)
    if largest == 65_535:
        return (wide >> 8).astype(np.uint8)
    return ((wide * 255 + largest // 2) // largest).astype(np.uint8)


def _blended(levels: Values, opacity: Levels, background: int) -> Levels:
    """Return values over a background."""
    share = opacity.astype(np.uint32).reshape(opacity.shape + (1,) * (levels.ndim - 2))
    blended = levels.astype(np.uint32) * share + background * (255 - share)
    return ((blended + 127) // 255).astype(np.uint8)
