"""The bottom-up path: an image becomes one feature for each resolution (Child 2021, section 3).

Residual bottlenecks at each resolution, then one more whose sum is average-pooled onto the next
coarser one: the projection P of the ladder. Of each resolution only the last activation is kept,
and all cells of that resolution read it, behind the GELU with which each of them would begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers import Bottleneck, convolution, scale_weight
from mrvae.models.level import Level
from mrvae.resolution import Ladder


class Encoder(nn.Module):
    """Residual blocks from the finest level to the coarsest.

    Where the next level is wider, the state is padded with zero channels.

    Args:
        levels: coarse to fine.
        channels: of the image.
        bottleneck: ratio of a block's inner width to its outer.
        ladder: the projection between levels.

    Raises:
        ValueError: if a width is too small for the bottleneck.

    Example:
        >>> import torch
        >>> levels = (Level(2, 8, 2, blocks=1, cells=1), Level(4, 8, 2, blocks=1, cells=1))
        >>> encoder = Encoder(levels, channels=1, bottleneck=0.25, ladder=Ladder(2, 1))
        >>> [tuple(e.shape) for e in encoder(torch.zeros(3, 1, 4, 4))]
        [(3, 8, 2, 2), (3, 8, 4, 4)]
    """

    def __init__(
        self, levels: Sequence[Level], channels: int, bottleneck: float, ladder: Ladder
    ) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.ladder = ladder
        self.enter = convolution(channels, levels[-1].width, 3)
        self.stacks = nn.ModuleList(_stack(level, bottleneck, level.blocks) for level in levels)
        self.joints = nn.ModuleList(_stack(level, bottleneck, 1) for level in levels[1:])
        applied = sum(level.blocks * level.block_repeat for level in levels) + len(levels) - 1
        for stack in (*self.stacks, *self.joints):
            for block in cast(nn.ModuleList, stack):
                scale_weight(cast(Bottleneck, block).leave, applied**-0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return GELU of the last state of every level, coarse to fine.

        ``x`` has shape (B, C, S, S) with S the finest size, normalised.
        """
        h = self.enter(x)
        features: list[Tensor] = []
        for index in range(len(self.levels) - 1, -1, -1):
            for block in self._blocks(index):
                h = h + block(h)
            features.append(functional.gelu(h))
            if index:
                for block in self._pooling(index):
                    h = h + block(h)
                h = self._join(index, h)
        return tuple(reversed(features))

    def states(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the size of its level and the state after every block, in the order of visits."""
        h = self.enter(x)
        for index in range(len(self.levels) - 1, -1, -1):
            for block in [*self._blocks(index), *self._pooling(index)]:
                h = h + block(h)
                yield self.levels[index].size, h
            if index:
                h = self._join(index, h)

    def _blocks(self, index: int) -> list[nn.Module]:
        """Return the blocks of a level as often as they are visited."""
        stack = cast(nn.ModuleList, self.stacks[index])
        return [block for block in stack for _ in range(self.levels[index].block_repeat)]

    def _pooling(self, index: int) -> list[nn.Module]:
        """Return the block of a level that pools, none at the coarsest."""
        return list(cast(nn.ModuleList, self.joints[index - 1])) if index else []

    def _join(self, index: int, h: Tensor) -> Tensor:
        """Project the state of a level onto the next coarser one."""
        fine, coarse = self.levels[index], self.levels[index - 1]
        h = self.ladder.project(h, self.ladder.level(fine.size) - self.ladder.level(coarse.size))
        return functional.pad(h, (0, 0, 0, 0, 0, coarse.width - fine.width))


def middle_width(level: Level, bottleneck: float) -> int:
    """Channels inside the bottlenecks of a level, ⌊ratio · width⌋.

    Raises:
        ValueError: if that is no channel at all.
    """
    middle = int(level.width * bottleneck)
    if middle < 1:
        raise ValueError(
            f"width {level.width} times bottleneck {bottleneck} leaves no channel; widen the level"
        )
    return middle


def _stack(level: Level, bottleneck: float, count: int) -> nn.ModuleList:
    """Return ``count`` residual blocks of a level."""
    width, middle = level.width, middle_width(level, bottleneck)
    return nn.ModuleList(Bottleneck(width, middle, width, level.kernel) for _ in range(count))
