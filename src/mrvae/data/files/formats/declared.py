"""The properties that a picture's file declares, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

MOST_PIXELS = 1 << 26
"""Pixels that one picture may have (8192 × 8192)."""


@dataclass(frozen=True)
class Declared:
    """A grey or RGB picture whose values are integers 0 … ``largest``, with ``largest`` ≤ 255.

    ``format`` is Pillow's name of the file's format.
    """

    format: str
    channels: int
    height: int
    width: int
    largest: int = 255

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


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
