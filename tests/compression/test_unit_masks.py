"""The bytes of unit masks: exact, short where few units are coded, refused for another model."""

from __future__ import annotations

import pytest
import torch

from mrvae.compression.coding.unit_masks import masks_from_bytes, masks_to_bytes


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_masks_are_decoded_exactly(share: float) -> None:
    stream = torch.Generator().manual_seed(0)
    shapes = [(4, 1, 1), (4, 4, 4), (4, 16, 16)]
    masks = [torch.rand(shape, generator=stream) < share for shape in shapes]
    found = masks_from_bytes(masks_to_bytes(masks), shapes)
    assert all(torch.equal(a, b) for a, b in zip(found, masks, strict=True))


def test_masks_of_few_units_take_few_bytes() -> None:
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[0, 5, :10] = True
    # Ten of 1,024: 80 bits by their entropy, and two bytes for the share.
    assert len(masks_to_bytes([mask])) <= 2 + 16


def test_masks_of_another_model_are_refused() -> None:
    masks = [torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.5]
    packed = masks_to_bytes(masks)
    for shapes in ([(4, 8, 7)], [(4, 8, 8), (4, 8, 8)], [(2, 2, 2)]):
        with pytest.raises(ValueError, match=r"another model|too few|is zero|not made of words"):
            masks_from_bytes(packed, shapes)
    with pytest.raises(ValueError, match="not made of words"):
        masks_from_bytes(packed[:-1], [(4, 8, 8)])
    with pytest.raises(ValueError, match="too few"):
        masks_from_bytes(packed[:1], [(4, 8, 8)])
