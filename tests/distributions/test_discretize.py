"""Levels, their centres and their bins."""

from __future__ import annotations

import pytest
import torch

from helpers.members import for_all
from mrvae.distributions import Bins

COUNTS = (2, 3, 17, 32, 255, 256)
DTYPES = (torch.float32, torch.float64)


def levels(count: int) -> torch.Tensor:
    return torch.arange(count, dtype=torch.uint8)


@for_all("dtype", DTYPES)
@for_all("count", COUNTS)
def test_levels_survive_the_round_trip(count: int, dtype: torch.dtype) -> None:
    unit = Bins(count).to_unit(levels(count), dtype)
    assert unit.dtype == dtype
    assert unit[[0, -1]].tolist() == [-1, 1]
    assert torch.equal(Bins(count).to_bin(unit), levels(count))


@for_all("dtype", DTYPES)
@for_all("count", COUNTS)
def test_neighbouring_bins_share_their_edge_to_the_last_bit(count: int, dtype: torch.dtype) -> None:
    lower, upper = Bins(count).edges(levels(count), dtype)
    assert torch.equal(upper[:-1], lower[1:])


@for_all("count", COUNTS)
def test_a_bin_reaches_half_a_spacing_from_its_level(count: int) -> None:
    bins = Bins(count)
    centre = bins.to_unit(levels(count), torch.float64)
    lower, upper = bins.edges(levels(count), torch.float64)
    torch.testing.assert_close(centre.diff(), torch.full_like(centre[1:], 2 * bins.half_width))
    torch.testing.assert_close(upper - centre, torch.full_like(centre, bins.half_width))
    torch.testing.assert_close(centre - lower, torch.full_like(centre, bins.half_width))


@for_all("count", COUNTS)
def test_a_value_goes_to_the_level_whose_bin_holds_it(count: int) -> None:
    bins = Bins(count)
    lower, upper = bins.edges(levels(count), torch.float64)
    assert torch.equal(bins.to_bin(lower + 1e-9), levels(count))
    assert torch.equal(bins.to_bin(upper - 1e-9), levels(count))
    far = torch.tensor([-torch.inf, -7.0, 7.0, torch.inf])
    assert bins.to_bin(far).tolist() == [0, 0, count - 1, count - 1]


def test_eight_bits_are_the_familiar_ones() -> None:
    x = levels(256)
    torch.testing.assert_close(
        Bins(256).to_unit(x, torch.float64), (x.double() - 127.5) / 127.5, rtol=0, atol=1e-15
    )


@for_all("count", [-1, 0, 1, 257])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=str(count)):
        Bins(count)


def test_images_of_other_bins_are_refused() -> None:
    Bins(17).check(levels(17))
    Bins(17).check(levels(0))
    with pytest.raises(ValueError, match=r"value 17; expected 0…16"):
        Bins(17).check(levels(18))
    with pytest.raises(ValueError, match=r"float32.*uint8"):
        Bins(17).check(torch.zeros(3))
