"""A refinement of the synthesised image: a U-Net after the inverse wavelet transform."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.layers import UNet
from mrvae.sizes import ImageSize


class Refinement(nn.Module):
    """A U-Net that adds to an image on [0, 1]; at the start it adds nothing.

    Args:
        size: one number of pixels, or (height, width).
        channels: of the image.
        width: channels inside.
        blocks: residual blocks per scale.
        scales: number of scales.

    Raises:
        ValueError: as :class:`~mrvae.layers.UNet`.

    Source: ours; Kiruluta 2025 has no refinement.

    Example:
        >>> image = torch.rand(1, 1, 4, 4)
        >>> bool(torch.equal(Refinement(4, 1, width=16, blocks=1, scales=1)(image), image))
        True
    """

    def __init__(
        self, size: ImageSize, channels: int, width: int, blocks: int, scales: int
    ) -> None:
        super().__init__()
        self.network = UNet(size, channels, channels, width, scales, blocks)

    def forward(self, image: Tensor) -> Tensor:
        """Return the image (B, C, H, W) with what the network adds."""
        # The network knows the time; here there is but one.
        time = torch.zeros(len(image), dtype=torch.int64, device=image.device)
        added: Tensor = self.network(2 * image - 1, time)
        return image + added
