"""The logistic mixture: its layout, its tails, and its published counts."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from helpers.members import for_all
from helpers.pmf import check_normalised, check_samples
from mrvae.distributions import Bins, Categorical, DiscretizedLogisticMixture
from mrvae.distributions.logistic import log_mass

CASES = [
    (channels, bins, autoregressive)
    for channels in (1, 2, 3, 4)
    for bins in (2, 17, 32, 256)
    for autoregressive in (False, True)
]
EXTREMES = [0.0, 0.5, -0.5, 1.0, -1.0, -5.0, -7.0, 20.0, -100.0, 100.0, 1e3, -1e3, 1e4, -1e4]


def images(channels: int, bins: int, *sides: int, batch: int) -> Tensor:
    g = torch.Generator().manual_seed(1)
    return torch.randint(0, bins, (batch, channels, *sides), generator=g, dtype=torch.int64).to(
        torch.uint8
    )


def literal_pixel(rows: list[list[float]], x: list[int], bins: int) -> float:
    """Return p(x) of one pixel, term by term; rows[k] are the parameters of component k."""
    channels, half = len(x), 1 / (bins - 1)
    total, weights = 0.0, [math.exp(row[0]) for row in rows]
    for row, weight in zip(rows, weights, strict=True):
        probability, unit = weight / sum(weights), [2 * v / (bins - 1) - 1 for v in x]
        coefficients = iter(row[1 + 2 * channels :])
        for c in range(channels):
            mean = row[1 + c] + sum(math.tanh(next(coefficients)) * unit[j] for j in range(c))
            law = stats.logistic(mean, math.exp(max(row[1 + channels + c], -7)))
            upper = 1.0 if x[c] == bins - 1 else law.cdf(unit[c] + half)
            lower = 0.0 if x[c] == 0 else law.cdf(unit[c] - half)
            probability *= upper - lower
        total += probability
    return total


@for_all("channels", [1, 2, 3, 4])
def test_log_prob_is_the_formula_in_the_published_layout(channels: int) -> None:
    bins, components = 8, 3
    rows = DiscretizedLogisticMixture.parameter_channels(channels, 1, autoregressive=True)
    g = torch.Generator().manual_seed(channels)
    parameters = torch.randn(1, rows, components, 1, 2, generator=g, dtype=torch.float64)
    x = images(channels, bins, 1, 2, batch=1)
    expected = sum(
        math.log(literal_pixel(parameters[0, :, :, 0, w].T.tolist(), x[0, :, 0, w].tolist(), bins))
        for w in range(2)
    )
    mixture = DiscretizedLogisticMixture(parameters.flatten(1, 2), channels, bins)
    assert mixture.log_prob(x).item() == pytest.approx(expected, rel=1e-10)


@for_all(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@for_all(("channels", "bins", "autoregressive"), CASES)
def test_bins_sum_to_one_at_extreme_parameters(
    channels: int, bins: int, autoregressive: bool, dtype: torch.dtype, tolerance: float
) -> None:
    rows = DiscretizedLogisticMixture.parameter_channels(channels, 2, autoregressive)
    g = torch.Generator().manual_seed(0)
    values = torch.tensor(EXTREMES, dtype=dtype)
    parameters = values[torch.randint(len(EXTREMES), (50, rows, 4, 4), generator=g)]
    mixture = DiscretizedLogisticMixture(parameters, channels, bins, autoregressive)
    check_normalised(mixture.pmf(images(channels, bins, 4, 4, batch=50)), tolerance)
    if channels == 1 or not autoregressive:
        check_normalised(mixture.pmf(), tolerance)


@for_all(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@for_all("bins", [2, 17, 256])
def test_log_masses_sum_to_one(bins: int, dtype: torch.dtype, tolerance: float) -> None:
    means = torch.tensor([0, 0.003, -0.9, 1, 1.2, 40, -1e4], dtype=dtype)[:, None, None]
    log_scales = torch.tensor([-7, -5.5, -3, 0, 5, 30, 87, 104, 1e4], dtype=dtype)[:, None]
    mass = log_mass(torch.arange(bins), means, log_scales, Bins(bins))
    assert torch.isfinite(mass).all()
    check_normalised(mass.exp(), tolerance)


@for_all("log_scale", [40.0, 95.0, 120.0, 800.0, 1e4])
@for_all("dtype", [torch.float64, torch.float32])
def test_a_wide_logistic_is_its_density(log_scale: float, dtype: torch.dtype) -> None:
    scale = torch.tensor(log_scale, dtype=dtype, requires_grad=True)
    mass = log_mass(torch.tensor(100), torch.zeros((), dtype=dtype), scale, Bins(256))
    assert mass.item() == pytest.approx(math.log(2 / 255) - log_scale - math.log(4), rel=1e-6)
    (slope,) = torch.autograd.grad(mass, scale)
    assert slope.item() == pytest.approx(-1, abs=1e-6)


@for_all("dtype", [torch.float64, torch.float32])
def test_a_far_tail_falls_at_the_rate_of_its_scale(dtype: torch.dtype) -> None:
    mean, log_scale = torch.tensor(1.0, dtype=dtype, requires_grad=True), torch.tensor(-6.0)
    mass = log_mass(torch.tensor(10), mean, log_scale.to(dtype), Bins(256))
    (slope,) = torch.autograd.grad(mass, mean)
    scale, upper = math.exp(-6), (2 * 10 + 1) / 255 - 1
    exact = (upper - 1) / scale + math.log(-math.expm1(-2 / 255 / scale))
    assert mass.item() == pytest.approx(exact, rel=1e-6)
    assert slope.item() == pytest.approx(-1 / scale, rel=1e-6)


def test_log_scales_below_the_floor_count_as_the_floor() -> None:
    parameters = torch.tensor([0.0, 0.1, -50.0]).view(1, 3, 1, 1)
    floor = torch.tensor([0.0, 0.1, -7.0]).view(1, 3, 1, 1)
    low, at = (DiscretizedLogisticMixture(p, 1, 256).pmf() for p in (parameters, floor))
    assert torch.equal(low, at)


@for_all("log_scale", [-30.0, 4.0, 70.0, 1e4])
def test_samples_follow_the_pmf_at_any_scale(log_scale: float) -> None:
    parameters = torch.tensor([0.0, 30.0 if log_scale > 0 else 0.001, log_scale]).view(1, 3, 1, 1)
    mixture = DiscretizedLogisticMixture(parameters.expand(1, 3, 100, 200).contiguous(), 1, 4)
    probabilities = mixture.pmf()[0, 0, 0, 0].double()
    check_samples(probabilities, mixture.sample(torch.Generator().manual_seed(0)), 4)


def test_the_median_of_an_infinite_scale_is_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, 0.5))
    mixture = DiscretizedLogisticMixture(torch.tensor([0.0, 0.5, 1e4]).view(1, 3, 1, 1), 1, 5)
    assert mixture.sample().item() == 3


def test_free_channels_share_their_component() -> None:
    """Two far-apart components: given channel 0, channel 1 is known; without it, it is not."""
    parameters = torch.tensor(
        [[0.0, 0.0], [-1.0, 1.0], [-1.0, 1.0], [-6.0, -6.0], [-6.0, -6.0]], dtype=torch.float64
    ).view(1, 10, 1, 1)
    mixture = DiscretizedLogisticMixture(parameters, 2, 16, autoregressive=False)
    known = torch.tensor([15, 0], dtype=torch.uint8).view(1, 2, 1, 1)
    assert mixture.pmf()[0, 1, 0, 0, 15].item() == pytest.approx(0.5, abs=1e-9)
    assert mixture.pmf(known)[0, 1, 0, 0, 15].item() == pytest.approx(1, abs=1e-9)


def test_a_chain_of_channels_has_no_marginal_pmf() -> None:
    with pytest.raises(ValueError, match="given is None"):
        DiscretizedLogisticMixture(torch.zeros(1, 10, 1, 1), 3).pmf()
    DiscretizedLogisticMixture(torch.zeros(1, 3, 1, 1), 1).pmf()


@for_all(
    ("channels", "components", "autoregressive", "expected"),
    [(3, 10, True, 100), (3, 10, False, 70), (1, 10, True, 30), (4, 1, True, 15)],
)
def test_parameter_counts(
    channels: int, components: int, autoregressive: bool, expected: int
) -> None:
    count = DiscretizedLogisticMixture.parameter_channels(channels, components, autoregressive)
    assert count == expected


def test_wrong_parameter_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="99 channels; expected a positive multiple of 10"):
        DiscretizedLogisticMixture(torch.zeros(1, 99, 1, 1), 3)
    with pytest.raises(ValueError, match="0 channels"):
        DiscretizedLogisticMixture(torch.zeros(1, 0, 1, 1), 3)
    with pytest.raises(ValueError, match="33 channels; expected 34"):
        Categorical(torch.zeros(1, 33, 1, 1), 2, 17)
    with pytest.raises(ValueError, match="count is 1"):
        DiscretizedLogisticMixture(torch.zeros(1, 3, 1, 1), 1, bins=1)
