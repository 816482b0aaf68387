"""Convolutions with the initial values of a very deep VAE.

A residual network of n blocks, each adding a term of variance v to its state, ends with variance
n v. Child (2021) therefore multiplies the last convolution of every block by 1/√n, and sets to
zero those whose output has to vanish at the start: the prior's, so that every latent begins as a
standard normal. Biases begin at zero; all other weights as PyTorch sets them.

Where a network is to see a state of zeros, its biases have to be drawn as its weights are, or it
would be zero throughout, with no gradient to leave that by. Their convolutions may have weight
normalisation (Salimans & Kingma 2016): w = g v / ‖v‖ for each output channel, with g and v learnt.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrizations


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """Return a convolution that keeps the image's size, its bias zero.

    ``kernel`` is odd; shapes (B, inputs, H, W) → (B, outputs, H, W).

    Example:
        >>> convolution(4, 8, 3)(torch.zeros(2, 4, 5, 5)).shape
        torch.Size([2, 8, 5, 5])
    """
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def drawn_convolution(
    inputs: int, outputs: int, kernel: int, *, groups: int = 1, weight_norm: bool = False
) -> nn.Conv2d:
    """Return a convolution that keeps the image's size, its bias drawn as PyTorch does.

    With ``groups`` each of as many parts of the channels has a convolution of its own. The shapes
    are those of :func:`convolution`, and weight normalisation leaves its first value as it is.

    Example:
        >>> normed = drawn_convolution(4, 8, 3, weight_norm=True)
        >>> sum(p.numel() for p in normed.parameters()) - 4 * 8 * 9 - 8
        8
    """
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)
    return parametrizations.weight_norm(layer) if weight_norm else layer


def scale_weight(layer: nn.Conv2d, factor: float) -> None:
    """Multiply the layer's weight by ``factor``, in place; 0 makes a block begin silent.

    Example:
        >>> layer = convolution(1, 1, 1)
        >>> scale_weight(layer, 0.0)
        >>> layer.weight.abs().item()
        0.0
    """
    with torch.no_grad():
        layer.weight.mul_(factor)
