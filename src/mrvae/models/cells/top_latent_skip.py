"""A skip from the top latent: z₁ conditions every resolution, as a context would.

The baseline that Kuzina & Tomczak (2023) released for CIFAR-10, and no other of their models, adds
the coarsest latent z₁ to the state of every further level that has latents,

    h ← E h + W_j E z₁,

W_j pointwise and E the embedding between levels. It takes the place of the context in the other
models. z₁ is carried by the state itself: as further channels, which every cell passes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.distributions import Distribution, Gaussian
from mrvae.layers import drawn_convolution
from mrvae.models.cells.base import WrappedCell, halves
from mrvae.models.hierarchy.decoder import CellStage
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Cell, Shape


class TopLatentConcatCell(WrappedCell):
    """A cell that concatenates its latent to the state.

    Example:
        >>> from mrvae.distributions import BoundedScale
        >>> from mrvae.models.cells.top_down import TopDownCell
        >>> cell = TopDownCell(8, 2, middle=4, outputs=8, applied=1, scale=BoundedScale())
        >>> z = torch.randn(1, 2, 4, 4)
        >>> h = TopLatentConcatCell(cell).advance(torch.zeros(1, 8, 4, 4), z)
        >>> bool(torch.equal(h[:, 8:], z))
        True
    """

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state with z as its last channels."""
        advanced = super().advance(h, z)
        return torch.cat((advanced, z.to(advanced.dtype)), dim=1)


class TopLatentCarryCell(WrappedCell):
    """A cell that ignores the last ``carried`` channels of the state, and keeps them.

    Args:
        cell: any cell.
        carried: how many channels follow the cell's own state.

    Example:
        >>> from mrvae.distributions import BoundedScale
        >>> from mrvae.models.cells.top_down import TopDownCell
        >>> cell = TopDownCell(8, 2, middle=4, outputs=8, applied=1, scale=BoundedScale())
        >>> h = torch.randn(1, 10, 4, 4)
        >>> bool(torch.equal(TopLatentCarryCell(cell, 2).prior(h)[1][:, 8:], h[:, 8:]))
        True
    """

    def __init__(self, cell: nn.Module, carried: int) -> None:
        super().__init__(cell)
        self.carried = carried

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return the cell's posterior given its own state."""
        own, _ = halves(h, h.shape[1] - self.carried)
        return super().posterior(own, features)

    def prior(self, h: Tensor) -> tuple[Distribution, Tensor]:
        """Return the cell's prior, and its state followed by the carried channels."""
        own, carried = halves(h, h.shape[1] - self.carried)
        prior, state = super().prior(own)
        return prior, torch.cat((state, carried), dim=1)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the cell's next state, followed by the carried channels."""
        own, carried = halves(h, h.shape[1] - self.carried)
        return torch.cat((super().advance(own, z), carried), dim=1)


class TopLatentSkipStage(nn.Module):
    """A stage that adds W E z₁ to its first state; z₁ follows the coarser state.

    Args:
        stage: the cells, which carry z₁ on if ``carries_on``.
        carried: channels of z₁.
        adds: whether the stage adds W E z₁ to its state; one without cells does not.
        carries_on: whether a finer stage needs z₁.
    """

    def __init__(self, stage: CellStage, carried: int, *, adds: bool, carries_on: bool) -> None:
        super().__init__()
        self.stage = stage
        self.carried = carried
        self.carries_on = carries_on
        self.skip = drawn_convolution(carried, stage.level.width, 1) if adds else None

    @property
    def level(self) -> Level:
        """The level of the wrapped stage."""
        return self.stage.level

    @property
    def visits(self) -> Sequence[Cell]:
        """The cells of the wrapped stage."""
        return self.stage.visits

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The latents' shapes of the wrapped stage."""
        return self.stage.shapes

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return b + E h + W E z₁, with E z₁ as further channels if it is carried on."""
        state = self.stage.enter(h, batch)
        if h is None:
            return state
        z = self.stage.resampling.embed(h[:, -self.carried :], self.stage.steps)
        state = state if self.skip is None else state + self.skip(z)
        return torch.cat((state, z), dim=1) if self.carries_on else state
