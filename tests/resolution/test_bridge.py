"""Theorem 1 of Falck et al. 2022: the support of a bridge, its moments, and orders of convergence.

The outside truth is the closed form of linear equations. A scheme's moments are computed exactly:
a linear scheme is run once with no noise, for its mean, and once with each unit of noise, for its
covariance, so that no sampling error hides the error of the scheme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from helpers.linear import image
from helpers.members import for_all
from mrvae.papers.falck2022.orders import (
    Errors,
    GeometricProcess,
    LinearProcess,
    coupled_process,
    slope,
)
from mrvae.resolution import (
    Basis,
    Bridge,
    BridgeStage,
    Ladder,
    Wavelet,
    WaveletPooling,
    coarser_noise,
)

TIMES = (0.0, 0.4, 0.7, 1.0)
both_dims = for_all("dims", [1, 2])


def ladder(dims: int) -> Ladder:
    return Ladder(base=1, depth=2, dims=dims)


@dataclass(frozen=True)
class Stuffing:
    """A wrong embedding: every other pixel is zero."""

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        fine = x.new_zeros(*x.shape[:-1], x.shape[-1] << steps)
        fine[..., :: 1 << steps] = x
        return fine


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nonlinear(dims: int) -> Bridge:
    """Coefficients that depend on level, time and state, and couple the pixels."""

    def stage(level: int) -> BridgeStage:
        return BridgeStage(
            lambda t, z: torch.cos((level + 1) * t + z) + torch.roll(z, 1, -1),
            lambda t, z, xi: (0.5 + t + 0.1 * level * z.tanh()) * xi,
        )

    return Bridge(ladder(dims), TIMES, tuple(stage(level) for level in range(3)))


# ------------------------------------------------------------------------------------- support


@both_dims
def test_the_process_lives_in_the_space_of_its_level(dims: int) -> None:
    bridge, space = nonlinear(dims), Basis(Wavelet("haar", dims))
    start = image(4, *(1,) * dims)
    noise = bridge.noise(start, (3, 4, 5), generator())
    seen = []
    for moment in bridge.trajectory(start, noise):
        finest = ladder(dims).embed(moment.state, 2 - moment.level)
        energies = space.energies(finest)
        for energy in energies[moment.level + 1 :]:
            assert energy.max() < 1e-24
        # A level is entered with the function of the one below, and filled by the first step.
        entered = moment.level > 0 and moment.time == TIMES[moment.level]
        assert (energies[moment.level] > 0).all() != entered
        seen.append((moment.level, round(moment.time, 6)))
    assert [level for level, _ in seen] == [0] * 4 + [1] * 5 + [2] * 6
    assert [time for level, time in seen if level == 1] == [0.4, 0.475, 0.55, 0.625, 0.7]


def test_a_wrong_embedding_leaves_the_space() -> None:
    drift = BridgeStage.homogeneous(lambda z: 1 + 0 * z, lambda z, xi: xi)
    bridge = Bridge(Stuffing(), TIMES, (drift,) * 3)
    start = image(4, 1)
    moments = list(bridge.trajectory(start, bridge.noise(start, (1, 1, 1), generator())))
    entry = next(moment.state for moment in moments if moment.level == 1)
    assert Basis(Wavelet("haar", 1)).energies(entry)[1].min() > 1e-6


@both_dims
@for_all("name", ["haar", "db2"])
def test_it_is_the_process_in_the_finest_space_with_extended_coefficients(
    name: str, dims: int
) -> None:
    """Theorem 1: B_j ⊕ 1, the coefficients E μ_j P and E σ_j, all in V_J."""
    pooling = WaveletPooling(Wavelet(name, dims))
    levels = nonlinear(dims)
    bridge = Bridge(pooling, levels.times, levels.stages)
    start = image(4, *(2,) * dims)
    noise = bridge.noise(start, (3, 4, 5), generator())
    z = pooling.embed(start, 2)
    for level, (stage, xi) in enumerate(zip(bridge.stages, noise, strict=True)):
        h = (TIMES[level + 1] - TIMES[level]) / len(xi)
        up = 2 - level
        for index, piece in enumerate(xi):
            t, inner = TIMES[level] + index * h, pooling.project(z, up)
            z = z + h * pooling.embed(stage.drift(t, inner), up)
            z = z + math.sqrt(h) * pooling.embed(stage.diffusion(t, inner, piece), up)
    torch.testing.assert_close(bridge.end(start, noise), z, rtol=0, atol=1e-11)


def test_the_last_states_of_the_levels_are_those_of_shorter_bridges() -> None:
    bridge, start = nonlinear(2), image(2, 1, 1)
    noise = bridge.noise(start, (2, 2, 2), generator())
    ends = bridge.ends(start, noise)
    assert [tuple(state.shape) for state in ends] == [(2, 1, 1), (2, 2, 2), (2, 4, 4)]
    assert torch.equal(ends[-1], bridge.end(start, noise))
    first = Bridge(bridge.embedding, TIMES[:2], bridge.stages[:1])
    assert torch.equal(ends[0], first.end(start, noise[:1]))


def test_it_is_a_function_of_its_noise() -> None:
    bridge, start = nonlinear(1), image(2, 1)
    same = [bridge.noise(start, (2, 3, 4), generator(5)) for _ in range(2)]
    assert torch.equal(bridge.end(start, same[0]), bridge.end(start, same[1]))
    other = bridge.noise(start, (2, 3, 4), generator(6))
    assert not torch.equal(bridge.end(start, same[0]), bridge.end(start, other))


# --------------------------------------------------------------------- closed form, linear case


def weak_errors(dims: int, factor: float = 1.0) -> list[Errors]:
    """Errors of the moments at steps that fall by 2, with all drifts off by a factor."""
    process = coupled_process(dims, TIMES)
    start = image(*(1,) * dims, seed=3) + 2
    return process.scaled(factor).errors(start, (8, 16, 32), process)


@both_dims
def test_mean_and_covariance_converge_to_the_closed_form_with_weak_order_one(dims: int) -> None:
    levels = weak_errors(dims)
    assert len(levels) == 3
    for errors in (errors for level in levels for errors in level):
        assert errors[-1] < 0.03
        assert 0.85 < slope(errors) < 1.2, errors


@both_dims
def test_a_wrong_drift_does_not_converge(dims: int) -> None:
    for errors in (errors for level in weak_errors(dims, factor=1.2) for errors in level):
        assert slope(errors) < 0.6


@both_dims
def test_the_closed_form_solves_its_own_equations(dims: int) -> None:
    """ṁ = A m and Ċ = A C + C Aᵀ + S Sᵀ, by central differences in the last time."""
    start, h = image(*(1,) * dims, seed=3) + 2, 1e-4
    process = coupled_process(dims, TIMES)
    found = []
    for shift in (-h, 0.0, h):
        times = (*TIMES[:-1], TIMES[-1] + shift)
        moved = LinearProcess(process.ladder, times, process.drifts, process.noises)
        found.append(moved.moments(start)[-1])
    a, s = process.drifts[-1], process.noises[-1]
    (before_m, before_c), (m, c), (after_m, after_c) = found
    torch.testing.assert_close((after_m - before_m) / (2 * h), a @ m, rtol=1e-6, atol=1e-7)
    right = a @ c + c @ a.T + s @ s.T
    torch.testing.assert_close((after_c - before_c) / (2 * h), right, rtol=1e-6, atol=1e-6)


def test_samples_have_the_moments_of_the_scheme() -> None:
    """The impulses and the draws see the same process, within four standard errors."""
    process, n = coupled_process(1, TIMES), 20_000
    start = torch.tensor([2.0], dtype=torch.float64)
    batch = start.expand(n, 1)
    bridge = process.bridge()
    draws = bridge.end(batch, bridge.noise(batch, (4, 4, 4), generator()))
    mean, covariance = process.scheme_moments(start, 4)[-1]
    variance = covariance.diag()
    assert ((draws.mean(0) - mean).abs() < 4 * (variance / n).sqrt()).all()
    assert ((draws.var(0) / variance - 1).abs() < 4 * math.sqrt(2 / n)).all()


# ------------------------------------------------------------------------------ strong order

GEOMETRIC = GeometricProcess(ladder(1), TIMES, rate=0.6, volatility=0.8)


def test_with_multiplicative_noise_the_strong_order_is_one_half() -> None:
    assert 0.4 < slope(GEOMETRIC.errors(2000, (16, 8, 4, 2), GEOMETRIC)) < 0.6


def test_with_the_drift_of_another_calculus_it_does_not_converge() -> None:
    """Stratonovich's equation with the same coefficients has b²/2 more of drift."""
    other = GeometricProcess(ladder(1), TIMES, 0.6 + 0.8**2 / 2, 0.8)
    assert slope(other.errors(2000, (16, 8, 4, 2), GEOMETRIC)) < 0.15


