"""The bottom-up path: an image becomes one feature for each latent (Child 2021, section 3).

Residual bottlenecks at each resolution, then one more whose sum is average-pooled onto the next
coarser one: the projection P of the ladder. As published, of each resolution only the last state
is kept, and all cells of that resolution read it: the two ways are *asynchronous*. In a
*synchronous* model every cell has a twin (Falck et al. 2022, section 3.4): the encoder's block that
stands as far from the bottom of the U as the cell does, the pooling block facing the mixing cell.

A feature is the GELU of a state, with which each cell that reads it would begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers import Bottleneck, convolution, recomputed, scale_weight, unit_norm
from mrvae.models.level import Level
from mrvae.resolution import Ladder, Resampling

Block = Callable[[Tensor], Tensor]


class BottomUp(nn.Module):
    """What every bottom-up path has: levels with stacks of blocks, and the way between them.

    Args:
        levels: coarse to fine.
        ladder: the projection between levels.
        normalise: divide the state by its norm after every block.
        synchronous: give each cell a state of its own instead of the level's last.
        resampling: another projection between levels than the ladder's.

    Attributes:
        recompute: whether nothing inside a block is kept for the backward pass.
    """

    stacks: nn.ModuleList

    def __init__(
        self,
        levels: Sequence[Level],
        ladder: Ladder,
        normalise: bool,
        synchronous: bool,
        resampling: Resampling | None,
    ) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.ladder = ladder
        self.resampling = resampling or ladder
        self.normalise = normalise
        self.synchronous = synchronous
        self.recompute = False

    def _blocks(self, index: int) -> list[Block]:
        """Return the blocks of a level as often as they are visited."""
        level = self.levels[index]
        stack = cast(nn.ModuleList, self.stacks[index])
        return [block for block in stack for _ in range(level.block_repeat)]

    def _settled(self, moved: Tensor) -> Tensor:
        """Return the state after a block."""
        return unit_norm(moved) if self.normalise else moved

    def _project(self, index: int, h: Tensor) -> Tensor:
        """Project the state of a level onto the next coarser one."""
        fine, coarse = self.levels[index].size, self.levels[index - 1].size
        return self.resampling.project(h, self.ladder.level(fine) - self.ladder.level(coarse))


class Encoder(BottomUp):
    """Residual blocks from the finest level to the coarsest.

    Where the next level is wider, the state is padded with zero channels.

    Args:
        levels: coarse to fine.
        channels: of the image, as the network sees it.
        bottleneck: ratio of a block's inner width to its outer.
        ladder: the projection between levels.
        normalise: divide the state by its norm after every block.
        synchronous: give each cell the state of its twin instead of the level's last.
        resampling: another projection between levels than the ladder's.

    Attributes:
        recompute: whether nothing inside a block is kept for the backward pass.

    Raises:
        ValueError: if a width is too small for the bottleneck, or blocks have no twins.

    Example:
        >>> import torch
        >>> levels = (Level(2, 8, 2, blocks=1, cells=1), Level(4, 8, 2, blocks=1, cells=1))
        >>> encoder = Encoder(levels, channels=1, bottleneck=0.25, ladder=Ladder(2, 1))
        >>> [tuple(e.shape) for e in encoder(torch.zeros(3, 1, 4, 4))]
        [(3, 8, 2, 2), (3, 8, 4, 4), (3, 8, 4, 4)]
    """

    def __init__(
        self,
        levels: Sequence[Level],
        channels: int,
        bottleneck: float,
        ladder: Ladder,
        normalise: bool = False,
        synchronous: bool = False,
        resampling: Resampling | None = None,
    ) -> None:
        super().__init__(levels, ladder, normalise, synchronous, resampling)
        if synchronous:
            _check_twins(levels)
        self.enter = convolution(channels, levels[-1].width, 3)
        self.stacks = nn.ModuleList(_stack(level, bottleneck, level.blocks) for level in levels)
        self.joints = nn.ModuleList(_stack(level, bottleneck, 1) for level in levels[1:])
        applied = sum(level.blocks * level.block_repeat for level in levels) + len(levels) - 1
        for stack in (*self.stacks, *self.joints):
            for block in cast(nn.ModuleList, stack):
                scale_weight(cast(Bottleneck, block).leave, applied**-0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one feature for each latent, coarse to fine; one tensor may stand for many.

        ``x`` has shape (B, C, S, S) with S the finest size, normalised.
        """
        h = self.enter(x)
        features: list[Tensor] = []
        for index in range(len(self.levels) - 1, -1, -1):
            h, found = self._climb(index, h)
            features += found
            if index:
                h = self._join(index, h)
        return tuple(reversed(features))

    def states(self, x: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield the size of its level and the state after every block, in the order of visits."""
        h = self.enter(x)
        for index in range(len(self.levels) - 1, -1, -1):
            for block in [*self._blocks(index), *self._pooling(index)]:
                h = self._advance(block, h)
                yield self.levels[index].size, h
            if index:
                h = self._join(index, h)

    def _climb(self, index: int, h: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Visit a level; return its state before pooling, and what its cells read, last first."""
        advance = recomputed(self._advance) if self.recompute else self._advance
        twins: list[Tensor] = []
        for block in self._blocks(index):
            h = advance(block, h)
            if self.synchronous:
                twins.append(functional.gelu(h))
        pooling = self._pooling(index)
        if not self.synchronous:
            level = self.levels[index]
            twins = [functional.gelu(h)] * (level.visits + (index > 0 and level.mixes))
        for block in pooling:
            h = advance(block, h)
            if self.synchronous and self.levels[index].mixes:
                twins.append(functional.gelu(h))
        return h, twins

    def _pooling(self, index: int) -> list[Block]:
        """Return the block of a level that pools, none at the coarsest."""
        return list(cast(nn.ModuleList, self.joints[index - 1])) if index else []

    def _advance(self, block: Block, h: Tensor) -> Tensor:
        return self._settled(h + block(h))

    def _join(self, index: int, h: Tensor) -> Tensor:
        """Project the state of a level onto the next coarser one, and widen it."""
        wider = self.levels[index - 1].width - self.levels[index].width
        return functional.pad(self._project(index, h), (0, 0, 0, 0, 0, wider))


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
    middle = middle_width(level, bottleneck)
    return nn.ModuleList(
        Bottleneck(level.width, middle, level.width, level.kernel) for _ in range(count)
    )


def _check_twins(levels: Sequence[Level]) -> None:
    """Refuse levels whose blocks and cells do not face one another."""
    for level in levels:
        blocks = level.blocks * level.block_repeat
        if blocks != level.visits:
            raise ValueError(
                f"a synchronous model needs as many encoder blocks as cells at each resolution; "
                f"{level.size} has {blocks} and {level.visits}"
            )
