"""What a likelihood of an image must offer.

An image is uint8 of shape (B, C, H, W) with values 0 … n-1. Whatever the family, log_prob and pmf
agree by the chain rule over the channels of each pixel, pixels being independent given the
parameters:

    log p(x) = Σ_pixels Σ_c log p(x_c | x_<c),    Σ_v p(x_c = v | x_<c) = 1.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class PixelDistribution(Protocol):
    """A normalised distribution of uint8 images, one for each element of a batch."""

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, of shape (B,), for uint8 images (B, C, H, W)."""
        ...

    def pmf(self, given: Tensor | None = None) -> Tensor:
        """Return the probabilities of every value, of shape (B, C, H, W, n).

        Channel c is conditional on channels 0 … c-1 of ``given``, and only on them; without
        ``given`` it is marginal.
        """
        ...

    def mean(self) -> Tensor:
        """Return the mean in pixel values, 0 … n-1, of shape (B, C, H, W)."""
        ...

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one uint8 image (B, C, H, W) for each element of the batch."""
        ...


def widen(parameters: Tensor) -> Tensor:
    """Return ``parameters`` in float32, or in float64 if that is what they are."""
    return parameters.to(torch.promote_types(parameters.dtype, torch.float32))


def require_pixels(x: Tensor, shape: torch.Size) -> None:
    """Refuse what is not a uint8 image of the expected shape, without reading a value."""
    if x.dtype != torch.uint8:
        raise ValueError(f"images are {x.dtype}; expected torch.uint8 pixels, convert them")
    if x.shape != shape:
        raise ValueError(f"images have shape {tuple(x.shape)}; expected {tuple(shape)}")
