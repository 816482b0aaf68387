"""The likelihood of a model whose decoder makes an image: pixels around it, rounded to levels.

The last state is an image on [0, 1], or becomes one by :func:`~mrvae.models.loss.squash`. A pixel
is a logistic or a Gaussian around its value, with one learnt scale for each channel, rounded to
the levels, the tails folded in: a probability that sums to one. With two levels the logistic is a
Bernoulli of logit (2x̂ - 1)/scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.distributions import DiscretizedLogisticMixture, GaussianPixels, PixelDistribution
from mrvae.layers import UNet
from mrvae.models.image import ImageFrame
from mrvae.models.loss import squash
from mrvae.recipes.wavelet import Around, GaussianAround, LogisticAround

# On [-1, 1]: six levels of 256.
_FIRST_LOG_SCALE = -3.0


class AroundImage(nn.Module):
    """From the decoder's image (B, C, H, W) to p(x | z).

    Args:
        frame: the image's.
        likelihood: the family.
        squashed: whether the state is squashed into (0, 1) first.
        held: whether the image is held fixed, so that only the scale learns from the likelihood.

    Example:
        >>> frame = ImageFrame(channels=1, size=2, network_size=2, mean=1.0, std=1.0, levels=3)
        >>> pixels = AroundImage(frame, LogisticAround(levels=3))(torch.full((1, 1, 2, 2), 0.5))
        >>> pixels.mean()[0, 0]
        tensor([[1., 1.],
                [1., 1.]], grad_fn=<SelectBackward0>)
    """

    def __init__(
        self, frame: ImageFrame, likelihood: Around, squashed: bool = False, held: bool = False
    ) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.squashed = squashed
        self.held = held
        self.log_scale = nn.Parameter(torch.full((frame.channels, 1, 1), _FIRST_LOG_SCALE))

    def image(self, h: Tensor) -> Tensor:
        """Return the image on [0, 1] that a state is read as, (B, C, H, W)."""
        return squash(h) if self.squashed else h

    def forward(self, h: Tensor) -> PixelDistribution:
        """Return the distribution of the image given the last state."""
        center = 2 * self.image(h) - 1
        center = center.detach() if self.held else center
        match self.likelihood:
            case GaussianAround(levels):
                return GaussianPixels(center, self.log_scale, levels)
            case LogisticAround(levels):
                weight = torch.zeros_like(center[:, :1])
                rows = torch.cat((weight, center, self.log_scale.expand_as(center)), dim=1)
                return DiscretizedLogisticMixture(rows, center.shape[1], levels, False)


class Refinement(nn.Module):
    """A U-Net that adds to an image on [0, 1]; at the start it adds nothing.

    Args:
        size: pixels a side.
        channels: of the image.
        width: channels inside.
        blocks: residual blocks per scale.
        scales: number of scales.

    Raises:
        ValueError: as :class:`~mrvae.layers.UNet`.

    Source: ours; Kiruluta 2025 has the inverse transform alone.

    Example:
        >>> image = torch.rand(1, 1, 4, 4)
        >>> bool(torch.equal(Refinement(4, 1, width=16, blocks=1, scales=1)(image), image))
        True
    """

    def __init__(self, size: int, channels: int, width: int, blocks: int, scales: int) -> None:
        super().__init__()
        self.network = UNet(size, channels, channels, width, scales, blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Return the image (B, C, H, W) with what the network adds."""
        # The network knows the time; here there is but one.
        time = torch.zeros(len(image), dtype=torch.int64, device=image.device)
        added: Tensor = self.network(2 * image - 1, time)
        return image + added
