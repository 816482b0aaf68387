"""Laplace and logistic laws: closed forms against quadrature, Monte Carlo and differences."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from helpers.members import for_all
from mrvae.distributions import Distribution, Gaussian, Laplace, Logistic, gaussian_laplace_kl

FAMILIES = (Laplace, Logistic)
TWINS = {Laplace: stats.laplace, Logistic: stats.logistic}
CASES = [(m, s, r) for m in (0.0, 0.3, -2.0, 8.0) for s in (0.02, 0.7, 5.0) for r in (0.1, 2.0)]


def double(*values: float) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(value, dtype=torch.float64) for value in values)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@for_all(("mean", "scale", "rate"), CASES)
def test_the_divergence_is_the_integral(mean: float, scale: float, rate: float) -> None:

    def integrand(z: float) -> float:
        log_q = -0.5 * ((z - mean) / scale) ** 2 - math.log(scale * math.sqrt(2 * math.pi))
        return math.exp(log_q) * (log_q - math.log(rate / 2) + rate * abs(z))

    low, high = mean - 12 * scale, mean + 12 * scale
    ends = sorted({low, high, min(max(0.0, low), high), mean})
    pieces = pairwise(ends)
    exact = sum(integrate.quad(integrand, a, b, epsabs=1e-12, epsrel=1e-12)[0] for a, b in pieces)
    found = gaussian_laplace_kl(*double(mean, scale, rate)).item()
    assert found == pytest.approx(exact, abs=1e-8)


def test_the_divergence_is_the_mean_log_ratio_about_any_location() -> None:
    draws = normal(4, 20, seed=1)
    q, p = Gaussian(draws[0], draws[1]), Laplace(draws[2], draws[3])
    z = q.sample(normal(100_000, 20, seed=2))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - p.kl_from(q, z[0])).abs() < 4.5 * error).all()


def test_the_estimate_of_a_logistic_has_the_integral_as_its_mean() -> None:
    q, p = Gaussian(*double(0.4, -0.5)), Logistic(*double(-0.2, 0.1))
    twin, other = stats.norm(0.4, math.exp(-0.5)), stats.logistic(-0.2, math.exp(0.1))
    exact = integrate.quad(lambda z: twin.pdf(z) * (twin.logpdf(z) - other.logpdf(z)), -9, 9)[0]
    estimate = p.kl_from(q, q.sample(normal(200_000)))
    error = estimate.std() / math.sqrt(len(estimate))
    assert (estimate.mean() - exact).abs() < 4 * error
    assert [law(*double(0.0, 0.0)).exact_kl for law in (*FAMILIES, Gaussian)] == [True, False, True]


@for_all(("mean", "scale", "rate"), [*CASES, (1e-9, 1.0, 1.0), (3.0, 0.1, 9.0)])
def test_the_slope_is_that_of_differences(mean: float, scale: float, rate: float) -> None:
    inputs = tuple(value.requires_grad_() for value in double(mean, scale, rate))
    assert torch.autograd.gradcheck(gaussian_laplace_kl, inputs, eps=1e-6, atol=1e-6, rtol=1e-5)


@for_all("dtype", [torch.float32, torch.float64])
@for_all("scale", [1.0, 1e-6, 1e-30])
@for_all("ratio", [0.0, 1e-3, 39.9, 40.1, 1e3, 1e6])
def test_it_holds_to_the_ends_of_the_range(ratio: float, scale: float, dtype: torch.dtype) -> None:
    """E|z| ≥ |μ|, with equality far from zero; slopes are erf and a density, and finite."""
    mean = torch.tensor(ratio * scale, dtype=dtype, requires_grad=True)
    s = torch.tensor(scale, dtype=dtype, requires_grad=True)
    rate = torch.tensor(2.0, dtype=dtype)
    found = gaussian_laplace_kl(mean, s, rate)
    t = ratio
    size = scale * (math.sqrt(2 / math.pi) * math.exp(-t * t / 2) + t * math.erf(t / math.sqrt(2)))
    exact = -0.5 * math.log(2 * math.pi * math.e) - math.log(scale) + 2 * size
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert found.item() == pytest.approx(exact, rel=tolerance, abs=tolerance)
    found.backward()  # type: ignore[no-untyped-call]
    assert mean.grad is not None
    assert mean.grad.item() == pytest.approx(2 * math.erf(t / math.sqrt(2)), abs=tolerance)
    bell = math.sqrt(2 / math.pi) * math.exp(-t * t / 2)
    assert s.grad is not None
    assert s.grad.item() == pytest.approx(2 * bell - 1 / scale, rel=1e-5)


@for_all("family", FAMILIES)
def test_densities_are_scipys(family: type[Laplace] | type[Logistic]) -> None:
    law, z = family(normal(50), normal(50, seed=1)), 4 * normal(50, seed=2)
    expected = TWINS[family].logpdf(z, law.location, law.log_scale.exp())
    torch.testing.assert_close(law.log_prob(z), torch.as_tensor(expected), rtol=1e-12, atol=1e-12)


@for_all("family", FAMILIES)
def test_draws_are_quantiles(family: type[Laplace] | type[Logistic]) -> None:
    """The quantile of z is that of its noise, at 30 standard deviations too."""
    noise = torch.tensor([-30.0, -8.0, -1.0, -1e-9, 0.0, 0.5, 3.0, 30.0], dtype=torch.float64)
    law: Distribution = family(*double(0.3, -0.7))
    found = TWINS[family].logcdf(law.sample(noise), 0.3, math.exp(-0.7))
    expected = torch.as_tensor(stats.norm.logcdf(noise))
    torch.testing.assert_close(torch.as_tensor(found), expected, rtol=1e-9, atol=1e-12)
    cold = law.sample(noise, 0.25) - 0.3
    torch.testing.assert_close(cold, 0.25 * (law.sample(noise) - 0.3), rtol=1e-12, atol=1e-12)
