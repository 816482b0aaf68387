"""A free probability for each value of a pixel, of which there are few: p(x = v) = softmax(l)_v."""

from __future__ import annotations

import torch
from torch import Tensor

from mrvae.distributions.pixels import require_pixels, widen


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
    """Independent pixels, each with one probability per bin.

    Args:
        parameters: logits of shape (B, C·bins, H, W); bin v of channel c is row c·bins + v.
        channels: C.
        bins: number of values of a pixel.

    Raises:
        ValueError: if ``parameters`` does not have C·bins channels.

    Example:
        >>> uniform = Categorical(torch.zeros(1, 17, 1, 1), channels=1, bins=17)
        >>> uniform.mean().flatten()
        tensor([8.])
    """

    def __init__(self, parameters: Tensor, channels: int, bins: int) -> None:
        batch, rows, height, width = parameters.shape
        if rows != self.parameter_channels(channels, bins):
            raise ValueError(
                f"parameters have {rows} channels; expected"
                f" {self.parameter_channels(channels, bins)} for {channels} channels of"
                f" {bins} bins, see parameter_channels"
            )
        self.bins = bins
        self.logits = widen(parameters).view(batch, channels, bins, height, width)

    @staticmethod
    def parameter_channels(channels: int, bins: int) -> int:
        """Return the number of parameters per pixel."""
        return channels * bins

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, of shape (B,), for uint8 images (B, C, H, W)."""
        require_pixels(x, self.logits[:, :, 0].shape)
        chosen = self.logits.gather(2, x.unsqueeze(2).long()).squeeze(2)
        return (chosen - self.logits.logsumexp(dim=2)).sum(dim=(1, 2, 3))

    def pmf(self, given: Tensor | None = None) -> Tensor:
        """Return the probabilities (B, C, H, W, bins); ``given`` is ignored."""
        return self.logits.softmax(dim=2).movedim(2, -1)

    def mean(self) -> Tensor:
        """Return Σ_v v p(v), of shape (B, C, H, W), in pixel values 0 … n-1."""
        values = torch.arange(self.bins, dtype=self.logits.dtype, device=self.logits.device)
        return self.pmf() @ values

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one uint8 image (B, C, H, W) for each element of the batch."""
        return draw(self.logits, 2, generator).to(torch.uint8)
