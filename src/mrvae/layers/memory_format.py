"""Gradients keep the memory layout of their tensors.

Convolutions are fastest where the channels of a pixel are adjacent in memory (*channels last*), the
layout of every state of a model. The gradient of a loss may have another one: that of a sum is one
number with strides of zero, and becomes a contiguous tensor once it is multiplied by another. A sum
of two tensors has the layout of the first, so such a gradient spreads along the states, and every
convolution of the backward pass reorders its input.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


def preserve_memory_format(x: Tensor) -> Tensor:
    """Return x, with a gradient that is channels last if x is.

    Example:
        >>> x = torch.ones(1, 2, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
        >>> slope = torch.autograd.grad(preserve_memory_format(2 * x).sum(), x)[0]
        >>> slope.stride()
        (18, 1, 6, 2)
    """
    if torch.compiler.is_compiling():
        return x  # a compiler chooses layouts itself
    result: Tensor = _PreserveMemoryFormat.apply(x)  # type: ignore[no-untyped-call]
    return result


class _PreserveMemoryFormat(torch.autograd.Function):
    """The identity, with a gradient in the memory layout of its input."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        """Return x."""
        ctx.last = x.dim() == 4 and x.stride(1) == 1  # type: ignore[attr-defined]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        """Return the gradient, reordered if necessary."""
        (gradient,) = gradients
        last: bool = ctx.last  # type: ignore[attr-defined]
        return gradient.contiguous(memory_format=torch.channels_last) if last else gradient
