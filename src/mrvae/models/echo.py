"""An echo: the first latent is told to every level, as a context would be.

The baseline that Kuzina & Tomczak (2023) released for CIFAR-10, and no other of their models, lets
the coarsest latent z₁ into the state of every further level that has latents,

    h ← E h + W_j E z₁,

W_j pointwise and E the embedding between levels. It stands where the context stands in the other
models. z₁ gets there as what the walk carries anyway: as further channels of the state, behind
which every cell is the cell that it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mrvae.distributions import Gaussian, Law
from mrvae.layers import drawn_convolution
from mrvae.models.cell import halves
from mrvae.models.decoder import CellRung
from mrvae.models.level import Level
from mrvae.models.walk import Cell, Shape


class FirstCell(nn.Module):
    """A cell that puts its latent beside the state, as further channels of it.

    Args:
        cell: any cell.

    Example:
        >>> from mrvae.distributions import BoundedScale
        >>> from mrvae.models.topdown import TopDownCell
        >>> cell = TopDownCell(8, 2, middle=4, outputs=8, applied=1, scale=BoundedScale())
        >>> z = torch.randn(1, 2, 4, 4)
        >>> bool(torch.equal(FirstCell(cell).advance(torch.zeros(1, 8, 4, 4), z)[:, 8:], z))
        True
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return what the cell returns."""
        return _cell(self.cell).posterior(h, features)

    def prior(self, h: Tensor) -> tuple[Law, Tensor]:
        """Return what the cell returns."""
        return _cell(self.cell).prior(h)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state with z beside it."""
        advanced = _cell(self.cell).advance(h, z)
        return torch.cat((advanced, z.to(advanced.dtype)), dim=1)


class PassingCell(nn.Module):
    """A cell that does not look at the last ``carried`` channels of the state, and keeps them.

    Args:
        cell: any cell.
        carried: how many channels stand beside the cell's own state.

    Example:
        >>> from mrvae.distributions import BoundedScale
        >>> from mrvae.models.topdown import TopDownCell
        >>> cell = TopDownCell(8, 2, middle=4, outputs=8, applied=1, scale=BoundedScale())
        >>> h = torch.randn(1, 10, 4, 4)
        >>> bool(torch.equal(PassingCell(cell, 2).prior(h)[1][:, 8:], h[:, 8:]))
        True
    """

    def __init__(self, cell: nn.Module, carried: int) -> None:
        super().__init__()
        self.cell = cell
        self.carried = carried

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return what the cell returns for its own state."""
        own, _ = halves(h, h.shape[1] - self.carried)
        return _cell(self.cell).posterior(own, features)

    def prior(self, h: Tensor) -> tuple[Law, Tensor]:
        """Return the cell's prior, and its state with the carried channels beside it."""
        own, carried = halves(h, h.shape[1] - self.carried)
        law, state = _cell(self.cell).prior(own)
        return law, torch.cat((state, carried), dim=1)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the cell's next state, with the carried channels beside it."""
        own, carried = halves(h, h.shape[1] - self.carried)
        return torch.cat((_cell(self.cell).advance(own, z), carried), dim=1)


def _cell(module: nn.Module) -> Cell:
    return cast(Cell, module)


class EchoRung(nn.Module):
    """A rung whose state begins with an echo of z₁, which stands beside the coarser state.

    Args:
        rung: the cells, which carry z₁ on if ``goes_on``.
        carried: channels of z₁.
        heard: whether the rung adds W E z₁ to its state; one without cells does not.
        goes_on: whether there is a finer rung that wants z₁.
    """

    def __init__(self, rung: CellRung, carried: int, *, heard: bool, goes_on: bool) -> None:
        super().__init__()
        self.rung = rung
        self.carried = carried
        self.goes_on = goes_on
        self.echo = drawn_convolution(carried, rung.level.width, 1) if heard else None

    @property
    def level(self) -> Level:
        """The rung's."""
        return self.rung.level

    @property
    def visits(self) -> Sequence[Cell]:
        """Those of the rung."""
        return self.rung.visits

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Those of the rung."""
        return self.rung.shapes

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return b + E h + W E z₁, and E z₁ beside it if it goes on; b alone at the top."""
        state = self.rung.enter(h, batch)
        if h is None:
            return state
        z = self.rung.resampling.embed(h[:, -self.carried :], self.rung.steps)
        state = state if self.echo is None else state + self.echo(z)
        return torch.cat((state, z), dim=1) if self.goes_on else state
