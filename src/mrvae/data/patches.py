"""A picture of any size as patches of a model's size, and back.

A model of n × m pixels sees a larger picture as independent patches (Kuzina & Tomczak 2023, section
5.3.2). Where they do not divide its sides, the picture is continued by reflection at its lower or
right edge,

    x̃[i, j] = x[r(i), r(j)],        r(i) = 0, 1, …, H-1, H-2, …, 1, 0, 1, …,

without repeating the edge, as often as needed, so that a picture may be smaller than a patch.
Patches are in the order of reading. Joining them drops the continuation, and is exact.

Tiles overlap instead: their corners are a stride apart, the last ones end at the picture's edge,
and where several tiles cover a pixel it is their mean, weighted by a triangular window,

    w(i, j) = v(i) v(j),        v(i) = min(i + 1, side - i),

so that no edge of a tile shows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrvae.sizes import ImageSize, sides


def patch_count(height: int, width: int, size: ImageSize) -> int:
    """Return the number of patches of a picture, N = ⌈H/n⌉ ⌈W/m⌉.

    Example:
        >>> patch_count(9, 8, 8), patch_count(9, 8, (3, 8))
        (2, 3)
    """
    down, across = sides(size)
    return -(-height // down) * -(-width // across)


def cut_patches(picture: Tensor, size: ImageSize) -> Tensor:
    """Return the patches (N, C, n, m) of a picture (C, H, W).

    Raises:
        ValueError: if the picture has another number of axes or no pixels, or a side of a patch is
            not positive.

    Example:
        >>> cut_patches(torch.arange(6).view(1, 2, 3), size=2).tolist()
        [[[[0, 1], [3, 4]]], [[[2, 1], [5, 4]]]]
    """
    if picture.ndim != 3 or 0 in picture.shape:
        raise ValueError(f"the picture has shape {tuple(picture.shape)}; expected (C, H, W), no 0")
    down, across = sides(size)
    if min(down, across) < 1:
        raise ValueError(f"size is {size}; a patch has at least 1 pixel")
    channels, height, width = picture.shape
    rows, columns = -(-height // down), -(-width // across)
    whole = picture[:, _reflected(height, rows * down)][..., _reflected(width, columns * across)]
    tiles = whole.reshape(channels, rows, down, columns, across)
    return tiles.permute(1, 3, 0, 2, 4).reshape(-1, channels, down, across)


def join_patches(patches: Tensor, height: int, width: int) -> Tensor:
    """Return the picture (C, height, width) of its patches (N, C, n, m).

    Raises:
        ValueError: if the patches are not as many as a picture of that size has.

    Example:
        >>> picture = torch.arange(6).view(1, 2, 3)
        >>> bool(torch.equal(join_patches(cut_patches(picture, 4), 2, 3), picture))
        True
    """
    count, channels, down, across = patches.shape
    rows, columns = -(-height // down), -(-width // across)
    if count != rows * columns:
        raise ValueError(
            f"patches have shape {tuple(patches.shape)}; a picture of {height}×{width} has"
            f" {rows} × {columns} of {down}×{across} pixels"
        )
    tiles = patches.view(rows, columns, channels, down, across).permute(2, 0, 3, 1, 4)
    return tiles.reshape(channels, rows * down, columns * across)[:, :height, :width].contiguous()


def cut_tiles(picture: Tensor, side: int, stride: int) -> Tensor:
    """Return overlapping tiles (N, C, side, side) of a picture (C, H, W), in the order of reading.

    Raises:
        ValueError: if the picture is smaller than a tile, or the stride is not in 1 … side.

    Example:
        >>> cut_tiles(torch.arange(5).view(1, 1, 5).expand(1, 2, 5), side=2, stride=2)[:, 0, 0]
        tensor([[0, 1],
                [2, 3],
                [3, 4]])
    """
    _, height, width = picture.shape
    rows, columns = (_corners(length, side, stride) for length in (height, width))
    return torch.stack([picture[:, i : i + side, j : j + side] for i in rows for j in columns])


def blend_tiles(tiles: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Return the picture (C, height, width) whose overlapping tiles are given, real numbers.

    Raises:
        ValueError: if there are not as many tiles as such a picture has.

    Example:
        >>> picture = torch.arange(35.0, dtype=torch.float64).view(1, 5, 7)
        >>> back = blend_tiles(cut_tiles(picture, side=4, stride=2), 5, 7, stride=2)
        >>> bool(torch.allclose(back, picture))
        True
    """
    count, channels, side, _ = tiles.shape
    rows, columns = (_corners(length, side, stride) for length in (height, width))
    if count != len(rows) * len(columns):
        raise ValueError(
            f"{count} tiles are given; a picture of {height}×{width} has {len(rows)} × "
            f"{len(columns)} of {side} pixels, {stride} apart"
        )
    place = torch.arange(side, dtype=tiles.dtype, device=tiles.device)
    ramp = torch.minimum(place + 1, side - place)
    window = ramp[:, None] * ramp
    total = tiles.new_zeros(channels, height, width)
    weight = tiles.new_zeros(height, width)
    corners = [(i, j) for i in rows for j in columns]
    for tile, (i, j) in zip(tiles, corners, strict=True):
        total[:, i : i + side, j : j + side] += tile * window
        weight[i : i + side, j : j + side] += window
    return total / weight


def _corners(length: int, side: int, stride: int) -> list[int]:
    """Return where tiles begin along an axis; the last one ends at its end."""
    if not 1 <= stride <= side <= length:
        raise ValueError(
            f"tiles of {side} pixels, {stride} apart, do not cover {length} pixels; give a stride "
            f"in 1…{side} and a picture of at least {side} pixels a side"
        )
    return [*range(0, length - side, stride), length - side]


def _reflected(length: int, reach: int) -> Tensor:
    """Return r(0), …, r(reach - 1) for a side of ``length`` pixels."""
    period = max(2 * (length - 1), 1)
    place = torch.arange(reach) % period
    return torch.minimum(place, period - place) if length > 1 else torch.zeros_like(place)
