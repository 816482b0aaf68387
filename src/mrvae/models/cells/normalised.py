"""A cell whose next state has norm one (Falck et al. 2022, table 2)."""

from __future__ import annotations

from torch import Tensor

from mrvae.layers import unit_norm
from mrvae.models.cells.base import WrappedCell


class NormalisedCell(WrappedCell):
    """Another cell whose next state is divided by its norm.

    Source: Falck et al. 2022, table 2.

    Example:
        >>> import torch
        >>> from mrvae.distributions import RawScale
        >>> from mrvae.models.cells.markov import MarkovCell
        >>> inner = MarkovCell(8, latent=2, middle=4, kernel=3, scale=RawScale())
        >>> h = NormalisedCell(inner).advance(torch.zeros(1, 8, 4, 4), torch.randn(1, 2, 4, 4))
        >>> round(h.square().sum().item(), 5)
        1.0
    """

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the cell's next state, divided by its norm."""
        return unit_norm(super().advance(h, z))
