"""Gaussians against torch's own, against Monte Carlo, and at the ends of the number range."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from helpers.members import for_all
from mrvae.distributions import BoundedScale, Gaussian, RawScale, SoftplusScale


def gaussian(seed: int, *shape: int) -> Gaussian:
    g = torch.Generator().manual_seed(seed)
    draws = torch.randn(2, *shape, generator=g, dtype=torch.float64)
    return Gaussian(draws[0], draws[1])


def twin(q: Gaussian) -> Normal:
    return Normal(q.mean, q.log_scale.exp())


def test_log_prob_is_scipys() -> None:
    q, z = gaussian(0, 50), gaussian(1, 50).mean * 3
    expected = stats.norm.logpdf(z, q.mean, q.log_scale.exp())
    torch.testing.assert_close(q.log_prob(z), torch.as_tensor(expected), rtol=1e-12, atol=1e-12)


def test_kl_is_torchs() -> None:
    q, p = gaussian(0, 50), gaussian(1, 50)
    torch.testing.assert_close(q.kl(p), kl_divergence(twin(q), twin(p)), rtol=1e-12, atol=1e-12)


def test_slopes_of_kl_are_those_of_torchs() -> None:
    """Also where one Gaussian is broadcast over the elements of the other."""
    for shapes in (((7, 5), (7, 5)), ((7, 5), (5,)), ((1,), (7, 5))):
        q, p = (
            Gaussian(*(t.requires_grad_() for t in gaussian(seed, *shape)))
            for seed, shape in enumerate(shapes)
        )
        weights = gaussian(2, 7, 5).mean
        found = torch.autograd.grad((q.kl(p) * weights).sum(), (*q, *p))
        expected = torch.autograd.grad((kl_divergence(twin(q), twin(p)) * weights).sum(), (*q, *p))
        for mine, exact in zip(found, expected, strict=True):
            torch.testing.assert_close(mine, exact, rtol=1e-12, atol=1e-12)


def test_kl_is_the_mean_log_ratio() -> None:
    q, p = gaussian(2, 8), gaussian(3, 8)
    noise = torch.randn(200_000, 8, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    z = q.sample(noise)
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(noise))
    assert ((ratio.mean(0) - q.kl(p)).abs() < 4 * error).all()


def test_kl_vanishes_at_equality_and_nowhere_else() -> None:
    q, p = gaussian(5, 1000), gaussian(6, 1000)
    assert torch.equal(q.kl(q), torch.zeros(1000, dtype=torch.float64))
    assert (q.kl(p) > 0).all()


def test_kl_keeps_its_digits_near_equality_in_single_precision() -> None:
    ratio = torch.logspace(-2.5, 0, 30)
    zero = torch.zeros_like(ratio)
    single = Gaussian(zero, ratio).kl(Gaussian(zero, zero)).double()
    exact = 0.5 * torch.expm1(2 * ratio.double()) - ratio.double()
    torch.testing.assert_close(single, exact, rtol=1e-4, atol=0)


@for_all("temperature", [1.0, 0.3, torch.linspace(0, 2, 7)[:, None].double()])
def test_a_sample_is_its_noise_scaled_and_shifted(temperature: float | Tensor) -> None:
    q, noise = gaussian(7, 7, 5), gaussian(8, 7, 5).mean
    z = q.sample(noise, temperature)
    torch.testing.assert_close((z - q.mean) / q.log_scale.exp(), temperature * noise)


def test_half_precision_parameters_are_computed_with_in_single() -> None:
    q = Gaussian(*(t.bfloat16() for t in gaussian(9, 20)))
    p = Gaussian(*(t.bfloat16() for t in gaussian(10, 20)))
    wide_q, wide_p = (Gaussian(*(t.float() for t in g)) for g in (q, p))
    noise = gaussian(11, 20).mean.float()
    for narrow, wide in (
        (q.kl(p), wide_q.kl(wide_p)),
        (q.log_prob(noise), wide_q.log_prob(noise)),
        (q.sample(noise), wide_q.sample(noise)),
    ):
        assert narrow.dtype == torch.float32
        assert torch.equal(narrow, wide)


def test_gradients_of_the_divergence_are_exact() -> None:
    inputs = [t.requires_grad_() for g in (gaussian(12, 6), gaussian(13, 6)) for t in g]
    assert torch.autograd.gradcheck(lambda a, b, c, d: Gaussian(a, b).kl(Gaussian(c, d)), inputs)


# -------------------------------------------------------------------------------------- scales


def test_a_raw_scale_is_its_logarithm() -> None:
    raw = gaussian(14, 9).mean
    assert torch.equal(RawScale()(raw), raw)


@for_all("beta", [math.log(2), 1.0, 3.0])
def test_softplus_scale_is_softplus(beta: float) -> None:
    raw = torch.linspace(-30, 30, 601, dtype=torch.float64) / beta
    expected = torch.log1p(torch.exp(beta * raw)) / beta
    torch.testing.assert_close(SoftplusScale(beta)(raw).exp(), expected, rtol=1e-12, atol=0)


@for_all("dtype", [torch.float32, torch.float64])
def test_softplus_scale_and_its_slope_hold_to_the_ends(dtype: torch.dtype) -> None:
    beta = math.log(2)
    raw = torch.tensor([-1e4, -500, -60, -57, -10, 0, 10, 57, 60, 500, 1e4], dtype=dtype)
    raw.requires_grad_()
    log_scale = SoftplusScale(beta)(raw)
    (slope,) = torch.autograd.grad(log_scale.sum(), raw)
    y = beta * raw.detach().double()
    softplus = y.clamp(min=0) + torch.log1p(torch.exp(-y.abs()))
    far = y < -30
    exact = torch.where(far, y, softplus.log()) - math.log(beta)
    exact_slope = beta * torch.where(far, 1.0, torch.sigmoid(y) / softplus)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(log_scale.double(), exact, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(slope.double(), exact_slope, rtol=tolerance, atol=0)


def test_softplus_scale_widens_half_precision() -> None:
    raw = torch.tensor([-300.0, 3.0], dtype=torch.bfloat16)
    assert torch.equal(SoftplusScale()(raw), SoftplusScale()(raw.float()))


@for_all("beta", [0.0, -1.0, math.nan])
def test_softplus_scale_refuses_its_impossible_slopes(beta: float) -> None:
    with pytest.raises(ValueError, match="beta"):
        SoftplusScale(beta)


@for_all(("beta", "lowest", "highest"), [(0.7, -5.0, 0.0), (2.0, -1.0, 3.0)])
def test_a_bounded_scale_is_a_softplus_of_the_variance_between_its_bounds(
    beta: float, lowest: float, highest: float
) -> None:
    """Inside as the formula says, at the bounds exact and without a slope."""
    raw = torch.cat([torch.linspace(-30, 30, 601), torch.tensor([-1e4, 1e4])]).double()
    raw.requires_grad_()
    variance = 2 * BoundedScale(beta, lowest, highest)(raw)
    (slope,) = torch.autograd.grad(variance.sum(), raw)
    free = torch.log(torch.log1p(torch.exp(beta * raw.detach().clamp(-40, 40))) / beta)
    torch.testing.assert_close(variance, free.clamp(lowest, highest), rtol=1e-9, atol=1e-9)
    assert (variance.min().item(), variance.max().item()) == (lowest, highest)
    outside = (free < lowest) | (free > highest)
    assert not slope[outside].any()
    assert (slope[~outside] > 0).all()


@for_all("wrong", [(0.0, -5.0, 0.0), (0.7, 1.0, 1.0), (0.7, math.nan, 0.0)])
def test_a_bounded_scale_refuses_bounds_that_hold_nothing(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"beta is|lowest is"):
        BoundedScale(*wrong)
