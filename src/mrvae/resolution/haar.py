"""The Haar basis: sums and differences of neighbours, as an orthonormal bijection.

In one dimension a pair (a, b) becomes its coarse part (a + b)/√2 and its detail (a - b)/√2. In two
dimensions this is done along both axes, and a block of four pixels

    a b                 coarse  = (a + b + c + d)/2,    cV = (a - b + c - d)/2,
    c d     becomes     cH      = (a + b - c - d)/2,    cD = (a - b - c + d)/2,

with the names and the order of PyWavelets: cH answers to horizontal edges, cV to vertical ones, cD
to diagonal ones. The map W is orthonormal, so analysis keeps the sum of squares and synthesis,
W⁻¹ = Wᵀ, is the gradient of analysis. Blocks do not overlap, hence no boundary and no padding.

Without a compiler most of the time goes into temporary tensors. So results are written in place,
and autograd knows the two maps as each other's derivative. A compiler traces plain sums and
differences, and removes the temporaries itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import Function

from mrvae.resolution.shapes import check_dims, check_even, check_parts


@dataclass(frozen=True)
class Haar:
    """One step of the Haar transform over the last ``dims`` axes.

    Raises:
        ValueError: if ``dims`` is not 1 or 2.

    Example:
        >>> coarse, details = Haar().analysis(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        >>> coarse.item(), details.flatten().tolist()
        (6.0, [-3.0, -2.0, 1.0])
        >>> Haar().synthesis(coarse, details)
        tensor([[1., 2.],
                [3., 6.]])
    """

    dims: int = 2

    def __post_init__(self) -> None:
        check_dims(self.dims)

    def analysis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split into a coarse part and details.

        Args:
            x: of shape (…, 2h, 2w), or (…, 2n) in one dimension.

        Returns:
            The coarse part, (…, h, w) or (…, n), and the details, (…, 3, h, w) in the order cH,
            cV, cD, or (…, 1, n).

        Raises:
            ValueError: if ``x`` is not floating point, has fewer than ``dims`` axes, or a side is
                odd.
        """
        check_even(x, self.dims)
        return _down(x, self.dims)

    def synthesis(self, coarse: Tensor, details: Tensor) -> Tensor:
        """Undo :meth:`analysis`.

        Args:
            coarse: of shape (…, h, w), or (…, n) in one dimension.
            details: of shape (…, 3, h, w), or (…, 1, n).

        Raises:
            ValueError: if the two shapes do not belong together.
        """
        check_parts(coarse, details, self.dims)
        return _up(coarse, details, self.dims)


def _down(x: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Take the step down, differentiably."""
    if torch.compiler.is_compiling():
        return _split(x, dims)
    parts: tuple[Tensor, Tensor] = _Split.apply(x, dims)  # type: ignore[no-untyped-call]
    return parts


def _up(coarse: Tensor, details: Tensor, dims: int) -> Tensor:
    """Take the step up, differentiably; of two types the result has the one that holds both."""
    if coarse.dtype != details.dtype:
        dtype = torch.promote_types(coarse.dtype, details.dtype)
        coarse, details = coarse.to(dtype), details.to(dtype)
    if torch.compiler.is_compiling():
        return _merge(coarse, details, dims)
    x: Tensor = _Merge.apply(coarse, details, dims)  # type: ignore[no-untyped-call]
    return x


def _split(x: Tensor, dims: int) -> tuple[Tensor, Tensor]:
    """Return the coarse part and the details of one step."""
    if dims == 1:
        total, difference = (part.mul_(math.sqrt(0.5)) for part in _butterfly(x, -1))
        return total, difference.unsqueeze(-2)
    total, difference = (part.mul_(0.5) for part in _butterfly(x, -2))
    if torch.compiler.is_compiling():
        coarse, vertical = _butterfly(total, -1)
        horizontal, diagonal = _butterfly(difference, -1)
        return coarse, torch.stack((horizontal, vertical, diagonal), dim=-3)
    *lead, height, width = total.shape
    coarse = total.new_empty((*lead, height, width // 2))
    details = total.new_empty((*lead, 3, height, width // 2))
    horizontal, vertical, diagonal = details.unbind(-3)
    _butterfly(total, -1, coarse, vertical)
    _butterfly(difference, -1, horizontal, diagonal)
    return coarse, details


def _merge(coarse: Tensor, details: Tensor, dims: int) -> Tensor:
    """Return the input of one step from its coarse part and details."""
    if dims == 1:
        return _interleave(coarse, details.squeeze(-2), -1).mul_(math.sqrt(0.5))
    horizontal, vertical, diagonal = details.unbind(-3)
    total = _interleave(coarse, vertical, -1).mul_(0.5)
    difference = _interleave(horizontal, diagonal, -1).mul_(0.5)
    return _interleave(total, difference, -2)


def _butterfly(
    x: Tensor, dim: int, total: Tensor | None = None, difference: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the sums and the differences of the pairs along one axis, in the given tensors."""
    even, odd = torch.unflatten(x, dim, (-1, 2)).unbind(dim)
    return torch.add(even, odd, out=total), torch.sub(even, odd, out=difference)


def _interleave(total: Tensor, difference: Tensor, dim: int) -> Tensor:
    """Return the pairs, twice over, whose sums and differences these are."""
    if torch.compiler.is_compiling():
        pair = torch.stack((total + difference, total - difference), dim=dim)
        return pair.flatten(dim - 1, dim)
    shape = list(total.shape)
    shape[dim] *= 2
    x = total.new_empty(shape)
    even, odd = torch.unflatten(x, dim, (-1, 2)).unbind(dim)
    torch.add(total, difference, out=even)
    torch.sub(total, difference, out=odd)
    return x


class _StepContext(Protocol):
    """The context that autograd passes from a step to its transpose."""

    dims: int


class _VmapInfo(Protocol):
    """The information of vmap about the axis that it adds."""

    batch_size: int


class _Split(Function):
    """The step down: linear, with the step up as its transpose."""

    @staticmethod
    def forward(x: Tensor, dims: int) -> tuple[Tensor, Tensor]:
        return _split(x, dims)

    @staticmethod
    def setup_context(ctx: _StepContext, inputs: tuple[Tensor, int], output: object) -> None:
        ctx.dims = inputs[1]

    @staticmethod
    def backward(ctx: _StepContext, coarse: Tensor, details: Tensor) -> tuple[Tensor, None]:
        return _up(coarse, details, ctx.dims), None

    @staticmethod
    def jvp(ctx: _StepContext, x: Tensor, _: None) -> tuple[Tensor, Tensor]:
        return _down(x, ctx.dims)

    @staticmethod
    def vmap(
        info: _VmapInfo, in_dims: tuple[int, None], x: Tensor, dims: int
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        return _down(x.movedim(in_dims[0], 0), dims), (0, 0)


class _Merge(Function):
    """The step up: linear, with the step down as its transpose."""

    @staticmethod
    def forward(coarse: Tensor, details: Tensor, dims: int) -> Tensor:
        return _merge(coarse, details, dims)

    @staticmethod
    def setup_context(
        ctx: _StepContext, inputs: tuple[Tensor, Tensor, int], output: object
    ) -> None:
        ctx.dims = inputs[2]

    @staticmethod
    def backward(ctx: _StepContext, x: Tensor) -> tuple[Tensor, Tensor, None]:
        return *_down(x, ctx.dims), None

    @staticmethod
    def jvp(ctx: _StepContext, coarse: Tensor, details: Tensor, _: None) -> Tensor:
        return _up(coarse, details, ctx.dims)

    @staticmethod
    def vmap(
        info: _VmapInfo,
        in_dims: tuple[int | None, int | None, None],
        coarse: Tensor,
        details: Tensor,
        dims: int,
    ) -> tuple[Tensor, int]:
        first = _lead(coarse, in_dims[0], info.batch_size)
        return _up(first, _lead(details, in_dims[1], info.batch_size), dims), 0


def _lead(x: Tensor, dim: int | None, count: int) -> Tensor:
    """Return a tensor with the axis of vmap in front."""
    return x.expand(count, *x.shape) if dim is None else x.movedim(dim, 0)
