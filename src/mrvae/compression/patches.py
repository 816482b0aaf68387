"""Pictures of any size as patches of one size, and back.

A picture (C, H, W) is continued to the right and below until both sides are multiples of S, by
reflection at its last pixel, which is not repeated: … x₂ x₁ x₀ | x₁ x₂ …, again and again where it
is smaller than a patch. It is then cut into patches (C, S, S), along rows, from above. What was
added is cut off again.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def count_of(height: int, width: int, size: int) -> int:
    """Return the number of patches of a picture.

    Example:
        >>> count_of(9, 8, 8)
        2
    """
    return math.ceil(height / size) * math.ceil(width / size)


def to_patches(picture: Tensor, size: int) -> Tensor:
    """Cut a picture (C, H, W) into (n, C, size, size).

    Example:
        >>> to_patches(torch.arange(3, dtype=torch.uint8).view(1, 1, 3), 2)[:, 0].tolist()
        [[[0, 1], [0, 1]], [[2, 1], [2, 1]]]
    """
    channels, height, width = picture.shape
    whole = picture[:, _reflected(height, size)][:, :, _reflected(width, size)]
    rows, columns = whole.shape[1] // size, whole.shape[2] // size
    cut = whole.view(channels, rows, size, columns, size)
    return cut.permute(1, 3, 0, 2, 4).reshape(rows * columns, channels, size, size)


def to_picture(patches: Tensor, height: int, width: int) -> Tensor:
    """Join patches (n, C, S, S) to a picture (C, height, width)."""
    _, channels, size, _ = patches.shape
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    grid = patches.view(rows, columns, channels, size, size).permute(2, 0, 3, 1, 4)
    return grid.reshape(channels, rows * size, columns * size)[:, :height, :width].contiguous()


def _reflected(length: int, size: int) -> Tensor:
    """Return the places 0 … length-1 and their continuation to a multiple of ``size``."""
    places = torch.arange(math.ceil(length / size) * size)
    period = max(2 * (length - 1), 1)
    within = places % period
    return torch.minimum(within, period - within) if length > 1 else torch.zeros_like(places)
