"""A grid of images as one picture, for viewing, and its PNG file.

A pixel v in 0 … n-1 is shown as the grey value round(255·v / (n-1)). Image i stands in row
i div c and column i mod c of a grid of c columns; every pixel becomes a square of ``enlarge``
pixels, and a line of ``GAP`` pixels surrounds each image. So the images can be read back from the
picture.
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
_MOST_PIXELS = 1 << 27

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class ImageGrid:
    """Where each image of a grid stands in the picture.

    Raises:
        ValueError: if a count or a size is not positive.

    Example:
        >>> grid = ImageGrid(count=5, columns=3, height=8, width=8, enlarge=2)
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


def most_images(height: int, width: int) -> int:
    """Return how many images of a size :func:`arrange` can put into a picture of 2²⁷ pixels.

    Example:
        >>> most_images(8, 8), most_images(256, 256)
        (30276, 1849)

    """
    enlarge = _enlargement(height, width)
    cell = (height * enlarge + GAP) * (width * enlarge + GAP)
    # A last row that is not full takes the space of a whole one.
    rows = math.isqrt(_MOST_PIXELS // cell)
    return (rows - 1) ** 2


def _enlargement(height: int, width: int) -> int:
    return max(1, _VISIBLE // max(height, width))


def grey(images: NDArray[np.generic], bins: int) -> Pixels:
    """Return pixels in 0 … bins-1, integers or means, as grey values 0 … 255.

    Raises:
        ValueError: if ``bins`` is below 2, or a pixel is not in that range.

    Example:
        >>> grey(np.array([0, 8, 16]), bins=17).tolist()
        [0, 128, 255]

    """
    if bins < 2:
        raise ValueError(f"bins is {bins}; it must be at least 2")
    values = np.asarray(images, dtype=np.float64)
    inside = (values >= 0) & (values <= bins - 1)
    if not inside.all():
        raise ValueError(
            f"pixels are in {values.min()}…{values.max()}; with {bins} bins "
            f"they must be in 0…{bins - 1}"
        )
    return np.floor(values * (255 / (bins - 1)) + 0.5).astype(np.uint8)


def arrange(
    images: NDArray[np.generic],
    bins: int,
    columns: int | None = None,
    enlarge: int | None = None,
) -> Pixels:
    """Return one picture (H, W, 3) of images (N, C, h, w), C = 1 or 3, pixels in 0 … bins-1.

    The grid is about square unless ``columns`` are given, and small images are enlarged to 64
    pixels or so unless ``enlarge`` is.

    Raises:
        ValueError: if the shape is another, there is no image, or a pixel is outside that range.

    Example:
        >>> arrange(np.zeros((4, 1, 8, 8), dtype=np.uint8), bins=17).shape
        (134, 134, 3)

    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise ValueError(f"images have shape {images.shape}; expected (N, 1 or 3, H, W), N ≥ 1")
    count, _, height, width = images.shape
    grid = ImageGrid(
        count,
        columns or math.ceil(math.sqrt(count)),
        height,
        width,
        enlarge or _enlargement(height, width),
    )
    picture = np.full((*grid.shape, 3), LINE, dtype=np.uint8)
    for index, image in enumerate(grey(images, bins)):
        large = image.transpose(1, 2, 0).repeat(grid.enlarge, axis=0).repeat(grid.enlarge, axis=1)
        top, left = grid.corner(index)
        picture[top : top + large.shape[0], left : left + large.shape[1]] = large
    return picture


def write_png(path: Path, picture: Pixels) -> None:
    """Write a picture (H, W, 3) as PNG, atomically."""
    from PIL import Image

    with atomic(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
