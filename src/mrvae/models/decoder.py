"""The top-down path: cells on a ladder, walked from the coarsest level to the finest.

Each level begins with its learned bias b_R, one value for every pixel and channel (Child 2021: the
biases stand for all positional information; levels above ``bias_up_to`` have none). The coarsest
state is b; at each finer level the state below is embedded, E h, and added to its bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mrvae.models.level import Level
from mrvae.models.walk import Cell, Choose, Rung, Shape, Step, descend
from mrvae.resolution import Ladder, Resampling


class Decoder(nn.Module):
    """The hierarchy's rungs and the one walk over them.

    Args:
        rungs: coarse to fine; each keeps the contract of :class:`mrvae.models.walk.Rung`.

    Attributes:
        recompute: whether the walk keeps nothing inside a cell for the backward pass.
    """

    def __init__(self, rungs: Sequence[nn.Module]) -> None:
        super().__init__()
        self.modules_ = nn.ModuleList(rungs)
        self.recompute = False

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs, coarse to fine."""
        return tuple(cast(Rung, rung) for rung in self.modules_)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, coarse to fine."""
        return tuple(shape for rung in self.rungs for shape in rung.shapes)

    @property
    def noise_size(self) -> int:
        """Number of latent values of one image."""
        return sum(c * h * w for c, h, w in self.shapes)

    def split_noise(self, noise: Tensor) -> list[Tensor]:
        """Cut noise (B, noise_size) into one (B, C, H, W) for each latent."""
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
        features: Sequence[Tensor] | None,
        choices: Sequence[Choose],
        noise: Tensor,
        told: Sequence[Tensor | None] | None = None,
    ) -> tuple[Tensor, list[Step]]:
        """Descend the hierarchy; see :func:`mrvae.models.walk.descend`.

        ``features``, one for each latent, are None where no choice looks at a posterior; ``noise``
        is (B, noise_size). ``told``, one for each rung, is what a context adds to its first state.

        Raises:
            ValueError: if there is not one choice for each latent, or the noise has another size.
        """
        if len(choices) != len(self.shapes):
            raise ValueError(f"{len(choices)} choices for {len(self.shapes)} latents")
        pieces: Sequence[Tensor | None] = features or [None] * len(choices)
        words = [None] * len(self.rungs) if told is None else told
        return descend(self.rungs, pieces, choices, self.split_noise(noise), words, self.recompute)


class CellRung(nn.Module):
    """The cells of one level, behind its bias.

    Args:
        level: which one.
        cells: in the order of their visits, a mixing one first where there is a level below.
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
        shape = (1, level.width, level.size, level.size)
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
        return ((self.level.latent, self.level.size, self.level.size),) * len(self.visits)

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return b + E h, the coarser state cut to this level's width; b alone at the top."""
        if h is not None:
            width = self.level.width
            narrow = h if h.shape[1] == width else torch.split(h, width, dim=1)[0]
            embedded = self.resampling.embed(narrow, self.steps)
            return embedded if self.bias is None else self.bias + embedded
        if self.bias is None:
            weight = next(self.parameters())
            return weight.new_zeros(batch, self.level.width, self.level.size, self.level.size)
        return self.bias.expand(batch, -1, -1, -1)
