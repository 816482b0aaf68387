"""The walk a few images at a time, whatever the size of the batch that is coded.

Which symbols follow which is fixed by the batches of a file. How many images the network sees at
once is a matter of memory, and no business of the file. So the rungs of a decoder are wrapped: a
step takes its batch in parts of some rows, and joins what it gets. The walk is the same.

In float64, one image comes out the same whatever stands beside it (in float32 it does not: the
order of a sum changes with the shape of the batch). Parts are contiguous in memory, for the layout
changes the order of sums too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.distributions import Distribution, Gaussian
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Cell, Shape, Stage


@dataclass(frozen=True)
class CellInParts:
    """A cell that is applied to ``rows`` images at a time."""

    cell: Cell
    rows: int

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h), and the state with what the prior's network adds to it."""
        found = [self.cell.prior(part) for part in cut(h, self.rows)]
        return _join([gaussian(p) for p, _ in found]), torch.cat([state for _, state in found])

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e)."""
        pairs = zip(cut(h, self.rows), cut(features, self.rows), strict=True)
        return _join([self.cell.posterior(*pair) for pair in pairs])

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state."""
        pairs = zip(cut(h, self.rows), cut(z, self.rows), strict=True)
        return torch.cat([self.cell.advance(*pair) for pair in pairs])


@dataclass(frozen=True)
class StageInParts:
    """A rung whose cells are applied to ``rows`` images at a time."""

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
        """The cells, one entry a visit."""
        return [CellInParts(cell, self.rows) for cell in self.stage.visits]

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state in which the first cell finds this resolution."""
        if h is None:
            return self.stage.enter(None, batch).contiguous()
        return torch.cat([self.stage.enter(part, len(part)) for part in cut(h, self.rows)])


def cut(x: Tensor, rows: int) -> list[Tensor]:
    """Cut a batch into parts of ``rows``, the last being shorter, each contiguous.

    Example:
        >>> [len(part) for part in cut(torch.zeros(5, 2), 2)]
        [2, 2, 1]
    """
    return [part.contiguous() for part in torch.split(x, rows)]


def gaussian(prior: Distribution) -> Gaussian:
    """Return a prior that is Gaussian, as the coder's grids are made for.

    Raises:
        ValueError: if it is another law.

    Example:
        >>> gaussian(Gaussian(torch.zeros(1), torch.zeros(1))).mean
        tensor([0.])
    """
    if not isinstance(prior, Gaussian):
        raise ValueError(
            f"this model's latents have a {type(prior).__name__} prior; the codec is made for "
            "Gaussian ones, so choose another model"
        )
    return prior


def _join(parts: Sequence[Gaussian]) -> Gaussian:
    return Gaussian(
        torch.cat([p.mean for p in parts]).contiguous(),
        torch.cat([p.log_scale for p in parts]).contiguous(),
    )
