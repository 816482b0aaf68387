"""Laws of linear maps of images: each helper fails if its law does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def image(*shape: int, seed: int = 0) -> Tensor:
    """Draw an image of independent normal values."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def check_orthonormal(
    map_: Callable[[Tensor], Sequence[Tensor]], *shape: int, tolerance: float = 1e-12
) -> None:
    """The matrix W of a map that takes any leading axes has ‖W Wᵀ - 1‖ and ‖Wᵀ W - 1‖ small."""
    one = torch.eye(int(torch.tensor(shape).prod()), dtype=torch.float64)
    matrix = torch.cat([part.flatten(1) for part in map_(one.view(-1, *shape))], dim=1)
    assert matrix.shape == one.shape
    for product in (matrix @ matrix.T, matrix.T @ matrix):
        assert torch.linalg.matrix_norm(product - one, 2) <= tolerance


def check_projection(map_: Callable[[Tensor], Tensor], *shape: int) -> None:
    """A map is idempotent and self-adjoint, and neither zero nor the identity."""
    x, y = image(*shape), image(*shape, seed=1)
    torch.testing.assert_close(map_(map_(x)), map_(x), rtol=1e-12, atol=1e-12)
    inner, outer = (map_(x) * y).sum(), (x * map_(y)).sum()
    torch.testing.assert_close(inner, outer, rtol=1e-11, atol=1e-11)
    assert 0.01 < map_(x).norm() / x.norm() < 0.99


def check_adjoint(
    map_: Callable[[Tensor], Sequence[Tensor]],
    transpose: Callable[[Sequence[Tensor]], Tensor],
    *shape: int,
) -> None:
    """The gradient that autograd finds for a map is the other map."""
    x = image(*shape).requires_grad_()
    parts = map_(x)
    cotangents = [image(*part.shape, seed=seed) for seed, part in enumerate(parts, 1)]
    (gradient,) = torch.autograd.grad(parts, x, cotangents)
    torch.testing.assert_close(gradient, transpose(cotangents), rtol=1e-12, atol=1e-12)
