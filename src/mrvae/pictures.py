"""Images as one picture: a grid of enlarged images with lines between them.

A pixel's level v in 0 … n-1 is shown as the grey value round(255·v / (n-1)). Image i stands in row
i div c and column i mod c of a grid of c columns; every pixel becomes a square of ``enlarge``
pixels, and a line of ``GAP`` pixels surrounds each image. So the images can be read back from the
picture, which is what the tests do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrvae.files import atomic

GAP = 2
LINE = 128
_VISIBLE = 64

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Grid:
    """Where each image of a grid stands in the picture.

    Raises:
        ValueError: if a count or a size is not positive.

    Example:
        >>> grid = Grid(count=5, columns=3, height=8, width=8, enlarge=2)
        >>> grid.shape, grid.corner(4)
        ((38, 56), (20, 20))

    """

    count: int
    columns: int
    height: int
    width: int
    enlarge: int = 1

    def __post_init__(self) -> None:
        for name in ("count", "columns", "height", "width", "enlarge"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} of a grid is {getattr(self, name)}; it must be positive")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.corner(self.columns * math.ceil(self.count / self.columns))[0], (
            GAP + self.columns * (self.width * self.enlarge + GAP)
        )

    def corner(self, index: int) -> tuple[int, int]:
        """Return the row and column of the upper left pixel of an image."""
        row, column = divmod(index, self.columns)
        step_down, step_right = (s * self.enlarge + GAP for s in (self.height, self.width))
        return GAP + row * step_down, GAP + column * step_right


def grey(images: NDArray[np.generic], levels: int) -> Pixels:
    """Return levels 0 … levels-1, whole or not, as grey values 0 … 255.

    Raises:
        ValueError: if ``levels`` is below 2, or a value is no number in that range.

    Example:
        >>> grey(np.array([0, 8, 16]), levels=17).tolist()
        [0, 128, 255]

    """
    if levels < 2:
        raise ValueError(f"levels is {levels}; it must be at least 2")
    values = np.asarray(images, dtype=np.float64)
    inside = (values >= 0) & (values <= levels - 1)
    if not inside.all():
        raise ValueError(
            f"pixels are in {values.min()}…{values.max()}; with {levels} levels "
            f"they must be in 0…{levels - 1}"
        )
    return np.floor(values * (255 / (levels - 1)) + 0.5).astype(np.uint8)


def arrange(
    images: NDArray[np.generic],
    levels: int,
    columns: int | None = None,
    enlarge: int | None = None,
) -> Pixels:
    """Return one picture (H, W, 3) of images (N, C, h, w), C = 1 or 3, whose pixels are levels.

    The grid is about square unless ``columns`` are given, and small images are enlarged to 64
    pixels or so unless ``enlarge`` is.

    Raises:
        ValueError: if the shape is another, there is no image, or a pixel is no level.

    Example:
        >>> arrange(np.zeros((4, 1, 8, 8), dtype=np.uint8), levels=17).shape
        (134, 134, 3)

    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images have shape {images.shape}; expected (N, 1 or 3, H, W), N ≥ 1")
    count, _, height, width = images.shape
    grid = Grid(
        count,
        columns or math.ceil(math.sqrt(count)),
        height,
        width,
        enlarge or max(1, _VISIBLE // max(height, width)),
    )
    picture = np.full((*grid.shape, 3), LINE, dtype=np.uint8)
    for index, image in enumerate(grey(images, levels)):
        large = image.transpose(1, 2, 0).repeat(grid.enlarge, axis=0).repeat(grid.enlarge, axis=1)
        top, left = grid.corner(index)
        picture[top : top + large.shape[0], left : left + large.shape[1]] = large
    return picture


def write_png(path: Path, picture: Pixels) -> None:
    """Write a picture (H, W, 3) as PNG, atomically."""
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
