"""How large the noise of wavelet coefficients is: one number, or several, or one for each.

Kiruluta (2025, equation 12) adds s ε to what the encoder finds, s being "a single global learnable
parameter, potentially different for approximation vs. detail coefficients, or even
coefficient-specific". All of these are a few tensors and the place of each latent among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.models.hierarchy.walk import Shape


class NoiseScales(nn.Module):
    """log s of every latent, broadcasting with it.

    Args:
        values: the first s of each entry.
        shapes: the shape of each entry, which broadcasts with the latents (C, h, w) that use it.
        places: the entry of each latent, coarse to fine.
        learnt: whether s is learnt, or stays as it is.

    Source: Kiruluta 2025, equations 12 and 13.

    Example:
        >>> noise = NoiseScales([0.5, 0.25], [(1, 1, 1)] * 2, places=[0, 1, 1], learnt=True)
        >>> [round(noise(latent).exp().item(), 3) for latent in range(3)]
        [0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        values: Sequence[float],
        shapes: Sequence[Shape],
        places: Sequence[int],
        learnt: bool,
    ) -> None:
        super().__init__()
        self.places = tuple(places)
        for index, (value, shape) in enumerate(zip(values, shapes, strict=True)):
            log_scale = torch.full(shape, value).log()
            if learnt:
                self.register_parameter(f"log_scale{index}", nn.Parameter(log_scale))
            else:
                self.register_buffer(f"log_scale{index}", log_scale)

    def forward(self, latent: int) -> Tensor:
        """Return log s of a latent by its number, coarse to fine."""
        log_scale: Tensor = getattr(self, f"log_scale{self.places[latent]}")
        return log_scale
