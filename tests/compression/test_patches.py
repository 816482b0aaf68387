"""Pictures, patches, and which units are coded: pack and unpack are inverse to each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mrvae.compression.patches import count_of, to_patches, to_picture
from mrvae.compression.units import pack, unpack


@pytest.mark.parametrize("height", [1, 2, 3, 7, 8, 9, 20])
@pytest.mark.parametrize("width", [1, 5, 8, 17])
def test_a_picture_comes_back_from_its_patches(height: int, width: int) -> None:
    picture = torch.arange(3 * height * width).view(3, height, width).to(torch.uint8)
    patches = to_patches(picture, 8)
    assert len(patches) == count_of(height, width, 8)
    assert torch.equal(to_picture(patches, height, width), picture)


@pytest.mark.parametrize(("height", "width"), [(1, 3), (2, 9), (5, 8), (9, 15), (17, 4)])
def test_a_picture_is_continued_as_numpy_reflects(height: int, width: int) -> None:
    picture = torch.arange(height * width).view(1, height, width).to(torch.uint8)
    rows, columns = -height % 8, -width % 8
    expected = np.pad(picture[0].numpy(), ((0, rows), (0, columns)), mode="reflect")
    whole = to_picture(to_patches(picture, 8), height + rows, width + columns)
    np.testing.assert_array_equal(whole[0].numpy(), expected)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_units_come_back_from_their_bytes(share: float) -> None:
    stream = torch.Generator().manual_seed(0)
    shapes = [(4, 1, 1), (4, 4, 4), (4, 16, 16)]
    masks = [torch.rand(shape, generator=stream) < share for shape in shapes]
    found = unpack(pack(masks), shapes)
    assert all(torch.equal(a, b) for a, b in zip(found, masks, strict=True))


def test_few_units_take_few_bytes() -> None:
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, 5, :10] = True
    # Ten of 1,024: 80 bits by their entropy, and two bytes for the share.
    assert len(pack([mask])) <= 2 + 16


def test_units_of_another_model_are_refused() -> None:
    masks = [torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.5]
    packed = pack(masks)
    for shapes in ([(4, 8, 7)], [(4, 8, 8), (4, 8, 8)], [(2, 2, 2)]):
        with pytest.raises(ValueError, match=r"another model|do not say|zeros"):
            unpack(packed, shapes)
    with pytest.raises(ValueError, match="do not say"):
        unpack(packed[:-1], [(4, 8, 8)])
