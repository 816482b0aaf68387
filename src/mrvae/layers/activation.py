"""GELU, computed where a processor computes it fastest.

    g(x) = x Φ(x),      g'(x) = Φ(x) + x φ(x),

Φ and φ the distribution and the density of a standard normal. On a CPU, PyTorch leaves contiguous
tensors to oneDNN, which takes two thirds of the time of PyTorch's own loop, for g' as well. What is
channels last is contiguous with its axes in another order.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def gelu(x: Tensor) -> Tensor:
    """Return g(x) of x (B, C, H, W) or any other shape, in the memory layout of x.

    Example:
        >>> x = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
        >>> bool(torch.allclose(gelu(x), functional.gelu(x))), gelu(x).stride() == x.stride()
        (True, True)
    """
    if x.dim() != 4 or not fast_float(x) or torch.compiler.is_compiling():
        return functional.gelu(x)
    return functional.gelu(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def fast_float(x: Tensor) -> bool:
    """Return whether x is on a CPU in a type that oneDNN computes, which float64 is not.

    Meta tensors stand for the CPU's where the memory of a step is predicted.

    Example:
        >>> fast_float(torch.zeros(1)), fast_float(torch.zeros(1, dtype=torch.float64))
        (True, False)
    """
    return x.device.type in ("cpu", "meta") and x.dtype != torch.float64
