"""The properties that a picture's file declares, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

MOST_PIXELS = 1 << 26
"""Pixels that one picture may have (8192 × 8192)."""


class Excess(Enum):
    """What a file may hold and a uint8 grey or RGB image cannot."""

    DEEP = "of 16 bits"
    BILEVEL = "of 1 bit"
    PALETTE = "with a palette"
    ALPHA = "with transparency"
    CMYK = "in CMYK"
    INVERTED = "with white as 0"
    SEVERAL = "of several frames"


@dataclass(frozen=True)
class Declared:
    """A picture as its file declares it: its values are integers 0 … ``largest``.

    Args:
        format: Pillow's name of the file's format.
        channels: 1 for grey, 3 for colours, opacity not counted.
        height: in pixels, as they are stored.
        width: likewise.
        largest: at most 255 unless there is an ``Excess.DEEP``.
        orientation: of EXIF, 1 … 8; 1 if the stored pixels are upright.
        excess: what a uint8 grey or RGB image cannot hold, and the words for it.
    """

    format: str
    channels: int
    height: int
    width: int
    largest: int = 255
    orientation: int = 1
    excess: tuple[tuple[Excess, str], ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W), as the pixels are stored."""
        return self.channels, self.height, self.width

    @property
    def upright(self) -> tuple[int, int]:
        """(H, W), once the picture is turned as EXIF asks for."""
        turned = self.orientation >= 5
        return (self.width, self.height) if turned else (self.height, self.width)

    def has(self, excess: Excess) -> bool:
        """Whether the file has a property that a uint8 grey or RGB image lacks."""
        return any(own is excess for own, _ in self.excess)


def unread(name: str, what: str) -> ValueError:
    """Return the refusal of a picture with a property that a uint8 grey or RGB image lacks.

    Example:
        >>> print(unread("a.png", "has 16 bits a channel"))
        a.png: has 16 bits a channel; convert it to 8-bit grey (L) or RGB, one frame, without ...

    """
    return ValueError(
        f"{name}: {what}; convert it to 8-bit grey (L) or RGB, one frame, without palette or "
        "transparency"
    )


def check_pixels(name: str, width: int, height: int, most: int = MOST_PIXELS) -> None:
    """Refuse a picture without pixels, or with more than are read.

    Raises ``ValueError``.
    """
    if min(width, height) < 1 or width * height > most:
        raise ValueError(f"{name}: has {width}×{height} pixels; 1 to {most:,} are read")


def exactly(stream: BinaryIO, count: int) -> bytes:
    """Read ``count`` bytes.

    Raises ``EOFError`` if fewer are left.
    """
    data = stream.read(count)
    if len(data) != count:
        raise EOFError("the file ends in the middle of its header")
    return data
