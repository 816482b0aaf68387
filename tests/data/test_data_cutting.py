"""Cutting pictures into patches and joining them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mrvae.data.patches import cut_patches, join_patches, patch_count

SIZES = [(1, 1), (1, 7), (2, 3), (5, 4), (8, 8), (9, 16), (17, 5), (31, 33)]
SIDES = [1, 2, 3, 8, 32]


def numbered(channels: int, height: int, width: int) -> torch.Tensor:
    return torch.arange(channels * height * width).view(channels, height, width)


@pytest.mark.parametrize("side", SIDES)
def test_joining_undoes_cutting(side: int) -> None:
    for height, width in SIZES:
        picture = numbered(3, height, width)
        patches = cut_patches(picture, side)
        assert patches.shape == (patch_count(height, width, side), 3, side, side)
        joined = join_patches(patches, height, width)
        assert joined.is_contiguous()
        assert torch.equal(joined, picture)


@pytest.mark.parametrize("side", SIDES)
def test_a_picture_is_continued_as_numpy_reflects(side: int) -> None:
    for height, width in SIZES:
        picture = numbered(2, height, width)
        more = (-height % side, -width % side)
        whole = np.pad(picture.numpy(), ((0, 0), (0, more[0]), (0, more[1])), mode="reflect")
        joined = join_patches(cut_patches(picture, side), height + more[0], width + more[1])
        np.testing.assert_array_equal(joined.numpy(), whole)


def test_patches_are_in_the_order_of_reading() -> None:
    picture = numbered(1, 6, 9)
    patches = cut_patches(picture, 3)
    for index, patch in enumerate(patches):
        row, column = divmod(index, 3)
        expected = picture[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert torch.equal(patch, expected)


def test_the_mean_of_a_patch_is_its_lowest_frequency() -> None:
    """With DC alone, algorithm 2 gives back the patch's mean: DC = 32 · mean on 32 × 32 pixels."""
    from mrvae.resolution import DCT

    stream = torch.Generator().manual_seed(0)
    picture = torch.rand(3, 70, 45, generator=stream, dtype=torch.float64)
    patches = cut_patches(picture, 32)
    means = patches.mean(dim=(2, 3), keepdim=True)
    c = DCT(1).analysis(patches)
    torch.testing.assert_close(c, 32 * means)
    torch.testing.assert_close(DCT(1).synthesis(c, 32, 32), means.expand_as(patches))


def test_wrong_shapes_and_sides_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 4\); expected \(C, H, W\)"):
        cut_patches(torch.zeros(4, 4), 2)
    with pytest.raises(ValueError, match="size is 0"):
        cut_patches(torch.zeros(1, 4, 4), 0)
    with pytest.raises(ValueError, match="5×4 has 3 × 2 of 2×2 pixels"):
        join_patches(torch.zeros(4, 1, 2, 2), 5, 4)
