"""How pictures of any size come to the model's size: cropped or padded.

``Crop`` resizes a picture until it covers the model's H × W pixels, and keeps the centre. Of a
picture of h × w pixels the share

    1 - min(h / H, w / W)² H W / (h w)

is lost. ``Pad`` loses nothing at the edges: a picture that is larger is shrunk until it fits, one
that is smaller keeps its pixels, and what is missing around it repeats its outermost pixels. These
are pixels of the image like any other, so that they count in every score.

Resizing is bicubic with antialiasing (Pillow).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class _Size:
    """The height and width of a model's images.

    Raises ``ValueError`` unless both are at least 1.
    """

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(
                f"size is {self.height}×{self.width}; images have at least 1 pixel a side"
            )


@dataclass(frozen=True)
class Crop(_Size):
    """Pictures are resized until they cover the size, and their centre is kept."""

    def apply(self, picture: Image.Image) -> Image.Image:
        """Return a picture of the size; only what is kept is computed."""
        width, height = picture.size
        across, down = self._kept(height, width)
        left, top = (width - across) / 2, (height - down) / 2
        box = (left, top, left + across, top + down)
        return picture.resize((self.width, self.height), Image.Resampling.BICUBIC, box=box)

    def lost(self, height: int, width: int) -> float:
        """Return which share of a picture is cropped.

        Example:
            >>> round(Crop(20, 20).lost(28, 20), 3)
            0.286

        """
        across, down = self._kept(height, width)
        return 1 - across * down / (height * width)

    def _kept(self, height: int, width: int) -> tuple[float, float]:
        """Return the width and the height, in pixels of the picture, of what is kept."""
        if width * self.height >= height * self.width:
            return height * self.width / self.height, height
        return width, width * self.height / self.width


@dataclass(frozen=True)
class Pad(_Size):
    """Pictures are shrunk until they fit into the size, and continued by their edges."""

    def apply(self, picture: Image.Image) -> Image.Image:
        """Return a picture of the size.

        Example:
            >>> small = Image.fromarray(np.array([[1, 2]], np.uint8))
            >>> np.asarray(Pad(2, 4).apply(small)).tolist()
            [[1, 1, 2, 2], [1, 1, 2, 2]]

        """
        width, height = picture.size
        scale = min(1.0, self.height / height, self.width / width)
        if scale < 1:
            width, height = (max(1, round(scale * length)) for length in (width, height))
            picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        pixels = np.asarray(picture)
        around = [
            (missing // 2, missing - missing // 2)
            for missing in (self.height - height, self.width - width)
        ]
        padded = np.pad(pixels, around + [(0, 0)] * (pixels.ndim - 2), mode="edge")
        return Image.fromarray(padded)

    def lost(self, height: int, width: int) -> float:
        """Return which share of a picture is cropped: nothing."""
        return 0.0


Framing = Crop | Pad
