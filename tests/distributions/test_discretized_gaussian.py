"""Rounded Gaussians: masses that sum to one, scipy's, and finite at the ends of the range."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from helpers.members import for_all
from helpers.pmf import check_normalised
from mrvae.distributions import DiscretizedGaussian, Grid, MidRise

both_precisions = for_all("dtype", [torch.float32, torch.float64])
every_count = for_all("levels", [1, 2, 4, 17, 256])
ONE = torch.ones(())


def extremes(dtype: torch.dtype, decades: int = 8) -> tuple[Tensor, Tensor]:
    """Return means (M, 1) up to 10^decades and scales (1, S) from 10^-decades to 10^decades."""
    means = [0, 1e-3, 0.2, 1 / 3, -0.999, 1, -1, 1.5, -3, 30, -100, 1e4, -1e4]
    means += [10.0**decades, -(10.0**decades)] * (decades > 6)
    scales = torch.logspace(-decades, decades, 10 * decades + 1, dtype=dtype)
    return torch.tensor(means, dtype=dtype)[:, None], scales[None]


def mid_rise(bits: int) -> Grid:
    return MidRise(bits).grid(ONE)


def density(x: float, mean: float, scale: float) -> float:
    """Return the density of a Gaussian."""
    return math.exp(-(((x - mean) / scale) ** 2) / 2) / (scale * math.sqrt(2 * math.pi))


def by_scipy(law: DiscretizedGaussian, levels: int) -> Tensor:
    """Return the masses from scipy's distribution functions, each from its smaller tail."""
    mean, scale = law.mean.numpy(), law.scale.numpy()
    edges = [law.grid.edge(torch.tensor(level), torch.float64).item() for level in range(1, levels)]
    below = [stats.norm.cdf(edge, mean, scale) for edge in edges]
    above = [stats.norm.sf(edge, mean, scale) for edge in edges]
    masses = [below[0]]
    for left, right in zip(range(levels - 2), range(1, levels - 1), strict=True):
        lower, upper = below[right] - below[left], above[left] - above[right]
        masses.append((mean > edges[right]) * lower + (mean <= edges[right]) * upper)
    return torch.stack([torch.as_tensor(mass) for mass in (*masses, above[-1])], dim=-1)


@both_precisions
@every_count
def test_masses_sum_to_one_at_any_mean_and_scale(dtype: torch.dtype, levels: int) -> None:
    check_normalised(DiscretizedGaussian(*extremes(dtype), levels).pmf(), tolerance=1e-6)


@for_all("bits", [1, 2, 5, 8])
def test_masses_of_a_mid_rise_grid_sum_to_one_to_the_last_digit(bits: int) -> None:
    law = DiscretizedGaussian(*extremes(torch.float64), mid_rise(bits))
    check_normalised(law.pmf(), tolerance=1e-14)


@for_all(("mean", "scale", "total"), [(0.0, 1.0, 1.18), (0.0, 0.3, 1.33), (0.0, 0.02, 2.0)])
def test_bins_of_the_published_width_overlap(mean: float, scale: float, total: float) -> None:
    """Half a bin of 1/(2^n - 1) around levels 2/2^n apart, as released: more than one in all."""
    levels = mid_rise(2).value(torch.arange(4), torch.float64)
    lower, upper = levels - 1 / 3, levels + 1 / 3
    lower[0], upper[-1] = -math.inf, math.inf
    masses = stats.norm.cdf(upper, mean, scale) - stats.norm.cdf(lower, mean, scale)
    assert masses.sum() == pytest.approx(total, abs=0.01)


@for_all("levels", [2, 4, 17, 256])
def test_masses_are_scipys(levels: int) -> None:
    mean = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    scale = torch.logspace(-1.5, 1, 31, dtype=torch.float64)[None]
    law = DiscretizedGaussian(mean, scale, levels)
    torch.testing.assert_close(law.pmf(), by_scipy(law, levels), rtol=1e-8, atol=1e-15)


@for_all("z", [0.0, 0.3, 3.0, 30.0, 3000.0])
def test_a_narrow_bin_has_the_mass_of_its_density(z: float) -> None:
    """log P = log density + log width + O(width²), far beyond where P itself is a number."""
    spacing = 1e-6
    law = DiscretizedGaussian(torch.tensor(z, dtype=torch.float64), ONE, Grid(3, -spacing, spacing))
    expected = stats.norm.logpdf(z) + math.log(spacing)
    assert law.log_prob(torch.tensor(1)).item() == pytest.approx(expected, rel=1e-10, abs=1e-10)


def test_both_ways_to_the_logarithm_are_the_integral_of_the_density() -> None:
    """On either side of the border between narrow and wide bins, value and slope."""
    mean = torch.tensor([0.0, 0.4, 3.0, 12.0], dtype=torch.float64)[:, None]
    scale = torch.tensor([0.45, 0.49, 0.51, 0.6, 0.85, 0.9, 2.0], dtype=torch.float64)[None]
    law = DiscretizedGaussian(mean, scale, 5)
    for i, j in itertools.product(range(mean.numel()), range(scale.numel())):
        m, s = mean[i].item(), scale[0, j].item()
        mass, _ = integrate.quad(density, -0.25, 0.25, (m, s), epsabs=0, epsrel=1e-13)
        assert law.log_prob(torch.tensor(2))[i, j].item() == pytest.approx(
            math.log(mass), rel=1e-11
        )
    assert torch.autograd.gradcheck(
        lambda m, s: DiscretizedGaussian(m, s, 5).log_prob(torch.tensor(2)),
        (mean.requires_grad_(), scale.requires_grad_()),
    )


