"""A free probability for each of a few grey levels: p(x = v) = softmax(l)_v."""

from __future__ import annotations

import torch
from torch import Tensor

from mrvae.distributions.pixels import require_levels, widen


def draw(logits: Tensor, dim: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw an index along ``dim`` with probabilities softmax(logits).

    The largest of l_k - log E_k, with E_k exponential, is the k-th with that probability (the
    Gumbel-max trick, since -log E is Gumbel); the logits need not be normalised.

    Example:
        >>> draw(torch.tensor([[0.0, 90.0], [90.0, 0.0]]), dim=1).tolist()
        [1, 0]
    """
    # Not empty_like: what is drawn shall not depend on how the logits lie in memory.
    noise = torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)
    noise.exponential_(generator=generator)
    return (logits - noise.log()).argmax(dim)


class Categorical:
    """Independent pixels, each with one probability per level.

    Args:
        parameters: logits of shape (B, C·levels, H, W); level v of channel c is row c·levels + v.
        channels: C.
        levels: number of values of a pixel.

    Raises:
        ValueError: if ``parameters`` does not have C·levels channels.

    Example:
        >>> uniform = Categorical(torch.zeros(1, 17, 1, 1), channels=1, levels=17)
        >>> uniform.mean().flatten()
        tensor([8.])
    """

    def __init__(self, parameters: Tensor, channels: int, levels: int) -> None:
        batch, rows, height, width = parameters.shape
        if rows != self.parameter_channels(channels, levels):
            raise ValueError(
                f"parameters have {rows} channels; expected"
                f" {self.parameter_channels(channels, levels)} for {channels} channels of"
                f" {levels} levels, see parameter_channels"
            )
        self.levels = levels
        self.logits = widen(parameters).view(batch, channels, levels, height, width)

    @staticmethod
    def parameter_channels(channels: int, levels: int) -> int:
        """Return the number of parameters per pixel."""
        return channels * levels

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, of shape (B,), for uint8 images (B, C, H, W)."""
        require_levels(x, self.logits[:, :, 0].shape)
        chosen = self.logits.gather(2, x.unsqueeze(2).long()).squeeze(2)
        return (chosen - self.logits.logsumexp(dim=2)).sum(dim=(1, 2, 3))

    def pmf(self, given: Tensor | None = None) -> Tensor:
        """Return the probabilities (B, C, H, W, levels); ``given`` is of no consequence."""
        return self.logits.softmax(dim=2).movedim(2, -1)

    def mean(self) -> Tensor:
        """Return Σ_v v p(v), of shape (B, C, H, W), in units of levels."""
        values = torch.arange(self.levels, dtype=self.logits.dtype, device=self.logits.device)
        return self.pmf() @ values

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one uint8 image (B, C, H, W) for each element of the batch."""
        return draw(self.logits, 2, generator).to(torch.uint8)
