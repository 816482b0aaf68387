"""Theorem 2 of Falck et al. 2022, for Haar and for the other orthogonal wavelets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from helpers.linear import check_projection, image
from helpers.members import for_all
from mrvae.resolution import (
    Ladder,
    Pooling,
    Wavelet,
    WaveletPooling,
    conjugacy_residual,
)

AVERAGE = {dims: Ladder(base=1, depth=0, dims=dims) for dims in (1, 2)}
some_orthogonal = for_all("name", ["haar", "db4", "sym5", "coif1"])
the_four = for_all("name", ["haar", "db2", "db4", "sym4"])
both_dims = for_all("dims", [1, 2])


@dataclass(frozen=True)
class Scaled:
    """A pooling that is wrong by a factor: 2^{d/2} makes it the low-pass filter itself."""

    pooling: Pooling
    factor: float

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        return self.pooling.project(x, steps) * self.factor


@dataclass(frozen=True)
class Subsampling:
    """A pooling that keeps every other pixel."""

    dims: int

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        return x[..., ::2] if self.dims == 1 else x[..., ::2, ::2]


@both_dims
@the_four
@for_all("depth", [1, 2, 3, 4, 5])
def test_the_theorem_holds_at_every_depth(name: str, dims: int, depth: int) -> None:
    x = image(2, 3, 32, 64)
    assert conjugacy_residual(x, Wavelet(name, dims), depth) <= 1e-12


@both_dims
def test_average_pooling_is_conjugate_to_haar_only(dims: int) -> None:
    x = image(3, 32, 32)
    # Not at depth 5: around a circle of two pixels every low-pass filter is their average.
    for depth in (1, 2, 4):
        assert conjugacy_residual(x, Wavelet("haar", dims), depth, AVERAGE[dims]) <= 1e-12
        for name in ("db2", "db4", "sym4", "coif1"):
            assert conjugacy_residual(x, Wavelet(name, dims), depth, AVERAGE[dims]) > 1e-3


@both_dims
@the_four
def test_a_wrong_pooling_has_a_residual(name: str, dims: int) -> None:
    x, wavelet = image(3, 16, 16), Wavelet(name, dims)
    other = WaveletPooling(Wavelet("db3", dims))
    unscaled = Scaled(WaveletPooling(wavelet), math.sqrt(2.0) ** dims)
    for depth in (1, 2, 3):
        for wrong in (other, unscaled, Subsampling(dims)):
            assert conjugacy_residual(x, wavelet, depth, wrong) > 1e-3


@both_dims
def test_the_number_of_pixels_does_not_enter(dims: int) -> None:
    x, haar = image(2, 8, 8), Wavelet("haar", dims)
    wrong = Scaled(AVERAGE[dims], 1.1)
    coarse = conjugacy_residual(x, haar, 1, wrong)
    for steps in (1, 3):
        fine = AVERAGE[dims].embed(x, steps)
        again = conjugacy_residual(fine, haar, 1 + steps, wrong)
        torch.testing.assert_close(again, coarse, rtol=1e-12, atol=0)


def test_the_residual_of_a_constant_is_its_error_as_a_function() -> None:
    x = torch.full((16, 16), 3.0, dtype=torch.float64)
    residual = conjugacy_residual(x, Wavelet("haar"), 2, Scaled(AVERAGE[2], 1.5))
    torch.testing.assert_close(residual, torch.tensor(1.5, dtype=torch.float64))


@both_dims
@some_orthogonal
def test_projection_undoes_embedding(name: str, dims: int) -> None:
    pooling, y = WaveletPooling(Wavelet(name, dims)), image(2, 2, 4, 6)
    for steps in (0, 1, 3):
        back = pooling.project(pooling.embed(y, steps), steps)
        torch.testing.assert_close(back, y, rtol=0, atol=1e-12)


@both_dims
@some_orthogonal
def test_embedding_after_projection_is_an_orthogonal_projection(name: str, dims: int) -> None:
    pooling = WaveletPooling(Wavelet(name, dims))
    for steps in (1, 2):
        check_projection(
            lambda x: pooling.embed(pooling.project(x, steps), steps),  # noqa: B023
            *(2, 8, 12),
        )


@both_dims
@some_orthogonal
def test_projection_is_the_scaled_adjoint_of_embedding(name: str, dims: int) -> None:
    pooling, x = WaveletPooling(Wavelet(name, dims)), image(2, 2, 8, 4)
    pooled = pooling.project(x)
    y = image(*pooled.shape, seed=1)
    inner, outer = (pooled * y).sum(), (x * pooling.embed(y)).sum() / (1 << dims)
    torch.testing.assert_close(inner, outer, rtol=1e-11, atol=1e-11)


@both_dims
@some_orthogonal
def test_a_constant_stays_what_it_is(name: str, dims: int) -> None:
    pooling, x = WaveletPooling(Wavelet(name, dims)), torch.full((8, 8), 0.7, dtype=torch.float64)
    for steps in (1, 3):
        pooled = pooling.project(x, steps)
        torch.testing.assert_close(pooled, torch.full_like(pooled, 0.7), rtol=0, atol=1e-13)
        torch.testing.assert_close(pooling.embed(pooled, steps), x, rtol=0, atol=1e-13)


@both_dims
@the_four
def test_it_is_the_coarse_part_with_no_details(name: str, dims: int) -> None:
    wavelet, x = Wavelet(name, dims), image(2, 16, 8)
    coarse, details = wavelet.step.analysis(x)
    pooled = WaveletPooling(wavelet).project(x)
    torch.testing.assert_close(pooled, coarse * math.sqrt(0.5) ** dims, rtol=0, atol=1e-13)
    without = wavelet.step.synthesis(coarse, torch.zeros_like(details))
    torch.testing.assert_close(WaveletPooling(wavelet).embed(pooled), without, rtol=0, atol=1e-13)


@both_dims
def test_haars_is_the_ladder(dims: int) -> None:
    pooling, x = WaveletPooling(Wavelet("haar", dims)), image(2, 3, 8, 16)
    assert torch.equal(pooling.project(x, 2), AVERAGE[dims].project(x, 2))
    assert torch.equal(pooling.embed(x, 2), AVERAGE[dims].embed(x, 2))


@for_all("name", ["haar", "db2", "sym4"])
def test_channels_last_is_kept_and_changes_nothing(name: str) -> None:
    pooling, x = WaveletPooling(Wavelet(name)), image(2, 3, 8, 16)
    last = x.to(memory_format=torch.channels_last)
    for map_ in (pooling.project, pooling.embed):
        result = map_(last, 2)
        assert result.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(result, map_(x, 2), rtol=0, atol=1e-13)


def test_pooling_compiles_to_one_graph() -> None:
    pooling = WaveletPooling(Wavelet("db2"))

    def detail(x: Tensor) -> Tensor:
        return x - pooling.embed(pooling.project(x, 2), 2)

    torch.compiler.reset()
    compiled = torch.compile(detail, fullgraph=True, backend="eager")
    for x in (image(2, 3, 8, 8), image(2, 3, 8, 8).to(memory_format=torch.channels_last)):
        torch.testing.assert_close(compiled(x), detail(x), rtol=0, atol=1e-13)


def test_what_has_no_orthogonal_projection_is_refused() -> None:
    biorthogonal = Wavelet("bior2.2")
    with pytest.raises(ValueError, match=r"bior2.2, which is biorthogonal"):
        WaveletPooling(biorthogonal)
    with pytest.raises(ValueError, match=r"bior2.2, which is biorthogonal"):
        conjugacy_residual(image(8, 8), biorthogonal, 1)


def test_impossible_depths_and_steps_are_refused() -> None:
    wavelet = Wavelet("db2")
    with pytest.raises(ValueError, match="depth is 0"):
        conjugacy_residual(image(8, 8), wavelet, 0)
    with pytest.raises(ValueError, match=r"\(8, 12\); 3 steps"):
        conjugacy_residual(image(8, 12), wavelet, 3)
    pooling = WaveletPooling(wavelet)
    for map_ in (pooling.project, pooling.embed):
        with pytest.raises(ValueError, match="steps is -1"):
            map_(image(8, 8), -1)
        with pytest.raises(ValueError, match="2 axes"):
            map_(image(8), 1)
        with pytest.raises(ValueError, match="uint8"):
            map_(torch.zeros(8, 8, dtype=torch.uint8), 1)
