"""The top-down path: cells on a ladder, walked from the coarsest level to the finest.

Each level begins with its learned bias b_R, one value for every pixel and channel (Child 2021: the
biases stand for all positional information; levels above ``bias_up_to`` have none). The coarsest
state is b; at each finer level the coarser state is embedded, E h, and added to the level's bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Cell, Choose, Shape, Stage, Step, descend
from mrvae.resolution import Ladder, Resampling


class Decoder(nn.Module):
    """The stages of the hierarchy and the walk over them.

    Args:
        stages: coarse to fine; each keeps the contract of
            :class:`mrvae.models.hierarchy.walk.Stage`.

    Attributes:
        activation_checkpointing: whether the walk stores nothing inside a cell for the backward
            pass.
    """

    def __init__(self, stages: Sequence[nn.Module]) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(stages)
        self.activation_checkpointing = False

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, coarse to fine."""
        return tuple(cast(Stage, stage) for stage in self.modules_)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, coarse to fine."""
        return tuple(shape for stage in self.stages for shape in stage.shapes)

    @property
    def noise_size(self) -> int:
        """Number of latent values of one image."""
        return sum(c * h * w for c, h, w in self.shapes)

    def split_noise(self, noise: Tensor) -> list[Tensor]:
        """Cut noise (B, noise_size) into one (B, C, H, W) for each latent.

        Raises:
            ValueError: if the noise has another size.
        """
        if noise.dim() != 2 or noise.shape[1] != self.noise_size:
            raise ValueError(
                f"noise has shape {tuple(noise.shape)}; this hierarchy needs (B, {self.noise_size})"
            )
        parts = torch.split(noise, [c * h * w for c, h, w in self.shapes], dim=1)
        # Channels vary fastest, as they do in memory where the convolutions are fastest.
        return [
            part.view(-1, h, w, c).permute(0, 3, 1, 2)
            for part, (c, h, w) in zip(parts, self.shapes, strict=True)
        ]

    def walk(
        self,
        stages: Sequence[Stage],
        features: Sequence[Tensor] | None,
        choices: Sequence[Choose],
        noise: Tensor,
        conditioning: Sequence[Tensor | None],
    ) -> tuple[Tensor, list[Step]]:
        """Descend the hierarchy; see :func:`mrvae.models.hierarchy.walk.descend`.

        ``stages`` are the decoder's own, or wrappers of them with the same latents. ``features``,
        one for each latent, are None where no choice uses a posterior; ``noise`` is
        (B, noise_size); ``conditioning`` has one entry for each stage.

        Raises:
            ValueError: if there is not one choice for each latent, or the noise has another size.
        """
        if len(choices) != len(self.shapes):
            raise ValueError(f"{len(choices)} choices for {len(self.shapes)} latents")
        each: Sequence[Tensor | None] = features or [None] * len(choices)
        pieces = self.split_noise(noise)
        return descend(stages, each, choices, pieces, conditioning, self.activation_checkpointing)


class CellStage(nn.Module):
    """The cells of one level, after its bias.

    Args:
        level: which one.
        cells: in the order of their visits, a mixing one first where there is a coarser level.
        bias: whether the level has a learned bias.
        ladder: the embedding between levels.
        below: the next coarser level, or None for the coarsest.
        resampling: another embedding between levels than the ladder's.
    """

    def __init__(
        self,
        level: Level,
        cells: Sequence[nn.Module],
        bias: bool,
        ladder: Ladder,
        below: Level | None,
        resampling: Resampling | None = None,
    ) -> None:
        super().__init__()
        self.level = level
        self.resampling = resampling or ladder
        self.steps = 0 if below is None else ladder.level(level.size) - ladder.level(below.size)
        shape = (1, level.width, *level.sides)
        self.bias = nn.Parameter(torch.zeros(shape)) if bias else None
        self.cells = nn.ModuleList(cells)

    @property
    def visits(self) -> Sequence[Cell]:
        """The mixing cell once, then every other as often as the level repeats it."""
        cells = [cast(Cell, cell) for cell in self.cells]
        mixing = len(cells) - self.level.cells
        repeated = [cell for cell in cells[mixing:] for _ in range(self.level.repeat)]
        return cells[:mixing] + repeated

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape of the latent of every visit."""
        return ((self.level.latent, *self.level.sides),) * len(self.visits)

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return b + E h, the coarser state cut to this level's width; b at the coarsest level."""
        if h is not None:
            width = self.level.width
            narrow = h if h.shape[1] == width else torch.split(h, width, dim=1)[0]
            embedded = self.resampling.embed(narrow, self.steps)
            return embedded if self.bias is None else self.bias + embedded
        if self.bias is None:
            weight = next(self.parameters())
            return weight.new_zeros(batch, self.level.width, *self.level.sides)
        return self.bias.expand(batch, -1, -1, -1)