def test_with_additive_noise_the_strong_order_is_one() -> None:
    stage = BridgeStage.homogeneous(lambda z: -2 * torch.sin(z), lambda z, xi: 0.7 * xi)
    bridge = Bridge(ladder(1), TIMES, (stage,) * 3)
    start = torch.ones(500, 1, dtype=torch.float64)
    noise = bridge.noise(start, (512, 512, 512), generator(2))
    exact = bridge.end(start, noise)
    rough = [
        bridge.end(start, [coarser_noise(xi, factor) for xi in noise]) for factor in (64, 32, 16)
    ]
    errors = [float((z - exact).square().mean().sqrt()) for z in rough]
    assert 0.85 < slope(errors) < 1.15


def test_coarser_noise_is_of_the_same_path() -> None:
    xi = image(12, 5)
    path = xi.cumsum(0) * math.sqrt(1 / 12)
    coarse = coarser_noise(xi, 3).cumsum(0) * math.sqrt(3 / 12)
    torch.testing.assert_close(coarse, path[2::3])


# ------------------------------------------------------------------ homogeneous, white, networks


def test_the_homogeneous_form_is_the_general_one_without_time() -> None:
    at_rest = BridgeStage.homogeneous(lambda z: torch.cos(z), lambda z, xi: z * xi)
    general = BridgeStage(lambda t, z: torch.cos(z), lambda t, z, xi: z * xi)
    moving = BridgeStage(lambda t, z: torch.cos(z + t), lambda t, z, xi: z * xi)
    start = image(3, 1)
    ends = []
    for stage in (at_rest, general, moving):
        bridge = Bridge(ladder(1), TIMES, (stage,) * 3)
        ends.append(bridge.end(start, bridge.noise(start, (2, 2, 2), generator())))
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2])


