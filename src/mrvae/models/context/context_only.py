"""A model whose only latent is its context: p(x) = Σ_c p(c) p(x | c).

A context is a function c = f(x) of the image, so nothing is inferred, and the bound is

    log p(x) ≥ log p(c) + log p(x | c),        x | c around x̂(c), the decoded context.

Its hierarchy is one resolution without cells, whose state is x̂(c) on [0, 1]. The prior of the
context and one scale for each channel of the pixels are learnt, nothing else. The mean of p(x | c)
is the picture of a file's first layer: algorithm 2 of Kuzina & Tomczak (2023), except for the tails
of the pixels' distribution, which are folded in at black and white.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.models.context.conditioner import ContextConditioner
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Cell, Shape
from mrvae.models.image import ImageFrame
from mrvae.models.trace import Latents
from mrvae.resolution import Ladder
from mrvae.sizes import ImageSize


class NoEncoder(nn.Module):
    """The encoder of a hierarchy without latents."""

    def forward(self, v: Tensor) -> tuple[Tensor, ...]:
        """Return no feature."""
        return ()


class EmptyStage(nn.Module):
    """A resolution without latents.

    Args:
        channels: of the state.
        size: one number of pixels, or (height, width).
    """

    zero: Tensor

    def __init__(self, channels: int, size: ImageSize) -> None:
        super().__init__()
        self.level = Level(size, channels, latent=1, blocks=0, cells=0)
        # With the weights, so that a model that is built without values is given this one too.
        self.register_buffer("zero", torch.zeros(channels, 1, 1))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """No shape."""
        return ()

    @property
    def visits(self) -> tuple[Cell, ...]:
        """No cell."""
        return ()

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state, which begins as zeros (B, C, H, W)."""
        return self.zero.expand(batch, -1, *self.level.sides) if h is None else h


class ImageConditioner(ContextConditioner):
    """A context whose decoded image is the state of the one resolution.

    Args:
        prior: of the context, which it owns.
        frame: the image's.
    """

    def __init__(self, prior: nn.Module, frame: ImageFrame) -> None:
        super().__init__(prior, (), frame, Ladder(frame.size, 0), everywhere=False)

    def conditioning(self, context: Latents) -> list[Tensor | None]:
        """Return x̂(c) on [0, 1], (B, C, H, W)."""
        (c,) = context
        return [(self.transform.decode(c).to(next(self.parameters()).dtype) + 1) / 2]
