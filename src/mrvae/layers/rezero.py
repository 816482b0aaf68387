"""The blocks of Kuzina & Tomczak (2023): four convolutions scaled by a learnt scalar (ReZero).

With g = SiLU, C₁ and C₄ pointwise and one or two spatial convolutions C between them, a network
has its activations before every convolution, or behind every one but the last:

    N(x) = C₄ g(C g(C g(C₁ g(x)))),            N(x) = C₄ g(C g(C g(C₁ x))).

As a residual block it is scaled by a learnt scalar (ReZero, Bachlechner et al. 2021),

    S x + β N(x),    β = 0 at the start,

S the identity, or a pointwise convolution where the width changes; at the start a deep network of
such blocks is a product of S. With a shortcut the roles are exchanged: N(x) + β S x.

β multiplies a convolution's result, so it can as well multiply its few weights and biases, and β's
gradient is then a sum over these instead of over all pixels: β (C₄ h) = (β C₄) h.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from mrvae.layers.convolution import Depthwise, drawn_convolution, normed, pointwise
from mrvae.sizes import ImageSize, sides, simplest


class ReZero(nn.Module):
    """S x + β N(x), with β = 0 at the start.

    Args:
        net: N, from ``inputs`` channels to ``outputs``; it ends in a convolution.
        inputs: channels of x.
        outputs: channels of the result.

    Source: Bachlechner et al. 2021, equation 1.

    Example:
        >>> block, x = ReZero(activated_before(8, 2, 8), 8, 8), torch.randn(1, 8, 4, 4)
        >>> bool(torch.equal(block(x), x))
        True
    """

    def __init__(self, net: nn.Sequential, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = net
        self.beta = nn.Parameter(torch.zeros(1))
        self.skip = nn.Identity() if inputs == outputs else drawn_convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        *layers, last = self.net
        h = x
        for layer in layers:
            h = layer(h)
        result: Tensor = self.skip(x) + _times(self.beta, cast(nn.Conv2d, last), h)
        return result


class Shortcut(nn.Module):
    """N(x) + β S x, with β = 0 at the start and S always a convolution.

    Args:
        net: N, from ``inputs`` channels to ``outputs``.
        inputs: channels of x.
        outputs: channels of the result.

    Example:
        >>> net, x = activated_before(8, 2, 4), torch.randn(1, 8, 4, 4)
        >>> bool(torch.equal(Shortcut(net, 8, 4)(x), net(x)))
        True
    """

    def __init__(self, net: nn.Module, inputs: int, outputs: int) -> None:
        super().__init__()
        self.net = net
        self.beta = nn.Parameter(torch.zeros(1))
        self.skip = drawn_convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        result: Tensor = self.net(x) + _times(self.beta, self.skip, x)
        return result


def _times(beta: Tensor, layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Return β times what a pointwise convolution makes of x."""
    bias = None if layer.bias is None else beta * layer.bias
    return pointwise(x, beta * layer.weight, bias)


def activated_before(
    inputs: int, middle: int, outputs: int, *, kernel: ImageSize = 3, weight_norm: bool = False
) -> nn.Sequential:
    """Return C₄ g C g C g C₁ g, C of the kernel; all have weight norm, or none has.

    Example:
        >>> sum(p.numel() for p in activated_before(32, 32, 32).parameters())
        20608
    """
    inside = (middle, middle, kernel)
    sizes = ((inputs, middle, 1), inside, inside, (middle, outputs, 1))
    layers: list[nn.Module] = []
    for i, o, side in sizes:
        layers += [nn.SiLU(), drawn_convolution(i, o, side, weight_norm=weight_norm)]
    return nn.Sequential(*layers)


def activated_after(
    inputs: int,
    middle: int,
    outputs: int,
    *,
    kernel: ImageSize = 3,
    depthwise: bool = False,
    weight_norm: bool = False,
) -> nn.Sequential:
    """Return C₄ g C g C g C₁, or C₄ g D g C₁ with a depthwise convolution D.

    D is larger than C by two pixels, 5×5 where C is 3×3 and 1×5 where C is 1×3. With weight norm
    all have it but the last, which can then be given its first weights.

    Example:
        >>> sum(p.numel() for p in activated_after(32, 32, 34, depthwise=True).parameters())
        3010
    """
    layers: list[nn.Module] = [drawn_convolution(inputs, middle, 1, weight_norm=weight_norm)]
    if depthwise:
        layers += [nn.SiLU(), normed(Depthwise(middle, _wider(kernel)), weight_norm)]
    else:
        for _ in range(2):
            layers += [
                nn.SiLU(),
                drawn_convolution(middle, middle, kernel, weight_norm=weight_norm),
            ]
    return nn.Sequential(*layers, nn.SiLU(), drawn_convolution(middle, outputs, 1))


def _wider(kernel: ImageSize) -> ImageSize:
    """Return the kernel of D."""
    down, across = sides(kernel)
    return simplest((down + 2 if down > 1 else 1, across + 2 if across > 1 else 1))
