"""Degradations: every proximal step is the minimiser of its quadratic, by a linear solver."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers.members import for_all
from mrvae.resolution import Haar, Ladder
from mrvae.restoration import Averages, Blur, Degradation, Mask, Noise, gaussian_kernel

SIDE = 8
_KNOWN = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(3)) < 0.4
_KERNEL = torch.rand(3, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
MEMBERS: list[Degradation] = [
    Noise(),
    Mask(_KNOWN),
    Averages(1),
    Averages(2),
    Averages(1, "db2"),
    Averages(2, "sym4"),
    Blur(_KERNEL),
    Blur(gaussian_kernel(0.8)),
]


def images(count: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, SIDE, SIDE, generator=random, dtype=torch.float64)


def matrix(degradation: Degradation) -> Tensor:
    """A, of which column i is the damaged image of pixel i."""
    pixels = torch.eye(SIDE * SIDE, dtype=torch.float64).view(-1, 1, SIDE, SIDE)
    return degradation.apply(pixels).flatten(1).T


@for_all("degradation", MEMBERS)
def test_the_proximal_step_solves_its_normal_equations(degradation: Degradation) -> None:
    """(AᵀA + w) x = Aᵀy + w v, one weight for each image."""
    a, v = matrix(degradation), images(2, seed=0)
    y = degradation.apply(images(2, seed=1))
    weight = torch.tensor([0.03, 2.0], dtype=torch.float64).view(2, 1, 1, 1)
    found = degradation.prox(v, y, weight)
    for x, each_v, each_y, w in zip(found, v, y, weight.flatten(), strict=True):
        system = a.T @ a + w * torch.eye(SIDE * SIDE, dtype=torch.float64)
        right = a.T @ each_y.flatten() + w * each_v.flatten()
        torch.testing.assert_close(x.flatten(), torch.linalg.solve(system, right))


@for_all("degradation", MEMBERS)
def test_without_noise_the_step_projects_onto_the_observation(degradation: Degradation) -> None:
    """A x = y, and the change is in the row space of A, orthogonal to its kernel."""
    a, v = matrix(degradation), images(2, seed=0)
    y = degradation.apply(images(2, seed=1))
    x = degradation.prox(v, y, 0.0)
    torch.testing.assert_close(degradation.apply(x), y, rtol=1e-7, atol=1e-7)
    change = (x - v).flatten(1)
    row_space = torch.linalg.pinv(a) @ a
    torch.testing.assert_close(change @ row_space, change, rtol=1e-7, atol=1e-7)


def test_averages_change_the_coarse_haar_coefficients_only() -> None:
    v, y = images(2, seed=0), images(2, seed=1)[..., :4, :4]
    x = Averages(1).prox(v, y, 0.5)
    torch.testing.assert_close(Averages(1).apply(v), Ladder(4, 1).project(v))
    (coarse, details), (before, same) = Haar().analysis(x), Haar().analysis(v)
    torch.testing.assert_close(details, same)
    # In orthonormal coordinates A is a/2: argmin (a/2 - y)² + w (a - b)².
    torch.testing.assert_close(coarse, (y / 2 + 0.5 * before) / (1 / 4 + 0.5))


def test_a_blur_is_the_sum_over_shifted_images() -> None:
    x = images(1, seed=0)
    expected = torch.zeros_like(x)
    for row in range(3):
        for column in range(4):
            tap = _KERNEL[row, column] / _KERNEL.sum()
            expected += tap * x.roll((row - 1, column - 2), (-2, -1))
    torch.testing.assert_close(Blur(_KERNEL).apply(x), expected)


@for_all(
    ("make", "match"),
    [
        (lambda: Blur(torch.zeros(3, 3)), "sum is 0.0; it must be positive"),
        (lambda: Blur(torch.ones(3)), "expected a matrix"),
        (lambda: Blur(torch.ones(9, 9)).apply(torch.zeros(1, 1, 8, 8)), "give a smaller kernel"),
        (lambda: gaussian_kernel(0.0), "sigma is 0.0"),
        (lambda: Averages(1, "bior2.2"), "biorthogonal"),
    ],
)
def test_kernels_and_wavelets_that_do_not_fit_are_refused(make: object, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()  # type: ignore[operator]
