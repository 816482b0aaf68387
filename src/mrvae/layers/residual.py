"""The bottleneck of four convolutions, the building block of VDVAE (Child 2021, figure 3).

    f(x) = C₄ g(C₃ g(C₂ g(C₁ g(x)))),   g = GELU,

with C₁ and C₄ pointwise and C₂, C₃ of a given kernel between them, on ``middle`` channels. There
is no normalisation. As a residual block it computes x + f(x).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers.convolution import convolution
from mrvae.sizes import ImageSize


class Bottleneck(nn.Module):
    """Four convolutions, each behind a GELU, from ``inputs`` over ``middle`` to ``outputs``.

    Example:
        >>> import torch
        >>> Bottleneck(8, 2, 6, kernel=3)(torch.zeros(1, 8, 4, 4)).shape
        torch.Size([1, 6, 4, 4])
    """

    def __init__(self, inputs: int, middle: int, outputs: int, kernel: ImageSize) -> None:
        super().__init__()
        self.enter = convolution(inputs, middle, 1)
        self.first = convolution(middle, middle, kernel)
        self.second = convolution(middle, middle, kernel)
        self.leave = convolution(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), with shape (B, outputs, H, W)."""
        return self.finish(self.enter(functional.gelu(x)))

    def forward_pair(self, x: Tensor, activated: Tensor) -> Tensor:
        """Return f([x, e]) where ``activated`` = g(e) was computed once for many blocks.

        The pointwise convolution of a concatenation is the sum of two, so neither the
        concatenation nor g(e), which all cells of a resolution share, is computed again.
        """
        of_x, of_e = torch.split(self.enter.weight, [x.shape[1], activated.shape[1]], dim=1)
        entered = functional.conv2d(functional.gelu(x), of_x, self.enter.bias)
        return self.finish(entered + functional.conv2d(activated, of_e))

    def finish(self, entered: Tensor) -> Tensor:
        """Return what follows C₁."""
        h = self.first(functional.gelu(entered))
        h = self.second(functional.gelu(h))
        leave: Tensor = self.leave(functional.gelu(h))
        return leave
