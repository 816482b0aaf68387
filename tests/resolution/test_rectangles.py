"""Ladders, projections and bases of rectangles and signals have the properties of squares."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from helpers.members import for_all
from mrvae.resolution import DCT, Haar, Ladder, Wavelet, WaveletPooling, conjugacy_residual

LADDERS = (
    Ladder.between((7, 5), (28, 20)),
    Ladder.between((3, 2), (48, 32)),
    Ladder.between((1, 4), (1, 64)),
    Ladder.between((1, 2), (4, 64)),
    Ladder.between((5, 1), (40, 2)),
    Ladder.between(7, 28),
)
IMAGES = ((28, 20), (48, 32), (1, 64))


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(0))


@for_all("ladder", LADDERS)
def test_a_projection_undoes_the_embedding_and_is_its_adjoint(ladder: Ladder) -> None:
    for level in range(1, ladder.steps + 1):
        fine, coarse = drawn(2, 3, *ladder.sides(level)), drawn(2, 3, *ladder.sides(level - 1))
        assert torch.allclose(ladder.project(ladder.embed(coarse)), coarse, atol=1e-12)
        assert ladder.embed(coarse).shape == fine.shape
        ratio = fine[0, 0].numel() / coarse[0, 0].numel()
        left = (ladder.project(fine) * coarse).sum() * ratio
        assert torch.allclose(left, (fine * ladder.embed(coarse)).sum(), atol=1e-9)


@for_all("ladder", LADDERS)
def test_several_steps_are_one_after_the_other(ladder: Ladder) -> None:
    down, up = drawn(1, 1, *ladder.sides(ladder.steps)), drawn(1, 1, *ladder.sides(0))
    whole, back = ladder.project(down, ladder.steps), ladder.embed(up, ladder.steps)
    for _ in range(ladder.steps):
        down, up = ladder.project(down), ladder.embed(up)
    assert torch.allclose(whole, down, atol=1e-12)
    assert torch.equal(back, up)


@for_all("ladder", LADDERS)
def test_every_size_is_on_its_level(ladder: Ladder) -> None:
    sizes = [ladder.size(level) for level in range(ladder.steps + 1)]
    assert [ladder.level(size) for size in sizes] == list(range(len(sizes)))
    assert Ladder.between(sizes[0], sizes[-1]) == ladder


def test_sizes_that_no_steps_join_are_refused() -> None:
    for coarse, fine in (((7, 5), (28, 21)), ((2, 4), (2, 16)), ((7, 5), (14, 20)), (8, 28)):
        with pytest.raises(
            ValueError, match=r"not joined by steps of 2|fewer steps than the other"
        ):
            Ladder.between(coarse, fine)


@for_all("size", IMAGES)
def test_average_pooling_is_a_crop_in_the_haar_basis_and_in_other_wavelets(
    size: tuple[int, int],
) -> None:
    """Theorem 2 of Falck et al. (2022), for rectangles; signals have one axis."""
    x = drawn(2, 1, *size)
    for name in ("haar", "db2", "sym4"):
        wavelet = Wavelet(name, dims=1 if size[0] == 1 else 2)
        for depth in (1, 2):
            assert conjugacy_residual(x, wavelet, depth) < 1e-11
    averages = WaveletPooling(Wavelet("haar", dims=wavelet.dims))
    assert conjugacy_residual(x, Wavelet("db2", wavelet.dims), 1, averages) > 1e-3


def test_the_ladder_of_a_signal_pools_as_haar_does() -> None:
    x, ladder = drawn(2, 3, 1, 64), Ladder.between((1, 4), (1, 64))
    coarse, _ = Haar(dims=1).analysis(x)
    assert torch.allclose(ladder.project(x), coarse / math.sqrt(2), atol=1e-12)


@for_all("size", IMAGES)
def test_the_lowest_frequencies_of_a_rectangle_are_a_projection(size: tuple[int, int]) -> None:
    kept = (min(3, size[0]), 5)
    dct, x = DCT(kept), drawn(2, *size)
    c = dct.analysis(x)
    assert c.shape[-2:] == kept
    assert torch.allclose(dct.analysis(dct.synthesis(c, *size)), c, atol=1e-12)
    whole = DCT(size).analysis(x)
    assert torch.allclose(whole[:, : kept[0], : kept[1]], c, atol=1e-12)
    assert torch.allclose(whole.square().sum(), x.square().sum())
