"""Properties of projection and embedding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from helpers.members import for_all
from mrvae.resolution import Ladder

SHAPES = [(1, (8,)), (1, (2, 3, 16)), (2, (8, 8)), (2, (2, 3, 16, 8)), (2, (2, 2, 3, 8, 16))]
every_shape = for_all(("dims", "shape"), SHAPES)
every_step = for_all("steps", [0, 1, 2, 3])


def image(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def ladder(dims: int) -> Ladder:
    return Ladder(base=1, depth=5, dims=dims)


def coarse_shape(dims: int, shape: tuple[int, ...], steps: int) -> tuple[int, ...]:
    return (*shape[:-dims], *(side >> steps for side in shape[-dims:]))


@every_step
@every_shape
def test_projection_averages_blocks(dims: int, shape: tuple[int, ...], steps: int) -> None:
    x = image(*shape)
    blocks = x
    for axis in range(-dims, 0):
        blocks = torch.stack(
            [part.mean(axis) for part in torch.split(blocks, 1 << steps, dim=axis)], dim=axis
        )
    torch.testing.assert_close(ladder(dims).project(x, steps), blocks, rtol=1e-13, atol=1e-13)


@every_step
@every_shape
def test_embedding_repeats_pixels(dims: int, shape: tuple[int, ...], steps: int) -> None:
    y = image(*shape)
    repeated = y
    for axis in range(-dims, 0):
        repeated = repeated.repeat_interleave(1 << steps, dim=axis)
    assert torch.equal(ladder(dims).embed(y, steps), repeated)


@every_step
@every_shape
def test_projection_undoes_embedding(dims: int, shape: tuple[int, ...], steps: int) -> None:
    y = image(*shape)
    back = ladder(dims).project(ladder(dims).embed(y, steps), steps)
    torch.testing.assert_close(back, y, rtol=1e-14, atol=1e-14)


@every_step
@every_shape
def test_embedding_after_projection_is_an_orthogonal_projection(
    dims: int, shape: tuple[int, ...], steps: int
) -> None:
    stages = ladder(dims)

    def best(x: Tensor) -> Tensor:
        return stages.embed(stages.project(x, steps), steps)

    x, y = image(*shape), image(*shape, seed=1)
    torch.testing.assert_close(best(best(x)), best(x), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close((best(x) * y).sum(), (x * best(y)).sum(), rtol=1e-12, atol=1e-12)


@every_step
@every_shape
def test_projection_is_the_scaled_adjoint_of_embedding(
    dims: int, shape: tuple[int, ...], steps: int
) -> None:
    x, y = image(*shape), image(*coarse_shape(dims, shape, steps), seed=1)
    inner = (ladder(dims).project(x, steps) * y).sum()
    outer = (x * ladder(dims).embed(y, steps)).sum() / (1 << (dims * steps))
    torch.testing.assert_close(inner, outer, rtol=1e-12, atol=1e-12)


@every_shape
def test_steps_compose(dims: int, shape: tuple[int, ...]) -> None:
    stages, x = ladder(dims), image(*shape)
    torch.testing.assert_close(
        stages.project(x, 3), stages.project(stages.project(x, 2)), rtol=1e-13, atol=1e-13
    )
    assert torch.equal(stages.embed(x, 3), stages.embed(stages.embed(x), 2))


@every_shape
def test_gradients_are_exact(dims: int, shape: tuple[int, ...]) -> None:
    x = image(*shape).requires_grad_()
    cotangent = image(*coarse_shape(dims, shape, 1), seed=2)
    (gradient,) = torch.autograd.grad(ladder(dims).project(x), x, cotangent)
    expected = ladder(dims).embed(cotangent) / (1 << dims)
    torch.testing.assert_close(gradient, expected, rtol=1e-13, atol=1e-13)


@for_all("steps", [1, 2])
def test_channels_last_is_kept(steps: int) -> None:
    x = image(2, 3, 8, 8).to(memory_format=torch.channels_last)
    for result in (ladder(2).project(x, steps), ladder(2).embed(x, steps)):
        assert result.is_contiguous(memory_format=torch.channels_last)
    plain = x.contiguous()
    torch.testing.assert_close(ladder(2).project(x, steps), ladder(2).project(plain, steps))


def test_a_round_trip_compiles_to_one_graph() -> None:
    def detail(x: Tensor) -> Tensor:
        return x - ladder(2).embed(ladder(2).project(x, 2), 2)

    torch.compiler.reset()
    x = image(2, 3, 8, 8)
    compiled = torch.compile(detail, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), detail(x))


def test_sizes_and_levels_are_inverse() -> None:
    stages = Ladder(base=7, depth=2)
    assert [stages.size(level) for level in range(3)] == [7, 14, 28]
    assert [stages.level(size) for size in (7, 14, 28)] == [0, 1, 2]


@for_all("size", [0, 1, 21, 56])
def test_a_size_between_the_rungs_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"size is {size}; .*\[7, 14, 28\]"):
        Ladder(base=7, depth=2).level(size)


@for_all("level", [-1, 3])
def test_a_level_off_the_ladder_is_refused(level: int) -> None:
    with pytest.raises(ValueError, match=f"level is {level}"):
        Ladder(base=7, depth=2).size(level)


def test_impossible_ladders_are_refused() -> None:
    with pytest.raises(ValueError, match="base is 0"):
        Ladder(base=0, depth=1)
    with pytest.raises(ValueError, match="depth is -1"):
        Ladder(base=1, depth=-1)
    with pytest.raises(ValueError, match="dims is 3"):
        Ladder(base=1, depth=1, dims=3)


def test_shapes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(8, 6\); 2 steps .* multiples of 4"):
        ladder(2).project(image(8, 6), 2)
    with pytest.raises(ValueError, match="steps is -1"):
        ladder(2).embed(image(8, 8), -1)
    with pytest.raises(ValueError, match=r"\(8,\); expected 2 axes"):
        ladder(2).embed(image(8))


def test_embedding_is_torchs_nearest_neighbour() -> None:
    x = image(2, 3, 4, 4)
    assert torch.equal(ladder(2).embed(x), functional.interpolate(x, scale_factor=2))
