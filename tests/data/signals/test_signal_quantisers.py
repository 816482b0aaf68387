from __future__ import annotations

import math

import numpy as np

from helpers.members import for_all
from mrvae.data.signals.quantisers import Linear, MuLaw, SignalBins

QUANTISERS = (Linear(-1.0, 1.0), Linear(-128.0, 256.0, bins=128), Linear(0.1, 0.7, 3), MuLaw())


def spread(quantiser: SignalBins, count: int = 20_000) -> np.ndarray:
    """Numbers in the range and beyond it, ascending."""
    low, high = quantiser.lowest, quantiser.highest
    inside = np.random.default_rng(0).uniform(low, high, count)
    # Sound is mostly quiet, where the bins of mu-law are narrow.
    quiet = (low + high) / 2 + (inside - (low + high) / 2) ** 3 / (high - low) ** 2
    beyond = np.array([low - (high - low), low, high, high + (high - low)])
    return np.sort(np.concatenate([inside, quiet, beyond]))


@for_all("quantiser", QUANTISERS)
def test_the_middle_of_a_bin_is_in_it(quantiser: SignalBins) -> None:
    k = np.arange(quantiser.bins, dtype=np.uint8)
    assert np.array_equal(quantiser.encode(quantiser.decode(k)), k)


@for_all("quantiser", QUANTISERS)
def test_bins_and_values_increase_and_every_bin_is_used(quantiser: SignalBins) -> None:
    k = quantiser.encode(spread(quantiser))
    assert (np.diff(k.astype(int)) >= 0).all()
    assert np.array_equal(np.unique(k), np.arange(quantiser.bins))
    assert (np.diff(quantiser.decode(np.arange(quantiser.bins, dtype=np.uint8))) > 0).all()


@for_all("quantiser", QUANTISERS)
def test_a_number_lies_between_the_middles_of_the_bins_beside_its_own(
    quantiser: SignalBins,
) -> None:
    x = spread(quantiser)
    x = x[(x > quantiser.lowest) & (x < quantiser.highest)]
    k = quantiser.encode(x).astype(int)
    values = quantiser.decode(np.arange(quantiser.bins, dtype=np.uint8))
    edges = np.concatenate([[quantiser.lowest], values, [quantiser.highest]])
    assert (edges[k] <= x).all()
    assert (x <= edges[k + 2]).all()


def test_mu_law_is_the_formula_of_g711() -> None:
    quantiser = MuLaw()
    for x in (-0.9, -0.02, 0.0003, 0.5):
        y = math.copysign(math.log(1 + 255 * abs(x)) / math.log(256), x)
        assert quantiser.encode(np.array([x]))[0] == int((y + 1) * 128)
        k = quantiser.encode(np.array([x]))
        middle = (k[0] + 0.5) / 128 - 1
        value = math.copysign((256 ** abs(middle) - 1) / 255, middle)
        assert math.isclose(quantiser.decode(k)[0], value, rel_tol=1e-12)
