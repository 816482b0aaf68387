"""Quantisers: the nearest level, the identity on levels, and zero where it belongs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers.members import for_all
from mrvae.distributions import MidRise, MidTread, Quantiser

SCALE = torch.tensor([28.0, 7.3, 1.0, 0.24, 0.0], dtype=torch.float64)
every_quantiser = for_all(
    "quantiser", [MidRise(1), MidRise(2), MidRise(5), MidTread(0.5), MidTread(3.0), MidTread(100.0)]
)


def coefficients(count: int = 4001) -> Tensor:
    """Return, for every S, coefficients from -S to S."""
    return torch.linspace(-1, 1, count, dtype=torch.float64)[:, None] * SCALE


def values(quantiser: Quantiser, index: int) -> Tensor:
    """Return all values that one S has."""
    scale = SCALE[index]
    return quantiser.decode(torch.arange(quantiser.grid(scale).most), scale)


@every_quantiser
def test_a_quantiser_is_idempotent(quantiser: Quantiser) -> None:
    levels = quantiser.encode(coefficients(), SCALE)
    again = quantiser.encode(quantiser.decode(levels, SCALE), SCALE)
    assert torch.equal(again[:, :-1], levels[:, :-1])
    decoded = quantiser.decode(levels, SCALE)
    assert torch.equal(quantiser.decode(again, SCALE), decoded)


@every_quantiser
def test_it_takes_the_nearest_of_its_values(quantiser: Quantiser) -> None:
    c = coefficients()
    decoded = quantiser.decode(quantiser.encode(c, SCALE), SCALE)
    for i in range(len(SCALE)):
        least = (c[:, i, None] - values(quantiser, i)).abs().amin(1)
        torch.testing.assert_close((c[:, i] - decoded[:, i]).abs(), least, rtol=0, atol=1e-12)


@every_quantiser
def test_its_levels_are_those_of_its_grid(quantiser: Quantiser) -> None:
    """The grid's values are the coefficients', divided by their largest, on [-1, 1]."""
    grid = quantiser.grid(SCALE)
    levels = torch.minimum(torch.arange(grid.most)[:, None], grid.last(SCALE).long())
    on_grid, c = grid.value(levels, torch.float64), quantiser.decode(levels, SCALE)
    assert on_grid.abs().max() <= 1
    top = quantiser.decode(grid.last(SCALE).long(), SCALE).clamp(min=1e-300)
    ends = grid.value(grid.last(SCALE).long(), torch.float64)
    torch.testing.assert_close(on_grid * (top / ends.clamp(min=1e-300)), c, rtol=1e-12, atol=1e-12)


@every_quantiser
def test_what_is_beyond_goes_to_the_ends(quantiser: Quantiser) -> None:
    beyond = SCALE + 1000
    last = quantiser.grid(SCALE).last(SCALE).long()
    assert torch.equal(quantiser.encode(beyond, SCALE), last.expand_as(SCALE))
    assert quantiser.encode(-beyond, SCALE).abs().max() == 0


@for_all("bits", [1, 2, 5])
def test_mid_rise_values_are_odd_multiples_of_the_half_width(bits: int) -> None:
    expected = torch.arange(1 - 2**bits, 2**bits, 2) / 2**bits
    assert torch.equal(values(MidRise(bits), 2), expected.double())


def test_mid_tread_has_zero_and_as_many_levels_as_the_magnitude_needs() -> None:
    quantiser = MidTread(0.5)
    counts = quantiser.grid(SCALE).count
    assert isinstance(counts, Tensor)
    assert counts.tolist() == [113, 31, 5, 1, 1]
    for i in range(len(SCALE)):
        assert 0.0 in values(quantiser, i).tolist()
    error = (
        coefficients() - quantiser.decode(quantiser.encode(coefficients(), SCALE), SCALE)
    ).abs()
    assert error.max() <= 0.25 + 1e-12


def test_what_quantises_nothing_is_refused() -> None:
    for bits in (0, 17):
        with pytest.raises(ValueError, match=f"bits is {bits}"):
            MidRise(bits)
    for step in (0.0, -1.0):
        with pytest.raises(ValueError, match="step is"):
            MidTread(step)
