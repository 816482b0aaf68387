"""The bottom-up path: an image becomes one feature for each latent (Child 2021, section 3).

Residual bottlenecks at each resolution, then one more whose sum is average-pooled onto the next
coarser one: the projection P of the ladder. As published, only the last state of each resolution is
a feature, and all cells of that resolution read it: the two paths are *asynchronous*. In a
*synchronous* model every cell reads the block at its own distance from the bottom of the U (Falck
et al. 2022, section 3.4); the mixing cell reads the pooling block.

A feature is the GELU of a state, which is the first operation of each cell that reads it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from mrvae.layers import (
    Bottleneck,
    checkpointed,
    convolution,
    gelu,
    scale_weight,
    unit_norm,
)
from mrvae.models.hierarchy.level import Level
from mrvae.resolution import Ladder, Resampling
from mrvae.sizes import ImageSize, size_text

Block = Callable[[Tensor], Tensor]
Visit = Callable[[int, int, Tensor], None]


class BottomUp(nn.Module, ABC):
    """Levels with stacks of blocks, and the one walk over them, fine to coarse.

    Args:
        levels: coarse to fine.
        ladder: the projection between levels.
        normalise: divide the state by its norm after every block.
        synchronous: give each cell a state of its own instead of the level's last.
        resampling: another projection between levels than the ladder's.

    Attributes:
        activation_checkpointing: whether nothing inside a block is stored for the backward pass.
        compiled: whether a block is compiled once for each shape.
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
        self.activation_checkpointing = False

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one feature for each latent, coarse to fine; one tensor may serve several.

        ``x`` has shape (B, C, H, W) of the finest level, normalised.
        """

    def states(self, x: Tensor) -> list[tuple[ImageSize, Tensor]]:
        """Return the size of its level and the state after every block, in the order of visits."""
        visited: list[tuple[ImageSize, Tensor]] = []

        def visit(index: int, position: int, h: Tensor) -> None:
            if position:
                visited.append((self.levels[index].size, h))

        self._walk(x, visit)
        return visited

    def _walk(self, x: Tensor, visit: Visit) -> None:
        """Apply all blocks, fine to coarse, and visit each state in turn.

        ``visit`` has the level's index, the number of its blocks that were applied, and the state.
        The last block of every level but the coarsest is the pooling one.
        """
        advance = checkpointed(self.advance) if self.activation_checkpointing else self.advance
        h = self._begin(x)
        for index in range(len(self.levels) - 1, -1, -1):
            visit(index, 0, h)
            for position, block in enumerate([*self._blocks(index), *self._pooling(index)], 1):
                h = advance(block, h)
                visit(index, position, h)
            if index:
                h = self._join(index, h)

    @abstractmethod
    def _begin(self, x: Tensor) -> Tensor:
        """Return the first state."""

    @abstractmethod
    def advance(self, block: Block, h: Tensor) -> Tensor:
        """Return the state after a block."""

    @abstractmethod
    def _pooling(self, index: int) -> list[Block]:
        """Return the block of a level that pools, none at the coarsest."""

    def _join(self, index: int, h: Tensor) -> Tensor:
        """Project the state of a level onto the next coarser one."""
        fine, coarse = self.levels[index].size, self.levels[index - 1].size
        return self.resampling.project(h, self.ladder.level(fine) - self.ladder.level(coarse))

    def _blocks(self, index: int) -> list[Block]:
        """Return the blocks of a level as often as they are visited."""
        stack = cast(nn.ModuleList, self.stacks[index])
        return [block for block in stack for _ in range(self.levels[index].block_repeat)]

    def _normalised(self, h: Tensor) -> Tensor:
        """Return the state, divided by its norm if the encoder is normalised."""
        return unit_norm(h) if self.normalise else h

    def _own(self, index: int) -> int:
        """Return how many blocks of a level are applied before the pooling one."""
        return self.levels[index].blocks * self.levels[index].block_repeat

    def _latents(self, index: int) -> int:
        """Return how many cells read the features of a level."""
        level = self.levels[index]
        return level.visits + (index > 0 and level.mixes)


class Encoder(BottomUp):
    """Residual blocks from the finest level to the coarsest.

    Where the next level is wider, the state is padded with zero channels.

    Args:
        levels: coarse to fine.
        channels: of the image, as the network sees it.
        bottleneck: ratio of a block's inner width to its outer.
        ladder: the projection between levels.
        normalise: divide the state by its norm after every block.
        synchronous: give each cell the state of its own block instead of the level's last.
        resampling: another projection between levels than the ladder's.

    Attributes:
        activation_checkpointing: whether nothing inside a block is stored for the backward pass.
        compiled: whether a block is compiled once for each shape.

    Raises:
        ValueError: if a width is too small for the bottleneck, or a synchronous level has not
            one block for each cell.

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
            _check_synchronous(levels)
        self.enter = convolution(channels, levels[-1].width, levels[-1].full_kernel)
        self.stacks = nn.ModuleList(_stack(level, bottleneck, level.blocks) for level in levels)
        self.joints = nn.ModuleList(_stack(level, bottleneck, 1) for level in levels[1:])
        applied = sum(level.blocks * level.block_repeat for level in levels) + len(levels) - 1
        for stack in (*self.stacks, *self.joints):
            for block in cast(nn.ModuleList, stack):
                scale_weight(cast(Bottleneck, block).leave, applied**-0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return one feature for each latent, coarse to fine; one tensor may serve several.

        ``x`` has shape (B, C, H, W) of the finest level, normalised.
        """
        features: list[Tensor] = []

        def visit(index: int, position: int, h: Tensor) -> None:
            own = self._own(index)
            if self.synchronous:
                if 0 < position <= own or (position > own and self.levels[index].mixes):
                    features.append(gelu(h))
            elif position == own:
                features.extend([gelu(h)] * self._latents(index))

        self._walk(x, visit)
        return tuple(reversed(features))

    def _begin(self, x: Tensor) -> Tensor:
        h: Tensor = self.enter(x)
        return h

    def advance(self, block: Block, h: Tensor) -> Tensor:
        """Return h + f(h), f the block."""
        return self._normalised(h + block(h))

    def _pooling(self, index: int) -> list[Block]:
        return list(cast(nn.ModuleList, self.joints[index - 1])) if index else []

    def _join(self, index: int, h: Tensor) -> Tensor:
        """Project the state of a level onto the next coarser one, and widen it."""
        wider = self.levels[index - 1].width - self.levels[index].width
        return functional.pad(super()._join(index, h), (0, 0, 0, 0, 0, wider))


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


def _check_synchronous(levels: Sequence[Level]) -> None:
    """Refuse levels that have not one block for each cell."""
    for level in levels:
        blocks = level.blocks * level.block_repeat
        if blocks != level.visits:
            raise ValueError(
                f"a synchronous model needs as many encoder blocks as cells at each resolution; "
                f"{size_text(level.size)} has {blocks} and {level.visits}"
            )
