"""A decoder's stages, applied to a few images at a time whatever the size of the batch.

The batches of a file decide which symbols follow which. How many images the network sees at once is
a matter of memory, and must not change the file. So the stages of a decoder are wrapped: a step
splits its batch into microbatches and joins the results.

In float64 the numbers of one image do not depend on the others of its microbatch; in float32 they
do, since the order of a sum depends on the shape of the batch. Microbatches are contiguous in
memory, since the order of a sum depends on the memory layout too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.compression.coding.latents import gaussian
from mrvae.distributions import Gaussian
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Cell, Shape, Stage


@dataclass(frozen=True)
class MicrobatchedCell:
    """A cell that is applied to ``rows`` images at a time."""

    cell: Cell
    rows: int

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h), and the state plus what the prior's network adds to it."""
        pairs = [self.cell.prior(part) for part in microbatches(h, self.rows)]
        return _joined([gaussian(p) for p, _ in pairs]), torch.cat([state for _, state in pairs])

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e)."""
        pairs = zip(microbatches(h, self.rows), microbatches(features, self.rows), strict=True)
        return _joined([self.cell.posterior(*pair) for pair in pairs])

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state."""
        pairs = zip(microbatches(h, self.rows), microbatches(z, self.rows), strict=True)
        return torch.cat([self.cell.advance(*pair) for pair in pairs])


@dataclass(frozen=True)
class MicrobatchedStage:
    """A stage whose cells are applied to ``rows`` images at a time."""

    stage: Stage
    rows: int

    @property
    def level(self) -> Level:
        """The resolution, as data."""
        return self.stage.level

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of the latent of every visit."""
        return self.stage.shapes

    @property
    def visits(self) -> Sequence[Cell]:
        """The cells, one entry per visit."""
        return [MicrobatchedCell(cell, self.rows) for cell in self.stage.visits]

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state that the first cell of this resolution receives."""
        if h is None:
            return self.stage.enter(None, batch).contiguous()
        return torch.cat([self.stage.enter(part, len(part)) for part in microbatches(h, self.rows)])


def microbatches(x: Tensor, rows: int) -> list[Tensor]:
    """Split a batch into parts of ``rows``, the last being shorter, each contiguous.

    Example:
        >>> [len(part) for part in microbatches(torch.zeros(5, 2), 2)]
        [2, 2, 1]
    """
    return [part.contiguous() for part in torch.split(x, rows)]


def _joined(parts: Sequence[Gaussian]) -> Gaussian:
    return Gaussian(
        torch.cat([p.mean for p in parts]).contiguous(),
        torch.cat([p.log_scale for p in parts]).contiguous(),
    )
