"""What is computed another way because it is faster is what PyTorch computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mrvae.layers import Bottleneck, gelu, pointwise

LAST = torch.channels_last
Map = Callable[[Tensor], Tensor]


def value_and_slope(function: Map, x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    y = function(x)
    (slope,) = torch.autograd.grad(y.square().sum(), x)
    return y, slope


def inputs(size: int, channels: int = 5) -> list[Tensor]:
    x = 3 * torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(size))
    wider = torch.cat([x, x], dim=1).contiguous(memory_format=LAST)
    return [x, x.contiguous(memory_format=LAST), wider[:, channels:]]


def test_gelu_is_the_exact_one_in_every_layout() -> None:
    for x in inputs(4):
        found = value_and_slope(gelu, x)
        for mine, exact in zip(found, value_and_slope(functional.gelu, x.double()), strict=True):
            torch.testing.assert_close(mine.double(), exact, rtol=1e-5, atol=2e-6)
        assert found[0].stride() == functional.gelu(x).stride()


@pytest.mark.parametrize("size", [1, 7, 8, 17])
def test_pixels_multiplied_are_pixels_convolved(size: int) -> None:
    """In float32, where few pixels are a product of matrices, against float64."""
    stream = torch.Generator().manual_seed(0)
    weight, bias = (torch.randn(*s, generator=stream) for s in ((4, 5, 1, 1), (4,)))
    for x in inputs(size):
        found = value_and_slope(lambda x: pointwise(x, weight, bias), x)
        exact = value_and_slope(
            lambda x: functional.conv2d(x, weight.double(), bias.double()), x.double()
        )
        for mine, expected in zip(found, exact, strict=True):
            torch.testing.assert_close(mine.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [4, 17])
def test_halves_of_a_bottleneck_are_its_channels(size: int) -> None:
    """Whether they are cut, or made by two convolutions."""
    torch.manual_seed(0)
    block, x = Bottleneck(5, 3, 9, kernel=3).double(), inputs(size)[0].double()
    halves = value_and_slope(lambda x: torch.cat(block.halves_of_activated(gelu(x), 4), dim=1), x)
    for mine, whole in zip(halves, value_and_slope(block, x), strict=True):
        torch.testing.assert_close(mine, whole)