def test_single_precision_keeps_the_digits_of_narrow_bins() -> None:
    """At a scale of 10⁶ a bin is narrower than the last digit of its edge's distribution."""
    mean = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)[:, None]
    scale = torch.logspace(-1, 6, 36, dtype=torch.float64)[None]
    level = torch.arange(256).view(-1, 1, 1)
    exact = DiscretizedGaussian(mean, scale, 256).log_prob(level)
    single = DiscretizedGaussian(mean.float(), scale.float(), 256).log_prob(level).double()
    torch.testing.assert_close(single, exact, rtol=1e-4, atol=1e-4)


@both_precisions
@every_count
def test_logarithms_and_their_slopes_are_finite(dtype: torch.dtype, levels: int) -> None:
    # Further out, a slope is too large for single precision.
    mean, scale = (t.requires_grad_() for t in extremes(dtype, decades=6))
    law = DiscretizedGaussian(mean, scale, levels)
    every = law.log_prob(torch.arange(levels).view(-1, 1, 1))
    assert torch.isfinite(every).all()
    assert every.max() <= 0
    for slope in torch.autograd.grad(every.sum(), (mean, scale), allow_unused=levels == 1):
        assert levels == 1 or torch.isfinite(slope).all()


@for_all("scale", [1e-3, 1.0, 1e3, 1e5])
def test_bins_too_narrow_for_single_precision_have_a_logarithm(scale: float) -> None:
    """Far from the mean both edges of a bin are the same number; its mass is then nearly right."""
    grid, level = Grid(100_001, -1.0, 2e-5), torch.tensor([1, 50_000, 99_999])
    mean = torch.tensor([[0.3], [1e4], [-1e4]], dtype=torch.float64)
    single = DiscretizedGaussian(mean.float(), torch.tensor(scale), grid).log_prob(level)
    exact = DiscretizedGaussian(mean, torch.tensor(scale).double(), grid).log_prob(level)
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1.0)


def test_slopes_are_those_of_finite_differences() -> None:
    g = torch.Generator().manual_seed(0)
    mean = 2 * torch.rand(40, generator=g, dtype=torch.float64) - 1
    scale = 0.05 + torch.rand(40, generator=g, dtype=torch.float64)
    level = torch.randint(0, 6, (40,), generator=g)
    assert torch.autograd.gradcheck(
        lambda m, s: DiscretizedGaussian(m, s, 6).log_prob(level),
        (mean.requires_grad_(), scale.requires_grad_()),
    )


def test_elements_may_have_grids_of_their_own() -> None:
    counts = (1, 2, 7)
    single = [Grid.unit(count) for count in counts]
    grid = Grid(
        torch.tensor(counts),
        torch.tensor([float(each.first) for each in single], dtype=torch.float64),
        torch.tensor([float(each.spacing) for each in single], dtype=torch.float64),
    )
    mean = torch.tensor([5.0, 0.3, -0.2], dtype=torch.float64)
    scale = torch.tensor([1.0, 0.5, 0.2], dtype=torch.float64)
    together = DiscretizedGaussian(mean, scale, grid).pmf()
    check_normalised(together)
    for i, count in enumerate(counts):
        alone = DiscretizedGaussian(mean[i], scale[i], count).pmf()
        torch.testing.assert_close(together[i, :count], alone, rtol=1e-12, atol=0)
        assert together[i, count:].sum() == 0


def test_samples_have_the_masses() -> None:
    g = torch.Generator().manual_seed(1)
    law = DiscretizedGaussian(torch.tensor(0.3).double(), torch.tensor(0.6).double(), mid_rise(2))
    drawn = law.sample(torch.randn(20_000, generator=g, dtype=torch.float64))
    observed = torch.bincount(drawn, minlength=4)
    assert stats.chisquare(observed.numpy(), (law.pmf() * 20_000).numpy()).pvalue > 1e-3


def test_half_precision_is_computed_in_single() -> None:
    narrow = DiscretizedGaussian(torch.tensor(0.3).bfloat16(), torch.tensor(0.5).bfloat16(), 4)
    wide = DiscretizedGaussian(narrow.mean.float(), narrow.scale.float(), 4)
    assert narrow.pmf().dtype == torch.float32
    assert torch.equal(narrow.pmf(), wide.pmf())


# --------------------------------------------------------------------------------------- grids


@for_all("grid", [Grid.unit(5), Grid.unit(1), mid_rise(3), Grid(3, 2.0, 0.25)])
def test_levels_and_values_of_a_grid_are_each_others(grid: Grid) -> None:
    levels = torch.arange(grid.most)
    assert torch.equal(grid.code(grid.value(levels)), levels)
    middle = (grid.edge(levels, torch.float64) + grid.edge(levels + 1, torch.float64)) / 2
    torch.testing.assert_close(middle, grid.value(levels, torch.float64), rtol=0, atol=1e-15)


def test_what_is_no_grid_or_no_code_is_refused() -> None:
    with pytest.raises(ValueError, match="count is 0"):
        Grid.unit(4).__class__(0, 0.0, 1.0)
    with pytest.raises(ValueError, match="spacing is -1"):
        Grid(2, 0.0, -1.0)
    with pytest.raises(ValueError, match="count is tensor"):
        Grid(torch.tensor([3, 0]), 0.0, 1.0)
    with pytest.raises(ValueError, match="int32"):
        Grid.unit(4).check(torch.zeros(2, dtype=torch.int32))
    for level in (-1, 4):
        with pytest.raises(ValueError, match="count 4"):
            Grid.unit(4).check(torch.tensor([0, level]))
    Grid.unit(4).check(torch.arange(4))
