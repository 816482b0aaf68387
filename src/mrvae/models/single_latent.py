"""A convolutional VAE with one Gaussian latent: the baseline of Kiruluta (2025).

The encoder is a residual network that halves the image until ``coarse`` pixels a side are left, and
outputs there μ and log σ of z (equations 10 and 11). The prior is Normal(0, 1), and the decoder
mirrors the encoder. As a hierarchy it has one latent, whose ``advance`` is the decoder.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers import Bottleneck, convolution, scale_weight
from mrvae.models.hierarchy.encoder import middle_width
from mrvae.models.hierarchy.level import Level
from mrvae.resolution import Ladder
from mrvae.sizes import ImageSize


class OneLatentEncoder(nn.Module):
    """From an image on [-1, 1] to μ and log σ of the one latent.

    Args:
        network: an encoder whose only feature is that of its coarsest level.
        width: channels of the feature.
        latent: channels of z.
        kernel: side of the last convolution.

    Source: Kiruluta 2025, equation 10.
    """

    def __init__(self, network: nn.Module, width: int, latent: int, kernel: ImageSize) -> None:
        super().__init__()
        self.network = network
        self.leave = convolution(width, 2 * latent, kernel)

    def forward(self, v: Tensor) -> tuple[Tensor, ...]:
        """Return ([μ, log σ],), of shape (B, 2·latent, h, w)."""
        return (self.leave(self.network(v)[0]),)


class Expand(nn.Module):
    """From z (B, latent, h, w) to an image (B, C, H, W), which begins near a grey one.

    Args:
        levels: of the mirror, coarse to fine.
        ladder: on which they stand.
        latent: channels of z.
        channels: of the image.
        bottleneck: ratio of a block's inner width to its outer.
    """

    def __init__(
        self, levels: list[Level], ladder: Ladder, latent: int, channels: int, bottleneck: float
    ) -> None:
        super().__init__()
        self.ladder = ladder
        self.enter = convolution(latent, levels[0].width, levels[0].kernel)
        applied = sum(level.blocks for level in levels)
        self.stacks = nn.ModuleList(
            nn.ModuleList(
                Bottleneck(level.width, middle_width(level, bottleneck), level.width, level.kernel)
                for _ in range(level.blocks)
            )
            for level in levels
        )
        for stack in self.stacks:
            for block in cast(nn.ModuleList, stack):
                scale_weight(cast(Bottleneck, block).leave, applied**-0.5)
        self.leave = convolution(levels[-1].width, channels, levels[-1].full_kernel)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the image of z; there is no state before it."""
        x = self.enter(z)
        for index, stack in enumerate(self.stacks):
            x = self.ladder.embed(x) if index else x
            for block in cast(nn.ModuleList, stack):
                x = x + block(x)
        made: Tensor = 0.5 + self.leave(functional.gelu(x))
        return made
