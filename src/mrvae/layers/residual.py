"""The bottleneck of four convolutions, the building block of VDVAE (Child 2021, figure 3).

    f(x) = C₄ g(C₃ g(C₂ g(C₁ g(x)))),   g = GELU,

with C₁ and C₄ pointwise and C₂, C₃ of a given kernel between them, on ``middle`` channels. There
is no normalisation. As a residual block it computes x + f(x).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from mrvae.layers.activation import gelu
from mrvae.layers.convolution import convolution, pointwise
from mrvae.sizes import ImageSize

# More pixels of an image, and its channels are not cut but convolved in two parts.
_PIXELS_CUT = 16 * 16


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
        return self.of_activated(gelu(x))

    def of_activated(self, activated: Tensor) -> Tensor:
        """Return f(x) where ``activated`` = g(x) is known."""
        leave: Tensor = self.leave(self._before_leaving(self.enter(activated)))
        return leave

    def halves_of_activated(self, activated: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Return the ``first`` channels of f(x) and the others, where ``activated`` = g(x).

        Of many pixels they are two convolutions: to cut a tensor in two, and to join the gradients
        of its parts, would take longer than to read the input twice.
        """
        channels = [first, self.leave.out_channels - first]
        few = activated.shape[2] * activated.shape[3] <= _PIXELS_CUT
        if few or not channels[1] or torch.compiler.is_compiling():
            leading, trailing = torch.split(self.of_activated(activated), channels, dim=1)
            return leading, trailing
        h = self._before_leaving(self.enter(activated))
        bias = cast(Tensor, self.leave.bias)
        parts = zip(
            torch.split(self.leave.weight, channels), torch.split(bias, channels), strict=True
        )
        leading, trailing = (pointwise(h, weight, shift) for weight, shift in parts)
        return leading, trailing

    def forward_pair(self, x: Tensor, activated: Tensor) -> Tensor:
        """Return f([x, e]) where ``activated`` = g(e) was computed once for many blocks.

        The pointwise convolution of a concatenation is the sum of two, so neither the
        concatenation nor g(e), which all cells of a resolution share, is computed again.
        """
        return self.of_activated_pair(gelu(x), activated)

    def of_activated_pair(self, x: Tensor, e: Tensor) -> Tensor:
        """Return f of a concatenation of which x and e are the activations."""
        of_x, of_e = torch.split(self.enter.weight, [x.shape[1], e.shape[1]], dim=1)
        entered = pointwise(x, of_x, self.enter.bias) + pointwise(e, of_e)
        leave: Tensor = self.leave(self._before_leaving(entered))
        return leave

    def _before_leaving(self, entered: Tensor) -> Tensor:
        """Return what C₄ is applied to, of what C₁ has made."""
        h = self.first(gelu(entered))
        return gelu(self.second(gelu(h)))
