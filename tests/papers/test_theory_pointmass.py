"""Theorem 5 of Falck et al. 2022: the point mass, the boundary condition, and the growth."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from helpers.linear import image
from helpers.members import for_all
from helpers.narrow import gaussian
from helpers.tiny_vdvae import tiny_vdvae
from mrvae.distributions import Gaussian
from mrvae.models.build import build
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.papers.falck2022.euler import TwoStep, sampling_step
from mrvae.papers.falck2022.pointmass import (
    aggregate_kl,
    boundary,
    entry_states,
    first_posteriors,
    state_norms,
)
from mrvae.papers.falck2022.transport import energy
from mrvae.recipes import recipe

MODEL = tiny_vdvae()


def pictures(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 17, (count, 1, 8, 8), generator=generator).to(torch.uint8)


# ----------------------------------------------------------------------------- the point mass


@torch.no_grad()
def test_the_first_state_is_the_same_for_every_image() -> None:
    states = entry_states(MODEL, 5)
    assert torch.equal(states, states[:1].expand_as(states))
    assert states.abs().max() > 0
    # What the encoder knows at the same place is no point.
    assert MODEL.features(pictures(5))[0].var(0).max() > 1e-4


@torch.no_grad()
def test_the_point_is_zero_at_initialisation_only() -> None:
    untrained = build(recipe("digits-vdvae"))
    assert entry_states(untrained, 2).abs().max() == 0
    assert entry_states(MODEL, 2).abs().max() > 0


@torch.no_grad()
def test_the_states_after_the_first_cell_are_no_point_any_more() -> None:
    x = pictures(6)
    noise = torch.zeros(6, MODEL.noise_size, dtype=torch.float64)
    steps = MODEL.trace(MODEL.observe(x), from_posterior(), noise).steps
    assert steps[0].z.var(0).max() > 1e-7
    assert gaussian(steps[0].prior).mean.var(0).max() == 0
    assert gaussian(steps[-1].prior).mean.var(0).max() > 1e-7


@torch.no_grad()
def test_the_first_posteriors_are_those_of_a_trace() -> None:
    x, noise = pictures(4), MODEL.noise(4, torch.Generator().manual_seed(1))
    steps = MODEL.trace(MODEL.observe(x), from_posterior(), noise).steps
    posterior, prior = first_posteriors(MODEL, x)
    assert torch.equal(posterior.mean, cast(Gaussian, steps[0].posterior).mean)
    assert torch.equal(prior.log_scale, gaussian(steps[0].prior).log_scale)


# ----------------------------------------------------------------------- the boundary condition


def family(spread: float, count: int = 40) -> tuple[Gaussian, Gaussian, Tensor]:
    """Posteriors N(m, ¼) with means that are spread, a unit prior, and noise."""
    mean = spread * image(count, 2)
    zeros = torch.zeros_like(mean)
    half = torch.full_like(mean, math.log(0.5))
    return Gaussian(mean, half), Gaussian(zeros, zeros), image(200, count, 2, seed=1)


@for_all("spread", [0.0, 0.5, 2.0])
def test_from_a_point_the_boundary_condition_is_about_the_aggregate(spread: float) -> None:
    posterior, prior, noise = family(spread)
    point = boundary(posterior, prior, torch.zeros(40, 3), noise)
    assert point.boundary == pytest.approx(point.aggregate, abs=1e-12)
    assert point.boundary <= point.bound + 1e-12
    closed = float(posterior.kl(prior).sum(1).mean())
    assert point.bound == pytest.approx(closed, abs=0.05)


@for_all("spread", [0.5, 2.0])
def test_a_start_that_tells_images_apart_makes_it_the_bound(spread: float) -> None:
    posterior, prior, noise = family(spread)
    knowing = boundary(posterior, prior, torch.arange(40)[:, None], noise)
    assert knowing.boundary == pytest.approx(knowing.bound, abs=1e-12)
    assert knowing.boundary > knowing.aggregate + 10 * knowing.boundary_se
    # A start that knows half of it lies between.
    groups = boundary(posterior, prior, torch.arange(40)[:, None] // 20, noise)
    assert groups.aggregate < groups.boundary < groups.bound


def test_images_that_cannot_be_confused_cost_log_n() -> None:
    """Far apart, I(x; z) is log N, and the terms are closed forms."""
    mean = 100.0 * torch.arange(8, dtype=torch.float64)[:, None]
    unit = Gaussian(mean, torch.zeros_like(mean))
    prior = Gaussian(torch.zeros_like(mean), torch.zeros_like(mean))
    point = boundary(unit, prior, torch.zeros(8, 1), image(50, 8, 1))
    assert point.bound - point.boundary == pytest.approx(math.log(8), abs=1e-9)
    assert point.bound_se < 1e-9
    # log q - log p at z = m + ε is ½m² + mε, of which the second term is left to chance.
    assert point.bound == pytest.approx(float(mean.square().mean() / 2), rel=0.02)


def test_two_gaussians_agree_with_quadrature() -> None:
    """KL(½N(-1, 1) + ½N(1, 1) ‖ N(0, 1)) by the trapezoidal rule."""
    z = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    densities = [torch.exp(-0.5 * (z - m) ** 2) / math.sqrt(2 * math.pi) for m in (-1, 0, 1)]
    mixture = (densities[0] + densities[2]) / 2
    expected = float(torch.trapezoid(mixture * (mixture / densities[1]).log(), z))
    mean = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    unit, zeros = torch.zeros_like(mean), torch.zeros_like(mean)
    noise = image(40_000, 2, 1)
    point = boundary(Gaussian(mean, unit), Gaussian(zeros, unit), zeros, noise)
    assert 0 < point.error < 0.01
    assert point.aggregate == pytest.approx(expected, abs=4 * point.error)
    by_quadrature = aggregate_kl(Gaussian(mean, unit), Gaussian(zeros, unit), nodes=64)
    assert by_quadrature == pytest.approx(expected, rel=1e-6)


def test_the_aggregate_of_independent_axes_is_the_sum_of_its_axes() -> None:
    """Means on a grid, and a prior that is no unit: log q₁/p₁ is a sum over the axes."""
    means = torch.tensor([-0.4, 0.1, 0.9], dtype=torch.float64)
    grid = torch.cartesian_prod(means, means)

    def term(mean: Tensor) -> float:
        prior = Gaussian(torch.full_like(mean, 0.3), torch.full_like(mean, 0.4))
        return aggregate_kl(Gaussian(mean, torch.full_like(mean, -0.2)), prior, nodes=40)

    assert term(grid) == pytest.approx(2 * term(means[:, None]), rel=1e-9)
    # Jensen: the aggregate is nearer to the prior than its parts are, by less than log N.
    parts = Gaussian(means, torch.full_like(means, -0.2))
    prior = Gaussian(torch.full_like(means, 0.3), torch.full_like(means, 0.4))
    mean = float(parts.kl(prior).mean())
    assert 0 < mean - term(means[:, None]) < math.log(3)


def test_the_standard_error_is_that_of_repeated_estimates() -> None:
    posterior, prior, _ = family(1.0, count=10)
    start = torch.zeros(10, 1)
    found = [boundary(posterior, prior, start, image(20, 10, 2, seed=k)) for k in range(200)]
    spread = float(torch.tensor([one.boundary for one in found]).std())
    typical = float(torch.tensor([one.error for one in found]).mean())
    assert 0.8 * spread < typical < 1.25 * spread


def test_a_prior_that_depends_on_the_image_is_refused() -> None:
    posterior, _, noise = family(1.0)
    with pytest.raises(ValueError, match="the prior differs between images"):
        boundary(posterior, posterior, torch.zeros(40, 1), noise)


# ----------------------------------------------------------------------------------- growth


@torch.no_grad()
def test_the_norms_are_those_of_the_states() -> None:
    noise = MODEL.noise(5, torch.Generator().manual_seed(0))
    norms = state_norms(MODEL, noise)
    cell = cast(VDVAECell, MODEL.stages[0].visits[0])
    prior, moved = cell.prior(entry_states(MODEL, 5))
    first = cell.advance(moved, prior.sample(noise[:, :3, None, None]))
    torch.testing.assert_close(norms[0], first.square().sum(1).mean((-2, -1)).sqrt())
    assert len(norms) == MODEL.stochastic_depth


@torch.no_grad()
def test_the_half_step_adds_the_energy_of_its_noise() -> None:
    """E‖Z₊‖² = ‖Z + μ₁‖² + Σ_ck W_ck² s_k², within four standard errors; nothing without σ."""
    cell = cast(VDVAECell, MODEL.stages[0].visits[0])
    h, scheme = entry_states(MODEL, 1), sampling_step(cell)
    draws = image(20_000, 3, 1, 1)
    states = h.expand(len(draws), -1, -1, -1)
    gained = energy(scheme.half(states, draws), 2) - energy(scheme.half(h, 0 * draws[:1]), 2)
    scale = torch.exp(cell.prior(h)[0].log_scale[0, :, 0, 0])
    expected = (cell.project.weight[:, :, 0, 0].square() * scale.square()).sum()
    error = gained.std() / len(draws) ** 0.5
    assert (gained.mean() - expected).abs() < 4 * error < 0.2 * expected
    still = energy(scheme.without_noise().half(states, draws), 2)
    assert still.var() < 1e-24


@torch.no_grad()
def test_without_noise_all_samples_are_one() -> None:
    """Nothing else is random: with σ off the law of every state is a point mass."""
    noise = MODEL.noise(6, torch.Generator().manual_seed(0))
    for norm in state_norms(MODEL, noise, TwoStep.without_noise):
        assert norm.max() - norm.min() < 1e-9
    assert all(norm.max() - norm.min() > 1e-3 for norm in state_norms(MODEL, noise))
