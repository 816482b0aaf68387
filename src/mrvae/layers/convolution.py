"""Convolutions with the initial values of a very deep VAE.

A residual network of n blocks, each adding a term of variance v to its state, ends with variance
n v. Child (2021) therefore multiplies the last convolution of every block by 1/√n, and sets to
zero those whose output has to vanish at the start: the prior's, so that every latent begins as a
standard normal. Biases begin at zero; all other weights as PyTorch sets them.

Where the input of a network is zero, its biases have to be drawn as its weights are, or its states
and gradients would all be zero. Their convolutions may have weight
normalisation (Salimans & Kingma 2016): w = g v / ‖v‖ for each output channel, with g and v learnt.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from mrvae.layers.activation import fast_float
from mrvae.sizes import ImageSize, sides

_FEW_PIXELS = 7 * 7


def convolution(inputs: int, outputs: int, kernel: ImageSize) -> nn.Conv2d:
    """Return a convolution that keeps the image's size, its bias zero.

    ``kernel`` is odd, or two odd numbers; shapes (B, inputs, H, W) → (B, outputs, H, W).

    Example:
        >>> convolution(4, 8, 3)(torch.zeros(2, 4, 5, 5)).shape
        torch.Size([2, 8, 5, 5])
    """
    layer = _convolution(inputs, outputs, kernel)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def drawn_convolution(
    inputs: int, outputs: int, kernel: ImageSize, *, weight_norm: bool = False
) -> nn.Conv2d:
    """Return a convolution that keeps the image's size, its bias drawn as PyTorch does.

    The shapes are those of :func:`convolution`, and weight normalisation leaves its first value as
    it is.

    Example:
        >>> layer = drawn_convolution(4, 8, 3, weight_norm=True)
        >>> sum(p.numel() for p in layer.parameters()) - 4 * 8 * 9 - 8
        8
    """
    return normed(_convolution(inputs, outputs, kernel), weight_norm)


def _convolution(inputs: int, outputs: int, kernel: ImageSize) -> nn.Conv2d:
    if kernel == 1:
        return Pointwise(inputs, outputs)
    return nn.Conv2d(inputs, outputs, kernel, padding=_padding(kernel))


def normed(layer: nn.Conv2d, weight_norm: bool) -> nn.Conv2d:
    """Return the layer with weight normalisation, or as it is."""
    return parametrizations.weight_norm(layer) if weight_norm else layer


class Pointwise(nn.Conv2d):
    """A convolution of every pixel by itself; see :func:`pointwise`.

    Args:
        inputs: channels of x.
        outputs: channels of the result.

    Example:
        >>> Pointwise(4, 8)(torch.zeros(2, 4, 3, 3)).shape
        torch.Size([2, 8, 3, 3])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H, W)."""
        return pointwise(x, self.weight, self.bias)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return a convolution of x (B, C, H, W) with kernels of one pixel, weight (D, C, 1, 1).

    On a CPU a convolution takes a tenth of a millisecond before it begins. So a few pixels are
    multiplied as a matrix (B·H·W, C), which takes a hundredth; many are faster convolved.

    Example:
        >>> x, weight = torch.randn(2, 8, 4, 4), torch.randn(3, 8, 1, 1)
        >>> bool(torch.allclose(pointwise(x, weight), functional.conv2d(x, weight), atol=1e-5))
        True
    """
    few = x.shape[2] * x.shape[3] <= _FEW_PIXELS
    if not few or not fast_float(x) or torch.compiler.is_compiling():
        return functional.conv2d(x, weight, bias)
    images, channels, height, width = x.shape
    pixels, matrix = x.permute(0, 2, 3, 1).reshape(-1, channels), weight.flatten(1).T
    product = pixels @ matrix if bias is None else torch.addmm(bias, pixels, matrix)
    return product.view(images, height, width, -1).permute(0, 3, 1, 2)


class Depthwise(nn.Conv2d):
    """A convolution of each channel separately that keeps the image's size.

    On the CPU it stays in float32 under autocast to bfloat16, in which the gradient of its weights
    is slower there than all that is gained elsewhere.

    Args:
        channels: of x and of the result.
        kernel: its side, odd, or (down, across).

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     Depthwise(4, 5)(torch.zeros(2, 4, 3, 3)).dtype
        torch.float32
    """

    def __init__(self, channels: int, kernel: ImageSize) -> None:
        super().__init__(channels, channels, kernel, padding=_padding(kernel), groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, channels, H, W) to the same shape."""
        # The memory of a step is predicted on meta tensors, which stand for the CPU's.
        if x.device.type not in ("cpu", "meta"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.to(self.weight.dtype))


def scale_weight(layer: nn.Conv2d, factor: float) -> None:
    """Multiply the layer's weight by ``factor``, in place; with 0 a residual block starts as S.

    Example:
        >>> layer = convolution(1, 1, 1)
        >>> scale_weight(layer, 0.0)
        >>> layer.weight.abs().item()
        0.0
    """
    with torch.no_grad():
        layer.weight.mul_(factor)


def _padding(kernel: ImageSize) -> tuple[int, int]:
    down, across = sides(kernel)
    return down // 2, across // 2
