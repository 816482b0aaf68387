"""The likelihood of a hierarchy: the last state becomes the parameters of every pixel.

VDVAE ends with a gain and a bias for each channel and one pointwise convolution to the parameters
of p(x | z); Kuzina & Tomczak (2023) end with one 3×3 convolution. The frame's padding is cropped
before anything is scored. Where a place of the state is many pixels, the last convolution
makes the parameters of all of them.

Theirs is a mixture of logistics with log-scale log softplus(0.4 raw)/0.4, raw of at least -20; ours
is raw itself, of at least -7, in both heads. The family is the same.

A family of pixel distributions is a value with two members: how many parameters a pixel has, and
the distribution that they make. A new likelihood is one more family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from mrvae.distributions import (
    Bernoulli,
    Categorical,
    DiscretizedLogisticMixture,
    PixelDistribution,
)
from mrvae.layers import convolution, pointwise
from mrvae.models.image import ImageFrame
from mrvae.sizes import kernel_for


class PixelFamily(Protocol):
    """A family of distributions of images."""

    @property
    def parameters(self) -> int:
        """How many numbers a pixel's distribution takes, all channels together."""
        ...

    def __call__(self, parameters: Tensor) -> PixelDistribution:
        """Return the distribution of images from parameters (B, parameters, H, W)."""
        ...


@dataclass(frozen=True)
class BernoulliFamily:
    """Binary pixels, one logit for each channel."""

    channels: int

    @property
    def parameters(self) -> int:
        """One for each channel."""
        return Bernoulli.parameter_channels(self.channels)

    def __call__(self, parameters: Tensor) -> PixelDistribution:
        """Return the distribution of images from logits (B, C, H, W)."""
        return Bernoulli(parameters)


@dataclass(frozen=True)
class CategoricalFamily:
    """A free probability for each of a few bins."""

    channels: int
    bins: int

    @property
    def parameters(self) -> int:
        """One for each bin of each channel."""
        return Categorical.parameter_channels(self.channels, self.bins)

    def __call__(self, parameters: Tensor) -> PixelDistribution:
        """Return the distribution of images from logits (B, C · bins, H, W)."""
        return Categorical(parameters, self.channels, self.bins)


@dataclass(frozen=True)
class LogisticMixtureFamily:
    """A mixture of discretised logistics, perhaps autoregressive over channels.

    Example:
        >>> LogisticMixtureFamily(channels=3, bins=256, components=10).parameters
        100
    """

    channels: int
    bins: int
    components: int
    autoregressive: bool = True

    @property
    def parameters(self) -> int:
        """Weight, means, log-scales and channel coefficients of each component."""
        return DiscretizedLogisticMixture.parameter_channels(
            self.channels, self.components, self.autoregressive
        )

    def __call__(self, parameters: Tensor) -> PixelDistribution:
        """Return the distribution of images from parameters (B, parameters, H, W)."""
        return DiscretizedLogisticMixture(parameters, self.channels, self.bins, self.autoregressive)


class Head(nn.Module):
    """From states (B, width, H', W') to p(x | z), by a gain, a bias and a pointwise convolution.

    Example:
        >>> frame = ImageFrame(channels=1, size=2, network_size=4, mean=0.5, std=0.5)
        >>> p = Head(8, frame, BernoulliFamily(channels=1))(torch.zeros(3, 8, 4, 4))
        >>> p.mean().shape
        torch.Size([3, 1, 2, 2])
    """

    def __init__(self, width: int, frame: ImageFrame, family: PixelFamily) -> None:
        super().__init__()
        self.frame = frame
        self.family = family
        self.gain = nn.Parameter(torch.ones(1, width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.leave = convolution(width, family.parameters * frame.space_to_depth**2, 1)

    def forward(self, h: Tensor) -> PixelDistribution:
        """Return the distribution of the image given the last state."""
        # W(a ⊙ h + b) + c = (W a) h + (W b + c): the few weights are scaled, not the many pixels.
        weight = self.leave.weight * self.gain
        shift = (self.leave.weight * self.bias).sum(dim=(1, 2, 3))
        bias = shift if self.leave.bias is None else shift + self.leave.bias
        parameters = self.frame.crop_state(pointwise(h, weight, bias))
        return self.family(self.frame.assemble(parameters))


class SpatialHead(nn.Module):
    """From states (B, width, H', W') to p(x | z), by one 3×3 convolution, 1×3 for signals.

    Source: Kuzina & Tomczak 2023, the released code.

    Example:
        >>> frame = ImageFrame(channels=3, size=2, network_size=4, mean=0.5, std=0.5)
        >>> family = LogisticMixtureFamily(3, bins=256, components=10, autoregressive=False)
        >>> SpatialHead(8, frame, family).leave.out_channels
        70
    """

    def __init__(self, width: int, frame: ImageFrame, family: PixelFamily) -> None:
        super().__init__()
        self.frame = frame
        self.family = family
        outputs = family.parameters * frame.space_to_depth**2
        self.leave = convolution(width, outputs, kernel_for(frame.network_size, 3))

    def forward(self, h: Tensor) -> PixelDistribution:
        """Return the distribution of the image given the last state."""
        parameters = self.frame.crop_state(self.leave(h))
        return self.family(self.frame.assemble(parameters))
