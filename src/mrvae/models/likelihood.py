"""The likelihood at the bottom: the last state becomes a distribution of the image.

VDVAE ends with a gain and a bias for each channel and one pointwise convolution to the parameters
of p(x | z); Kuzina & Tomczak (2023) end with a 3×3 convolution alone. The frame's padding is cut
away before anything is scored.

Theirs is a mixture of logistics with log-scale log softplus(0.4 raw)/0.4, raw of at least -20; ours
is raw itself, of at least -7, in both heads. The family is the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    PixelDistribution,
)
from mrvae.layers import convolution
from mrvae.models.image import ImageFrame
from mrvae.recipes.schema import (
    BernoulliPixels,
    CategoricalPixels,
    Likelihood,
    LogisticMixturePixels,
)


class Head(nn.Module):
    """From states (B, width, S, S) to p(x | z) over uint8 images of the frame.

    Example:
        >>> frame = ImageFrame(channels=1, size=2, network_size=4, mean=0.5, std=0.5)
        >>> p = Head(8, frame, BernoulliPixels())(torch.zeros(3, 8, 4, 4))
        >>> p.mean().shape
        torch.Size([3, 1, 2, 2])
    """

    def __init__(self, width: int, frame: ImageFrame, likelihood: Likelihood) -> None:
        super().__init__()
        self.frame = frame
        self.likelihood = likelihood
        self.gain = nn.Parameter(torch.ones(1, width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.leave = convolution(width, parameter_channels(frame.channels, likelihood), 1)

    def forward(self, h: Tensor) -> PixelDistribution:
        """Return the distribution of the image given the last state."""
        parameters = self.leave(self.frame.crop(h) * self.gain + self.bias)
        return _distribution(parameters, self.frame.channels, self.likelihood)


class SpatialHead(nn.Module):
    """From states (B, width, S, S) to p(x | z), by one 3×3 convolution.

    Source: Kuzina & Tomczak 2023, the released code.

    Example:
        >>> frame = ImageFrame(channels=3, size=2, network_size=4, mean=0.5, std=0.5)
        >>> head = SpatialHead(8, frame, LogisticMixturePixels(autoregressive=False))
        >>> head.leave.out_channels
        70
    """

    def __init__(self, width: int, frame: ImageFrame, likelihood: Likelihood) -> None:
        super().__init__()
        self.frame = frame
        self.likelihood = likelihood
        self.leave = convolution(width, parameter_channels(frame.channels, likelihood), 3)

    def forward(self, h: Tensor) -> PixelDistribution:
        """Return the distribution of the image given the last state."""
        parameters = self.frame.crop(self.leave(h))
        return _distribution(parameters, self.frame.channels, self.likelihood)


def _distribution(parameters: Tensor, channels: int, likelihood: Likelihood) -> PixelDistribution:
    match likelihood:
        case BernoulliPixels():
            return Bernoulli(parameters)
        case CategoricalPixels(levels):
            return Categorical(parameters, channels, levels)
        case LogisticMixturePixels(levels, _, autoregressive):
            return DiscretizedLogisticMixture(parameters, channels, levels, autoregressive)


def parameter_channels(channels: int, likelihood: Likelihood) -> int:
    """Return how many numbers a pixel's distribution takes.

    Example:
        >>> parameter_channels(3, LogisticMixturePixels(components=10))
        100
    """
    match likelihood:
        case BernoulliPixels():
            return Bernoulli.parameter_channels(channels)
        case CategoricalPixels(levels):
            return Categorical.parameter_channels(channels, levels)
        case LogisticMixturePixels(_, components, autoregressive):
            return DiscretizedLogisticMixture.parameter_channels(
                channels, components, autoregressive
            )
