"""The Markovian cell of the ladder VAE (Sønderby et al. 2016), after Falck et al. (2022).

With P a pointwise convolution and N a bottleneck,

    h ← P z + N(P z).

z_l depends on z_{l-1} only: there is no state to carry on, and so no time to step through. Where
nothing is added up, nothing is scaled: the 1/√n of the first weights belongs to a sum of n terms,
and a product of n maps would vanish with it.
"""

from __future__ import annotations

from torch import Tensor

from mrvae.layers import Bottleneck, convolution
from mrvae.models.cells.base import LatentCell, Scale
from mrvae.sizes import ImageSize


class MarkovCell(LatentCell):
    """No state but the last latent: a Markovian hierarchy, as in the ladder VAE.

    Example:
        >>> import torch
        >>> from mrvae.distributions import RawScale
        >>> cell = MarkovCell(8, latent=2, middle=4, kernel=3, scale=RawScale())
        >>> a, b, z = torch.randn(3, 1, 8, 4, 4).unbind()
        >>> bool((cell.advance(a, z[:, :2]) == cell.advance(b, z[:, :2])).all())
        True
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: ImageSize, scale: Scale
    ) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=0)
        self.project = convolution(latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)

    def add(self, h: Tensor, added: Tensor) -> Tensor:
        """Return h as it is: there is no u."""
        return h

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return P z + N(P z), whatever h was."""
        moved = self.project(z)
        advanced: Tensor = moved + self.residual(moved)
        return advanced
