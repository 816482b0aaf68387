"""Binary images: p(x = 1) = σ(l), so log p(x) = log σ((2x - 1) l), which never overflows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.distributions.pixels import require_pixels, widen


class Bernoulli:
    """Independent binary pixels with the given log-odds.

    Args:
        logits: log p(1) - log p(0), of shape (B, C, H, W).

    Example:
        >>> coin = Bernoulli(torch.zeros(1, 1, 2, 2))
        >>> coin.log_prob(torch.ones(1, 1, 2, 2, dtype=torch.uint8))
        tensor([-2.7726])
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = widen(logits)

    @staticmethod
    def parameter_channels(channels: int) -> int:
        """Return the number of parameters per pixel, one a channel."""
        return channels

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, of shape (B,), for uint8 images (B, C, H, W) of 0 and 1."""
        require_pixels(x, self.logits.shape)
        sign = 2 * x.to(self.logits.dtype) - 1
        return functional.logsigmoid(sign * self.logits).sum(dim=(1, 2, 3))

    def pmf(self, given: Tensor | None = None) -> Tensor:
        """Return p(0) and p(1), of shape (B, C, H, W, 2); ``given`` is of no consequence."""
        return torch.stack((torch.sigmoid(-self.logits), torch.sigmoid(self.logits)), dim=-1)

    def mean(self) -> Tensor:
        """Return p(1), of shape (B, C, H, W)."""
        return torch.sigmoid(self.logits)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one uint8 image (B, C, H, W) for each element of the batch."""
        uniform = torch.rand(
            self.logits.shape,
            generator=generator,
            dtype=self.logits.dtype,
            device=self.logits.device,
        )
        return (uniform < self.mean()).to(torch.uint8)
