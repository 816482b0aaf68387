"""Which units are coded: the fewest that tell nearly all."""

import pytest
import torch

from mrvae.compression import units


@pytest.mark.parametrize("seed", range(5))
def test_the_units_that_tell_are_the_fewest_that_hold_all_but_the_share_left(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 1, 1), (2, 4, 4), (1, 8, 8)]
    bits = [
        torch.randn(shape, generator=generator, dtype=torch.float64).exp() ** 3 for shape in shapes
    ]
    masks = units.telling(bits)
    flat = torch.cat([each.flatten() for each in bits])
    kept = flat[torch.cat([mask.flatten() for mask in masks])]
    assert kept.sum() >= (1 - units.LEFT) * flat.sum()
    assert kept.sum() - kept.min() < (1 - units.LEFT) * flat.sum()
    assert kept.min() >= flat[~torch.cat([mask.flatten() for mask in masks])].max()
    assert 0 < len(kept) < len(flat)


def test_units_that_tell_nothing_are_drawn_from_the_prior() -> None:
    bits = [torch.zeros(2, 3, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)]
    assert not any(mask.any() for mask in units.telling(bits))
    bits[0][1, 2, 0] = 1e-6
    assert [int(mask.sum()) for mask in units.telling(bits)] == [1, 0]
    assert units.telling(bits)[0][1, 2, 0]
    assert units.telling([]) == []
