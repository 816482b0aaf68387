"""The bottom-up path of Kuzina & Tomczak (2023): residual blocks scaled by a learnt number.

The first layer is a pointwise convolution. The blocks are those of :mod:`mrvae.layers.rezero` with
the activation before every convolution, in the order of a VDVAE's
(:mod:`mrvae.models.hierarchy.encoder`); the pooling block changes the width to that of the coarser
level first. A feature is the state itself.

As released for MNIST and OMNIGLOT there is one block for each latent (*synchronous*): the states of
a level are the one that was pooled onto it and those after its own blocks, and its cells read them
last first. For CIFAR-10 all cells of a level read its last state. Levels without cells have blocks,
but no features.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mrvae.layers import ReZero, activated_before, drawn_convolution
from mrvae.models.hierarchy.encoder import Block, BottomUp, middle_width
from mrvae.models.hierarchy.level import Level
from mrvae.resolution import Ladder, Resampling
from mrvae.sizes import size_text


class TopDownEncoder(BottomUp):
    """Residual blocks from the finest level to the coarsest.

    Args:
        levels: coarse to fine.
        channels: of the image, as the network sees it.
        bottleneck: ratio of a block's inner width to its outer.
        ladder: the projection between levels.
        normalise: divide the state by its norm after every block.
        synchronous: give each cell a state of its own instead of the level's last.
        resampling: another projection between levels than the ladder's.
        weight_norm: whether the blocks' convolutions have weight norm.

    Attributes:
        activation_checkpointing: whether nothing inside a block is stored for the backward pass.
        compiled: whether a block is compiled once for each shape.

    Raises:
        ValueError: if a width is too small for the bottleneck, or a synchronous level has not as
            many states as cells.

    Source: Kuzina & Tomczak 2023, figure 8 and the released code.

    Example:
        >>> import torch
        >>> levels = (Level(2, 8, 2, blocks=1, cells=2), Level(4, 8, 2, blocks=0, cells=0))
        >>> encoder = TopDownEncoder(levels, 1, 0.5, Ladder(2, 1), synchronous=False)
        >>> [tuple(e.shape) for e in encoder(torch.zeros(3, 1, 4, 4))]
        [(3, 8, 2, 2), (3, 8, 2, 2), (3, 8, 4, 4)]
    """

    def __init__(
        self,
        levels: Sequence[Level],
        channels: int,
        bottleneck: float,
        ladder: Ladder,
        normalise: bool = False,
        synchronous: bool = True,
        resampling: Resampling | None = None,
        weight_norm: bool = False,
    ) -> None:
        super().__init__(levels, ladder, normalise, synchronous, resampling)
        if synchronous:
            _check_states(levels)

        def block(level: Level, outputs: int) -> ReZero:
            middle = middle_width(level, bottleneck)
            net = activated_before(
                level.width, middle, outputs, kernel=level.full_kernel, weight_norm=weight_norm
            )
            return ReZero(net, level.width, outputs)

        self.enter = drawn_convolution(channels, levels[-1].width, 1)
        self.stacks = nn.ModuleList(
            nn.ModuleList(block(level, level.width) for _ in range(level.blocks))
            for level in levels
        )
        self.joints = nn.ModuleList(block(fine, coarse.width) for coarse, fine in pairwise(levels))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one state for each latent, coarse to fine; one tensor may serve several.

        ``x`` has shape (B, C, H, W) of the finest level, normalised.
        """
        features: list[Tensor] = []
        states: list[Tensor] = []

        def visit(index: int, position: int, h: Tensor) -> None:
            if not position:
                states.clear()
            states.append(h)
            if position == self._own(index):
                count = self._latents(index)
                own = states[-count:] if self.synchronous and count else states[-1:] * count
                features.extend(own)

        self._walk(x, visit)
        return tuple(reversed(features))

    def _begin(self, x: Tensor) -> Tensor:
        # With one channel PyTorch cannot tell the memory layout, and takes the slower one.
        h: Tensor = self.enter(x).contiguous(memory_format=torch.channels_last)
        return h

    def advance(self, block: Block, h: Tensor) -> Tensor:
        """Return the block of h."""
        return self._normalised(block(h))

    def _pooling(self, index: int) -> list[Block]:
        return [self.joints[index - 1]] if index else []


def _check_states(levels: Sequence[Level]) -> None:
    """Refuse a level that has not one state for each cell."""
    for index, level in enumerate(levels):
        states = level.blocks * level.block_repeat + (index < len(levels) - 1)
        cells = level.visits + (index > 0 and level.mixes)
        if cells and states != cells:
            raise ValueError(
                f"a synchronous model needs one state of the encoder for each cell; at "
                f"{size_text(level.size)} there are {states}, the pooled one counted, and {cells} "
                "cells"
            )
