"""The Haar basis: orthonormal, PyWavelets', and the one in which pooling is a crop."""

from __future__ import annotations

import math

import pytest
import pywt
import torch
from torch import Tensor

from helpers.members import for_all
from mrvae.resolution import Haar, Ladder

SHAPES = [(1, (2,)), (1, (2, 3, 14)), (2, (2, 2)), (2, (6, 10)), (2, (2, 1, 2, 8, 4))]
every_shape = for_all(("dims", "shape"), SHAPES)


def image(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


@every_shape
def test_analysis_is_pywavelets(dims: int, shape: tuple[int, ...]) -> None:
    x = image(*shape)
    coarse, details = Haar(dims).analysis(x)
    if dims == 1:
        expected, *bands = pywt.dwt(x.numpy(), "haar", mode="periodization")
    else:
        expected, bands = pywt.dwt2(x.numpy(), "haar", mode="periodization")
    torch.testing.assert_close(coarse, torch.as_tensor(expected), rtol=1e-12, atol=1e-12)
    stacked = torch.stack([torch.as_tensor(band) for band in bands], dim=-1 - dims)
    torch.testing.assert_close(details, stacked, rtol=1e-12, atol=1e-12)


@every_shape
def test_synthesis_undoes_analysis(dims: int, shape: tuple[int, ...]) -> None:
    x = image(*shape)
    back = Haar(dims).synthesis(*Haar(dims).analysis(x))
    torch.testing.assert_close(back, x, rtol=1e-13, atol=1e-13)


@every_shape
def test_analysis_undoes_synthesis(dims: int, shape: tuple[int, ...]) -> None:
    half = tuple(side // 2 for side in shape[-dims:])
    coarse = image(*shape[:-dims], *half)
    details = image(*shape[:-dims], (1 << dims) - 1, *half, seed=1)
    again = Haar(dims).analysis(Haar(dims).synthesis(coarse, details))
    torch.testing.assert_close(again, (coarse, details), rtol=1e-13, atol=1e-13)


@every_shape
def test_the_sum_of_squares_is_kept(dims: int, shape: tuple[int, ...]) -> None:
    x = image(*shape)
    coarse, details = Haar(dims).analysis(x)
    energy = coarse.square().sum() + details.square().sum()
    torch.testing.assert_close(energy, x.square().sum(), rtol=1e-12, atol=1e-12)


@every_shape
def test_the_gradient_of_analysis_is_synthesis(dims: int, shape: tuple[int, ...]) -> None:
    x = image(*shape).requires_grad_()
    coarse, details = Haar(dims).analysis(x)
    cotangents = (image(*coarse.shape, seed=1), image(*details.shape, seed=2))
    (gradient,) = torch.autograd.grad((coarse, details), x, cotangents)
    expected = Haar(dims).synthesis(*cotangents)
    torch.testing.assert_close(gradient, expected, rtol=1e-13, atol=1e-13)


@every_shape
def test_pooling_is_the_coarse_part(dims: int, shape: tuple[int, ...]) -> None:
    x = image(*shape)
    coarse, details = Haar(dims).analysis(x)
    ladder = Ladder(base=1, depth=1, dims=dims)
    pooled = coarse * math.sqrt(0.5) ** dims
    torch.testing.assert_close(ladder.project(x), pooled, rtol=1e-13, atol=1e-13)
    without = Haar(dims).synthesis(coarse, torch.zeros_like(details))
    torch.testing.assert_close(ladder.embed(pooled), without, rtol=1e-13, atol=1e-13)


def test_what_cannot_be_halved_is_refused() -> None:
    for dims, shape in ((1, (5,)), (2, (4, 5)), (2, (5, 4)), (2, (4,))):
        with pytest.raises(ValueError, match=r"even size"):
            Haar(dims).analysis(image(*shape))
    with pytest.raises(ValueError, match="dims is 0"):
        Haar(0)


def test_parts_that_do_not_belong_together_are_refused() -> None:
    for dims, coarse, details in (
        (2, (4, 4), (1, 4, 4)),
        (2, (2, 4, 4), (3, 4, 4)),
        (1, (4,), (4,)),
    ):
        with pytest.raises(ValueError, match="details"):
            Haar(dims).synthesis(image(*coarse), image(*details))
