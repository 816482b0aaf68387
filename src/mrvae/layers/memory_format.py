"""The order of channels and pixels in memory, which is to be the convolutions' own on the way back.

Convolutions are fastest where the channels of a pixel lie side by side (*channels last*), and every
state of a model lies so. What its loss makes of it need not: the gradient of a sum is one number
seen many times, and becomes a tensor with its channels apart once it is multiplied by another. A
sum of two tensors has the order of the first, and so one such gradient can spread along the states,
and every convolution on the way reorders what it is given.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


def preserve_memory_format(x: Tensor) -> Tensor:
    """Return x, whose gradient will have its channels last in memory if x has.

    Example:
        >>> x = torch.ones(1, 2, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
        >>> slope = torch.autograd.grad(preserve_memory_format(2 * x).sum(), x)[0]
        >>> slope.stride()
        (18, 1, 6, 2)
    """
    if torch.compiler.is_compiling():
        return x  # a compiler lays out memory by itself
    found: Tensor = _PreserveMemoryFormat.apply(x)  # type: ignore[no-untyped-call]
    return found


class _PreserveMemoryFormat(torch.autograd.Function):
    """The identity, with a gradient in the order of memory of what went in."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        """Return x."""
        ctx.last = x.dim() == 4 and x.stride(1) == 1  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, *slopes: Tensor) -> Tensor:
        """Return the slope, reordered if need be."""
        (slope,) = slopes
        last: bool = ctx.last  # type: ignore[attr-defined]
        return slope.contiguous(memory_format=torch.channels_last) if last else slope
