"""The likelihood of a model whose decoder makes an image: pixels around it, rounded to bins.

The last state is an image on [0, 1], or becomes one by :func:`squash`. A pixel is a logistic or a
Gaussian around its value, with one learnt scale for each channel, rounded to the bins, the tails
folded in: a probability that sums to one. With two bins the logistic is a Bernoulli of logit
(2x̂ - 1)/scale.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mrvae.distributions import DiscretizedLogisticMixture, GaussianPixels, PixelDistribution
from mrvae.models.image import ImageFrame
from mrvae.models.trace import Trace

# On [-1, 1]: six bins of 256.
_FIRST_LOG_SCALE = -3.0
ImageFamily = Callable[[Tensor, Tensor, int], PixelDistribution]
"""From the centre on [-1, 1], the log-scale and the number of bins to the pixels' distribution."""


def logistic_pixels(center: Tensor, log_scale: Tensor, bins: int) -> PixelDistribution:
    """Return discretised logistics around an image (B, C, H, W) on [-1, 1]."""
    weight = torch.zeros_like(center[:, :1])
    parameters = torch.cat((weight, center, log_scale.expand_as(center)), dim=1)
    return DiscretizedLogisticMixture(parameters, center.shape[1], bins, False)


class ImageHead(nn.Module):
    """From the decoder's image (B, C, H, W) to p(x | z).

    Args:
        frame: the image's.
        family: the distribution of a pixel around its centre, such as :func:`logistic_pixels`.
        squashed: whether the state is squashed into (0, 1) first.
        detached: whether the image is detached, so that only the scale learns from the likelihood.

    Example:
        >>> frame = ImageFrame(channels=1, size=2, network_size=2, mean=1.0, std=1.0, bins=3)
        >>> pixels = ImageHead(frame, logistic_pixels)(torch.full((1, 1, 2, 2), 0.5))
        >>> pixels.mean()[0, 0]
        tensor([[1., 1.],
                [1., 1.]], grad_fn=<SelectBackward0>)
    """

    def __init__(
        self,
        frame: ImageFrame,
        family: ImageFamily,
        squashed: bool = False,
        detached: bool = False,
    ) -> None:
        super().__init__()
        self.family = family
        self.bins = frame.bins
        self.squashed = squashed
        self.detached = detached
        self.log_scale = nn.Parameter(torch.full((frame.channels, 1, 1), _FIRST_LOG_SCALE))

    def image(self, h: Tensor) -> Tensor:
        """Return the image on [0, 1] of a state, (B, C, H, W)."""
        return squash(h) if self.squashed else h

    def forward(self, h: Tensor) -> PixelDistribution:
        """Return the distribution of the image given the last state."""
        center = 2 * self.image(h) - 1
        center = center.detach() if self.detached else center
        return self.family(center, self.log_scale, self.bins)


def gaussian_pixels(center: Tensor, log_scale: Tensor, bins: int) -> PixelDistribution:
    """Return discretised Gaussians around an image (B, C, H, W) on [-1, 1]."""
    return GaussianPixels(center, log_scale, bins)


def image_of(trace: Trace) -> Tensor:
    """Return the image on [0, 1] that the decoder made, (B, C, H, W).

    Raises:
        ValueError: if the model's likelihood is not one around an image.
    """
    if not isinstance(trace.head, ImageHead):
        kind = type(trace.head).__name__
        raise ValueError(f"the likelihood is {kind}; expected one around an image")
    return trace.head.image(trace.state)


def squash(h: Tensor) -> Tensor:
    """Return 1/(1 + e^{2 - 4h}), in (0, 1), whose value and slope at 1/2 are those of h.

    Example:
        >>> squash(torch.tensor([0.5, 0.6]))
        tensor([0.5000, 0.5987])
    """
    return torch.sigmoid(logits_of(h))


def logits_of(h: Tensor) -> Tensor:
    """Return 4h - 2, the logits of :func:`squash`."""
    return 4 * h - 2
