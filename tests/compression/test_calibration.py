"""Which units are coded: the fewest that hold nearly all bits."""

import pytest
import torch

from mrvae.compression.calibration import DROPPED_SHARE, informative_units


@pytest.mark.parametrize("seed", range(5))
def test_informative_units_are_the_fewest_that_hold_all_but_the_dropped_share(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(3, 1, 1), (2, 4, 4), (1, 8, 8)]
    bits = [
        torch.randn(shape, generator=generator, dtype=torch.float64).exp() ** 3 for shape in shapes
    ]
    masks = informative_units(bits)
    flat = torch.cat([each.flatten() for each in bits])
    kept = flat[torch.cat([mask.flatten() for mask in masks])]
    assert kept.sum() >= (1 - DROPPED_SHARE) * flat.sum()
    assert kept.sum() - kept.min() < (1 - DROPPED_SHARE) * flat.sum()
    assert kept.min() >= flat[~torch.cat([mask.flatten() for mask in masks])].max()
    assert 0 < len(kept) < len(flat)


def test_units_without_information_are_not_coded() -> None:
    bits = [torch.zeros(2, 3, 3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)]
    assert not any(mask.any() for mask in informative_units(bits))
    bits[0][1, 2, 0] = 1e-6
    assert [int(mask.sum()) for mask in informative_units(bits)] == [1, 0]
    assert informative_units(bits)[0][1, 2, 0]
    assert informative_units([]) == []
