"""The spaces V_j of functions: the properties of definition 1, Falck et al. 2022, and two bases."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from helpers.linear import check_orthonormal, image
from helpers.members import for_all
from mrvae.resolution import Basis, Coefficients, Ladder, Wavelet, WaveletPooling
from mrvae.resolution.basis import largest_difference

FAMILIES = ["haar", "db2", "db4", "sym4", "coif1"]
every_family = for_all("name", FAMILIES)
both_dims = for_all("dims", [1, 2])
AXES = {1: (-1,), 2: (-2, -1)}


def basis(name: str, dims: int) -> Basis:
    return Basis(Wavelet(name, dims))


def onto(name: str, dims: int, steps: int) -> Callable[[Tensor], Tensor]:
    """Return the orthogonal projection onto the level ``steps`` below, in the finest."""
    pooling = WaveletPooling(Wavelet(name, dims))
    return lambda x: pooling.embed(pooling.project(x, steps), steps)


def smooth(points: int) -> Tensor:
    """A smooth periodic function, by its values."""
    s = (torch.arange(points, dtype=torch.float64) + 0.5) / points
    return torch.exp(torch.sin(2 * math.pi * s)) + 0.3 * torch.cos(4 * math.pi * s)


# ------------------------------------------------------------------------------- definition 1


@both_dims
@every_family
def test_the_spaces_are_nested(name: str, dims: int) -> None:
    x = image(2, *(16,) * dims)
    for below in (2, 3, 4):
        for above in range(1, below):
            coarse = onto(name, dims, below)(x)
            again = onto(name, dims, above)(coarse)
            torch.testing.assert_close(again, coarse, rtol=0, atol=1e-12)
            # The other way round it is no identity: V_{j+1} is larger than V_j.
            fine = onto(name, dims, above)(x)
            assert (onto(name, dims, below)(fine) - fine).abs().max() > 1e-2


@for_all(("name", "order"), [("haar", 1), ("db2", 2), ("db3", 3), ("db4", 4)])
def test_a_smooth_function_is_approached_at_the_order_of_the_wavelet(name: str, order: int) -> None:
    """(A1), with its rate: ‖f - proj_j f‖ ∝ 2^{-jN} for a wavelet of N vanishing moments."""
    x = smooth(4096)
    measure = basis(name, 1)
    errors = [measure.norm(x - onto(name, 1, steps)(x)) for steps in (4, 5, 6)]
    slopes = [math.log2(b / a) for a, b in pairwise(errors)]
    assert all(abs(slope - order) < 0.05 * order for slope in slopes), slopes


@every_family
def test_any_function_is_approached(name: str) -> None:
    """(A1) for a step, which no level holds: the error falls with every level, by about √2."""
    x = (torch.arange(2048) < 2048 / 3).double()
    errors = [basis(name, 1).norm(x - onto(name, 1, steps)(x)) for steps in range(9, 2, -1)]
    assert all(b < a for a, b in pairwise(errors))
    assert 1.2 < (errors[0] / errors[-1]) ** (1 / 6) < 1.7


@both_dims
@every_family
def test_dilation_moves_a_space_to_the_next_finer_one(name: str, dims: int) -> None:
    """(A3): f(2·), which on a circle is f twice in a row, lies in V_{j+1} if f lies in V_j."""
    x = onto(name, dims, 1)(image(*(16,) * dims))
    twice = x.repeat(*(2,) * dims)
    torch.testing.assert_close(onto(name, dims, 1)(twice), twice, rtol=0, atol=1e-12)
    outside = image(*(16,) * dims).repeat(*(2,) * dims)
    assert (onto(name, dims, 1)(outside) - outside).abs().max() > 1e-2
    norms = basis(name, dims).norm(x), basis(name, dims).norm(twice)
    torch.testing.assert_close(*norms)


@both_dims
@every_family
def test_a_space_is_invariant_under_shifts_by_its_pixels_only(name: str, dims: int) -> None:
    """(A4): of V_j by 2^{-j}; not by less."""
    x = onto(name, dims, 2)(image(*(16,) * dims))
    shifted = torch.roll(x, 4, dims=-1)
    torch.testing.assert_close(onto(name, dims, 2)(shifted), shifted, rtol=0, atol=1e-12)
    less = torch.roll(x, 2, dims=-1)
    assert (onto(name, dims, 2)(less) - less).abs().max() > 1e-2


@both_dims
@every_family
def test_what_lies_in_every_space_is_constant(name: str, dims: int) -> None:
    """(A2) on a compact domain: the coarsest space holds the constants, and nothing else."""
    x = image(*(16,) * dims)
    coarsest = onto(name, dims, 4)(x)
    torch.testing.assert_close(coarsest, torch.full_like(x, x.mean().item()))


# ----------------------------------------------------------------------------- norm and bases


@both_dims
@every_family
def test_the_norm_does_not_depend_on_the_number_of_pixels(name: str, dims: int) -> None:
    pooling, measure = WaveletPooling(Wavelet(name, dims)), basis(name, dims)
    x, y = image(3, *(8,) * dims), image(3, *(8,) * dims, seed=1)
    for steps in (1, 3):
        fine, other = pooling.embed(x, steps), pooling.embed(y, steps)
        torch.testing.assert_close(measure.norm(fine), measure.norm(x), rtol=1e-12, atol=0)
        torch.testing.assert_close(measure.inner(fine, other), measure.inner(x, y))
    zeros = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
    zeros[..., ::2] = x
    assert (measure.norm(zeros) / measure.norm(x) - 1).abs().min() > 0.1


def test_the_norm_is_the_integral() -> None:
    """∫ (x y²)² over the unit square is 1/15."""
    s = (torch.arange(512, dtype=torch.float64) + 0.5) / 512
    values = s[:, None] * s[None, :] ** 2
    norm = basis("haar", 2).norm(values).item()
    assert norm**2 == pytest.approx(1 / 15, rel=1e-5)


@both_dims
@every_family
def test_the_change_of_basis_is_orthonormal(name: str, dims: int) -> None:
    space, shape = basis(name, dims), (8,) * dims

    def from_standard(coordinates: Tensor) -> list[Tensor]:
        x = coordinates * math.sqrt(8**dims)
        torch.testing.assert_close(space.standard(x), coordinates)
        approximation, details = space.coordinates(x)
        return [approximation.flatten(1), *(part.flatten(1) for part in details)]

    check_orthonormal(from_standard, *shape)


@both_dims
@every_family
def test_pi_is_undone_by_its_inverse(name: str, dims: int) -> None:
    space, x = basis(name, dims), image(2, 3, *(16,) * dims)
    back = space.array(space.coordinates(x))
    torch.testing.assert_close(back, x, rtol=0, atol=1e-11)
    foreign = basis("db2" if name != "db2" else "haar", dims).array(space.coordinates(x))
    assert (foreign - x).abs().max() > 1e-2


@both_dims
@every_family
def test_projection_and_embedding_of_coordinates_are_those_of_arrays(name: str, dims: int) -> None:
    """The square of Falck et al. 2022, figure 3, in both directions."""
    space, pooling = basis(name, dims), WaveletPooling(Wavelet(name, dims))
    x = image(2, *(16,) * dims)
    for steps in (0, 1, 3):
        dropped = space.project(space.coordinates(x), steps)
        torch.testing.assert_close(space.array(dropped), pooling.project(x, steps))
        again = space.coordinates(pooling.embed(x, steps))
        embedded = space.embed(space.coordinates(x), steps)
        assert largest_difference(again, embedded) < 1e-12
        assert largest_difference(space.project(embedded, steps), space.coordinates(x)) == 0


@both_dims
@every_family
def test_the_energies_of_the_bands_sum_to_the_norm(name: str, dims: int) -> None:
    space, x = basis(name, dims), image(3, *(16,) * dims)
    energies = space.energies(x)
    assert len(energies) == 5
    torch.testing.assert_close(sum(energies), space.norm(x).square())
    # Level by level: what the projection by k steps leaves is the first of them.
    for steps in (1, 2, 4):
        left = space.norm(onto(name, dims, steps)(x)).square()
        torch.testing.assert_close(sum(energies[: 5 - steps]), left)


def test_sides_that_are_no_power_of_two_end_at_an_odd_one() -> None:
    space, x = basis("db2", 2), image(12, 20)
    assert space.coordinates(x).approximation.shape == (3, 5)
    torch.testing.assert_close(space.array(space.coordinates(x)), x, rtol=0, atol=1e-11)
    energies = torch.stack(space.energies(x))
    torch.testing.assert_close(energies.sum(), space.norm(x).square())


def test_the_best_approximation_is_the_projection() -> None:
    """No other function of V_j is nearer: the error is orthogonal to all of V_j."""
    ladder, x = Ladder(base=2, depth=3), image(16, 16)
    space, best = basis("haar", 2), ladder.embed(ladder.project(x, 2), 2)
    for seed in range(1, 5):
        other = ladder.embed(image(4, 4, seed=seed), 2)
        assert space.inner(x - best, other).abs() < 1e-13
        assert space.norm(x - other) > space.norm(x - best)


def test_what_is_no_basis_or_no_function_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bior2.2, which is biorthogonal"):
        basis("bior2.2", 2)
    space = basis("haar", 2)
    with pytest.raises(ValueError, match="int64"):
        space.norm(torch.ones(4, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="2 axes"):
        space.coordinates(image(4))
    with pytest.raises(ValueError, match=r"sizes are \(4, 4\) and \(8, 8\)"):
        space.inner(image(4, 4), image(8, 8))
    coordinates = space.coordinates(image(4, 4))
    with pytest.raises(ValueError, match="steps is 3; these coordinates have 2"):
        space.project(coordinates, 3)
    with pytest.raises(ValueError, match="steps is -1"):
        space.embed(coordinates, -1)
    with pytest.raises(ValueError, match="2 and 1 levels"):
        largest_difference(coordinates, Coefficients(coordinates[0], coordinates[1][:1]))
