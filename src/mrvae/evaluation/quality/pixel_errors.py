"""Errors of reconstructions per pixel on [0, 1]: squared error and binary cross-entropy.

Kiruluta (2025, section 4.2) reports both beside SSIM (:mod:`mrvae.evaluation.quality.similarity`).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from mrvae.evaluation.quality.similarity import image_pair

# Half a bin of 256: the smallest distance from 0 and 1 of a reconstruction in a cross-entropy.
_NEAREST = 1 / 510


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean of (x - y)² over the pixels and channels of each image, (B,).

    Args:
        x: images (B, C, H, W), on [0, 1] or uint8.
        y: others of the same shape and type.

    Raises:
        ValueError: if the images differ in shape or type, or leave [0, 1].

    Source: Kiruluta 2025, section 4.2.

    Example:
        >>> import torch
        >>> x = torch.zeros(1, 1, 2, 2)
        >>> squared_error(x, x + 0.5)
        tensor([0.2500])
    """
    x, y = image_pair(x, y, least=1)
    return (x - y).square().flatten(1).mean(dim=1)


def cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean of -x log y - (1 - x) log(1 - y) over pixels and channels, in nats, (B,).

    y is kept half a bin of 256 from 0 and from 1, where a wrong pixel would have an infinite cost.
    It is not zero at y = x: there it is the mean entropy of the pixels.

    Args:
        x: images (B, C, H, W), on [0, 1] or uint8.
        y: their reconstructions, of the same shape and type.

    Raises:
        ValueError: if the images differ in shape or type, or leave [0, 1].

    Source: Kiruluta 2025, section 4.2.

    Example:
        >>> import torch
        >>> x = torch.full((1, 1, 2, 2), 0.5)
        >>> cross_entropy(x, x)
        tensor([0.6931])
    """
    x, y = image_pair(x, y, least=1)
    inside = y.clamp(_NEAREST, 1 - _NEAREST)
    return functional.binary_cross_entropy(inside, x, reduction="none").flatten(1).mean(dim=1)
