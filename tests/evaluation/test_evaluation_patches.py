"""Cutting pictures into patches and joining them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.members import for_all
from mrvae.evaluation import cut, join

SIZES = [(1, 1), (1, 7), (2, 3), (5, 4), (8, 8), (9, 16), (17, 5), (31, 33)]
SIDES = [1, 2, 3, 8, 32]


def made_up(channels: int, height: int, width: int) -> torch.Tensor:
    return torch.arange(channels * height * width).view(channels, height, width)


@for_all("side", SIDES)
@for_all(("height", "width"), SIZES)
def test_joining_undoes_cutting(height: int, width: int, side: int) -> None:
    picture = made_up(3, height, width)
    patches = cut(picture, side)
    assert patches.shape == (-(-height // side) * -(-width // side), 3, side, side)
    assert torch.equal(join(patches, height, width), picture)


@for_all("side", SIDES)
@for_all(("height", "width"), SIZES)
def test_what_is_beyond_the_edge_is_the_reflection_of_numpy(
    height: int, width: int, side: int
) -> None:
    picture = made_up(2, height, width)
    more = (-height % side, -width % side)
    whole = np.pad(picture.numpy(), ((0, 0), (0, more[0]), (0, more[1])), mode="reflect")
    found = join(cut(picture, side), height + more[0], width + more[1])
    np.testing.assert_array_equal(found.numpy(), whole)


def test_patches_are_in_the_order_of_reading() -> None:
    picture = made_up(1, 6, 9)
    patches = cut(picture, 3)
    for index, patch in enumerate(patches):
        row, column = divmod(index, 3)
        expected = picture[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert torch.equal(patch, expected)


def test_the_mean_of_a_patch_is_its_lowest_frequency() -> None:
    """With DC alone, algorithm 2 gives back the patch's mean: DC = 32 · mean on 32 × 32 pixels."""
    from mrvae.resolution import DCT

    stream = torch.Generator().manual_seed(0)
    picture = torch.rand(3, 70, 45, generator=stream, dtype=torch.float64)
    patches = cut(picture, 32)
    means = patches.mean(dim=(2, 3), keepdim=True)
    c = DCT(1).analysis(patches)
    torch.testing.assert_close(c, 32 * means)
    torch.testing.assert_close(DCT(1).synthesis(c, 32, 32), means.expand_as(patches))


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 4\); expected \(C, H, W\)"):
        cut(torch.zeros(4, 4), 2)
    with pytest.raises(ValueError, match="side is 0"):
        cut(torch.zeros(1, 4, 4), 0)
    with pytest.raises(ValueError, match="5×4 has 3 × 2 square ones of 2"):
        join(torch.zeros(4, 1, 2, 2), 5, 4)
