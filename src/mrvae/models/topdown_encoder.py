"""The bottom-up path of Kuzina & Tomczak (2023): residual blocks that are let in by a scalar.

The image enters by a pointwise convolution. The blocks are those of :mod:`mrvae.layers.rezero` with
the activation before every convolution, in the places of a VDVAE's (:mod:`mrvae.models.encoder`);
the one that pools brings the state to the width of the coarser level first. What a cell reads is
the state itself.

As released for MNIST and OMNIGLOT there is one block for each latent (*synchronous*): the states of
a level are the one that was pooled onto it and those after its own blocks, and its cells read them
last first. For CIFAR-10 all cells of a level read its last state. Levels without cells are gone
through and read by none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from mrvae.layers import ReZero, activated_before, drawn_convolution, recomputed
from mrvae.models.encoder import Block, BottomUp, middle_width
from mrvae.models.level import Level
from mrvae.resolution import Ladder, Resampling


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
        recompute: whether nothing inside a block is kept for the backward pass.

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
            net = activated_before(level.width, middle, outputs, weight_norm=weight_norm)
            return ReZero(net, level.width, outputs)

        self.enter = drawn_convolution(channels, levels[-1].width, 1)
        self.stacks = nn.ModuleList(
            nn.ModuleList(block(level, level.width) for _ in range(level.blocks))
            for level in levels
        )
        self.joints = nn.ModuleList(block(fine, coarse.width) for coarse, fine in pairwise(levels))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one state for each latent, coarse to fine; one tensor may stand for many.

        ``x`` has shape (B, C, S, S) with S the finest size, normalised.
        """
        advance = recomputed(self._advance) if self.recompute else self._advance
        # With one channel PyTorch cannot tell the order of memory, and takes the slower one.
        h = self.enter(x).contiguous(memory_format=torch.channels_last)
        features: list[Tensor] = []
        for index in range(len(self.levels) - 1, -1, -1):
            level = self.levels[index]
            states = [h]
            for block in self._blocks(index):
                states.append(advance(block, states[-1]))
            count = _latents(level, index)
            features += states[-count:] if self.synchronous and count else states[-1:] * count
            h = states[-1]
            if index:
                h = self._project(index, advance(self.joints[index - 1], h))
        return tuple(reversed(features))

    def _advance(self, block: Block, h: Tensor) -> Tensor:
        return self._settled(block(h))


def _latents(level: Level, index: int) -> int:
    """Return how many cells read the level of this index."""
    return level.visits + (index > 0 and level.mixes)


def _check_states(levels: Sequence[Level]) -> None:
    """Refuse a level that has not one state for each cell."""
    for index, level in enumerate(levels):
        states = level.blocks * level.block_repeat + (index < len(levels) - 1)
        cells = _latents(level, index)
        if cells and states != cells:
            raise ValueError(
                f"a synchronous model needs one state of the encoder for each cell; at "
                f"{level.size} there are {states}, the pooled one counted, and {cells} cells"
            )