@both_dims
def test_a_homogeneous_process_does_not_depend_on_its_first_time(dims: int) -> None:
    stage = BridgeStage.homogeneous(lambda z: torch.sin(z), lambda z, xi: 0.5 * xi)
    early = Bridge(ladder(dims), TIMES, (stage,) * 3)
    late = Bridge(ladder(dims), tuple(t + 7 for t in TIMES), (stage,) * 3)
    start = image(3, *(1,) * dims)
    noise = early.noise(start, (3, 3, 3), generator())
    torch.testing.assert_close(early.end(start, noise), late.end(start, noise))


@both_dims
def test_white_noise_is_the_same_at_every_level(dims: int) -> None:
    """With σ = n^{d/2}, the covariance that P makes of V_{j+1}'s noise is that of V_j's."""
    for level in (0, 1, 2):
        side = 1 << (level + 1)
        units = torch.eye(side**dims, dtype=torch.float64).view(-1, *(side,) * dims)
        fine = side ** (dims / 2) * units
        pooled = ladder(dims).project(fine).flatten(1)
        covariance = pooled.T @ pooled
        n = (side // 2) ** dims
        torch.testing.assert_close(covariance, n * torch.eye(n, dtype=torch.float64))


def test_noise_may_have_another_shape_than_the_state() -> None:
    w = image(1, 3)
    stage = BridgeStage.homogeneous(lambda z: 0 * z, lambda z, xi: xi @ w.T)
    bridge = Bridge(ladder(1), (0.0, 1.0), (stage,))
    xi = image(4, 5, 3)
    z = bridge.end(torch.zeros(5, 1, dtype=torch.float64), [xi])
    torch.testing.assert_close(z, 0.5 * xi.sum(0) @ w.T)


def test_what_is_no_bridge_is_refused() -> None:
    stage = BridgeStage.homogeneous(lambda z: z, lambda z, xi: xi)
    with pytest.raises(ValueError, match="2 times for 2 stages"):
        Bridge(ladder(1), (0.0, 1.0), (stage, stage))
    with pytest.raises(ValueError, match="each must be later"):
        Bridge(ladder(1), (0.0, 1.0, 1.0), (stage, stage))
    bridge = Bridge(ladder(1), (0.0, 0.5, 1.0), (stage, stage))
    start = image(1)
    with pytest.raises(ValueError, match="1 tensors of noise for 2 levels"):
        bridge.end(start, [image(1, 1)])
    with pytest.raises(ValueError, match="noise of level 1 has no steps"):
        bridge.end(start, [image(1, 1), image(0, 2)])
    with pytest.raises(ValueError, match=r"steps are \(1, 0\)"):
        bridge.noise(start, (1, 0), generator())
    with pytest.raises(ValueError, match="factor is 2"):
        coarser_noise(image(3), 2)
