"""Theorem 4 of Falck et al. 2022: the cell of VDVAE is two forward Euler steps of one equation."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import Tensor

from helpers.linear import image
from helpers.members import for_all
from helpers.tiny_vdvae import SHARED, tiny_vdvae
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.models.hierarchy.walk import from_posterior, from_prior
from mrvae.papers.falck2022.euler import TwoStep, euler_steps, inference_step, sampling_step
from mrvae.papers.falck2022.orders import slope
from mrvae.resolution import Bridge, Ladder, coarser_noise

MODEL = tiny_vdvae()
CELLS = [
    (index, cell) for index, stage in enumerate(MODEL.stages) for cell, _ in enumerate(stage.visits)
]
every_cell = for_all("place", CELLS)


def cell_at(place: tuple[int, int]) -> VDVAECell:
    return cast(VDVAECell, MODEL.stages[place[0]].visits[place[1]])


def inputs(place: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """A state, features and noise for a cell."""
    side = MODEL.stages[place[0]].shapes[0][-1]
    return image(4, 8, side, side), image(4, 8, side, side, seed=1), image(4, 3, side, side, seed=2)


@every_cell
@torch.no_grad()
def test_the_cell_is_two_euler_steps(place: tuple[int, int]) -> None:
    cell, (h, features, noise) = cell_at(place), inputs(place)
    prior, moved = cell.prior(h)
    posterior = cell.posterior(h, features)
    for scheme, choose in (
        (sampling_step(cell), from_prior()),
        (inference_step(cell, features), from_posterior()),
    ):
        expected = cell.advance(moved, choose(prior, posterior, noise))
        torch.testing.assert_close(scheme.step(h, noise), expected, rtol=0, atol=1e-12)


@every_cell
@torch.no_grad()
def test_other_ways_to_take_the_steps_are_not_the_cell(place: tuple[int, int]) -> None:
    cell, (h, features, noise) = cell_at(place), inputs(place)
    prior, moved = cell.prior(h)
    expected = cell.advance(moved, prior.sample(noise))
    scheme = sampling_step(cell)
    half = scheme.half(h, noise)
    one_step = half + scheme.second(h)
    first_last = replace(scheme, first=scheme.second, second=scheme.first).step(h, noise)
    others = one_step, first_last, inference_step(cell, features).step(h, noise)
    shifted_bias = half + cast(Tensor, cell.project.bias)[:, None, None]
    for wrong in (*others, scheme.without_noise().step(h, noise), shifted_bias):
        assert (wrong - expected).abs().max() > 1e-3


@every_cell
@torch.no_grad()
def test_the_half_step_is_linear_in_the_noise_and_has_its_covariance(
    place: tuple[int, int],
) -> None:
    """σ σᵀ = W diag(s²) Wᵀ on each pixel."""
    cell, (h, _, _) = cell_at(place), inputs(place)
    h = h[:1]
    scheme, side = sampling_step(cell), h.shape[-1]
    units = torch.zeros(3, 3, side, side, dtype=h.dtype)
    units[range(3), range(3), 0, 0] = 1
    still = scheme.half(h, torch.zeros_like(units[:1]))
    response = (scheme.half(h, units) - still)[:, :, 0, 0]
    weight = cell.project.weight[:, :, 0, 0]
    scale = torch.exp(cell.prior(h)[0].log_scale[0, :, 0, 0])
    expected = weight @ torch.diag(scale**2) @ weight.T
    torch.testing.assert_close(response.T @ response, expected)
    doubled = scheme.half(h, 2 * units) - still
    torch.testing.assert_close(doubled[:, :, 0, 0], 2 * response)


@torch.no_grad()
def test_a_whole_decoder_is_a_sequence_of_two_steps() -> None:
    noise = MODEL.noise(3, torch.Generator().manual_seed(0))
    trace = MODEL.trace(MODEL.condition(()), from_prior(), noise)
    steps = euler_steps(MODEL, noise)
    assert len(steps) == len(trace.steps)
    for euler, step in zip(steps, trace.steps, strict=True):
        torch.testing.assert_close(euler.after, step.state, rtol=0, atol=1e-11)
        torch.testing.assert_close(euler.cell.prior(euler.before)[0].sample(euler.noise), step.z)


@torch.no_grad()
def test_shared_cells_are_one_time_homogeneous_scheme() -> None:
    """A cell visited r times is r steps of one equation whose coefficients know no time."""
    stage = MODEL.stages[2]
    shared = stage.visits[-SHARED:]
    assert all(cell is shared[0] for cell in shared)
    scheme = sampling_step(cast(VDVAECell, shared[0]))
    h, noises = image(2, 8, 8, 8), image(SHARED, 2, 3, 8, 8, seed=3)
    by_cells = by_scheme = h
    for cell, eps in zip(shared, noises, strict=True):
        prior, moved = cell.prior(by_cells)
        by_cells = cell.advance(moved, prior.sample(eps))
        by_scheme = scheme.step(by_scheme, eps)
    torch.testing.assert_close(by_scheme, by_cells, rtol=0, atol=1e-12)
    other = sampling_step(cast(VDVAECell, stage.visits[0])).step(h, noises[0])
    assert (other - scheme.step(h, noises[0])).abs().max() > 1e-2


@torch.no_grad()
def test_a_network_drives_a_bridge_and_the_two_steps_tend_to_it() -> None:
    cell, (h, _, _) = cell_at((1, 1)), inputs((1, 1))
    scheme = sampling_step(cell)
    bridge = Bridge(Ladder(1, 0), (0.0, 1.0), (scheme.stage(),))
    noise = image(64, 4, 3, 4, 4, seed=5)

    def distances(one: TwoStep) -> list[float]:
        found = []
        for factor in (8, 4, 2):
            rough, z = coarser_noise(noise, factor), h
            for xi in rough:
                z = replace(one, h=1 / len(rough)).step(z, xi)
            found.append(float((z - bridge.end(h, [rough])).square().mean().sqrt()))
        return found

    assert 0.8 < slope(distances(scheme)) < 1.2
    assert abs(slope(distances(replace(scheme, second=torch.zeros_like)))) < 0.1
    assert abs(slope(distances(scheme.without_noise()))) < 0.1


@torch.no_grad()
def test_a_bridge_climbs_with_the_drifts_of_the_decoder_s_cells() -> None:
    """One homogeneous stage a level, with noise of the latents' shape; support in V_j."""
    stages = tuple(sampling_step(cell_at((stage, 0))).stage() for stage in (0, 1, 2))
    ladder = Ladder(base=2, depth=2)
    bridge = Bridge(ladder, (0.0, 0.3, 0.6, 1.0), stages)
    noise = [image(4, 2, 3, 2 << level, 2 << level, seed=level) for level in range(3)]
    start = image(2, 8, 2, 2, seed=9)
    ends = bridge.ends(start, noise)
    z = start
    for level, (stage, xi) in enumerate(zip(stages, noise, strict=True)):
        z = ladder.embed(z) if level else z
        h = (bridge.times[level + 1] - bridge.times[level]) / 4
        for eps in xi:
            z = z + h * stage.drift(0.0, z) + h**0.5 * stage.diffusion(0.0, z, eps)
        torch.testing.assert_close(ends[level], z)


def test_the_orders_of_the_splitting_are_known_for_a_linear_equation() -> None:
    """(1 + h a)(1 + h b) against e^{a+b}: order 1, and the local error is h² (a² + b²)/2."""
    a, b, one = -0.7, 1.1, torch.ones(1, dtype=torch.float64)
    errors = []
    for steps in (16, 32, 64):
        scheme = TwoStep(lambda z: a * z, lambda z, e: 0 * e, lambda z: b * z, h=1 / steps)
        z = one
        for _ in range(steps):
            z = scheme.step(z, torch.zeros_like(one))
        errors.append(float((z - torch.exp((a + b) * one)).abs()))
    assert 0.95 < slope(errors) < 1.05
    h = 1e-3
    scheme = TwoStep(lambda z: a * z, lambda z, e: 0 * e, lambda z: b * z, h=h)
    local = float(torch.exp((a + b) * h * one) - scheme.step(one, 0 * one))
    assert local == pytest.approx(h**2 * (a**2 + b**2) / 2, rel=1e-2)


def test_a_step_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="h is 0"):
        TwoStep(lambda z: z, lambda z, e: e, lambda z: z, h=0.0)
    with pytest.raises(ValueError, match="two or more, all positive"):
        slope([1.0])
