"""The other cells of hierarchical VAEs, in the terms of Falck et al. (2022, sections 2.3 and 3.4).

All have the networks N_q and N_p of :class:`mrvae.models.cell.LatentCell` and the same contract;
they differ in how a latent becomes state. With C a pointwise convolution and N a bottleneck:

    NVAE      h ← h + N([C [h, z]])            the state keeps an identity path, but the latent does
                                               not: no half step h₊ = h + P z. One Euler step, with
                                               the noise inside its drift.
    Markov    h ← P z + N(P z)                 z_l depends on z_{l-1} alone, as in the ladder VAE
                                               (Sønderby et al. 2016): there is no state to carry
                                               on, and so no time to step through.
    plain     h ← N(u + P z)                   VDVAE's networks, none of its identities; what a cell
                                               passes on has to go through its convolutions. No step
                                               of a differential equation: as their number grows the
                                               maps do not tend to the identity.

Where nothing is added up, nothing is scaled: the 1/√n of the first weights belongs to a sum of n
terms, and would shrink a product of n maps to nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.distributions import Gaussian, Law
from mrvae.layers import Bottleneck, convolution, scale_weight, unit_norm
from mrvae.models.cell import LatentCell, Scale
from mrvae.models.walk import Cell


class NVAECell(LatentCell):
    """A residual state into which the latent is mixed by concatenation (Vahdat & Kautz 2020).

    NVAE itself puts the mixing convolution C before the identity path. Here the path goes around
    it, so that the cell is the Euler step that the paper compares VDVAE's two with.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = NVAECell(8, latent=2, middle=4, kernel=3, applied=1, scale=RawScale())
        >>> h = torch.randn(1, 8, 4, 4)
        >>> bool((cell.prior(h)[1] == h).all())
        True
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: int, applied: int, scale: Scale
    ) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=0)
        self.mix = convolution(width + latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)
        scale_weight(self.residual.leave, applied**-0.5)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h), and h as it is."""
        return self.prior_and_added(h)[0], h

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return h + N(C [h, z])."""
        advanced: Tensor = h + self.residual(self.mix(torch.cat([h, z.to(h.dtype)], dim=1)))
        return advanced


class MarkovCell(LatentCell):
    """No state but the last latent: a Markovian hierarchy, as in the ladder VAE.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = MarkovCell(8, latent=2, middle=4, kernel=3, scale=RawScale())
        >>> one, other, z = torch.randn(3, 1, 8, 4, 4).unbind()
        >>> bool((cell.advance(one, z[:, :2]) == cell.advance(other, z[:, :2])).all())
        True
    """

    def __init__(self, width: int, latent: int, middle: int, kernel: int, scale: Scale) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=0)
        self.project = convolution(latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h), and h as it is."""
        return self.prior_and_added(h)[0], h

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return P z + N(P z), whatever h was."""
        moved = self.project(z)
        advanced: Tensor = moved + self.residual(moved)
        return advanced


class PlainCell(LatentCell):
    """VDVAE's networks without its residual connections, with as many parameters.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = PlainCell(8, latent=2, middle=4, kernel=3, scale=RawScale())
        >>> prior, u = cell.prior(torch.randn(1, 8, 4, 4))
        >>> u.abs().max().item()
        0.0
    """

    def __init__(self, width: int, latent: int, middle: int, kernel: int, scale: Scale) -> None:
        super().__init__(width, latent, middle, kernel, scale, added=width)
        self.project = convolution(latent, width, 1)
        self.residual = Bottleneck(width, middle, width, kernel)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h), and u in the place of h."""
        return self.prior_and_added(h)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return N(u + P z)."""
        advanced: Tensor = self.residual(h + self.project(z))
        return advanced


class NormalisedCell(nn.Module):
    """Another cell whose next state is divided by its norm (Falck et al. 2022, Table 2).

    Example:
        >>> from mrvae.distributions import RawScale
        >>> inner = MarkovCell(8, latent=2, middle=4, kernel=3, scale=RawScale())
        >>> h = NormalisedCell(inner).advance(torch.zeros(1, 8, 4, 4), torch.randn(1, 2, 4, 4))
        >>> round(h.square().sum().item(), 5)
        1.0
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def prior(self, h: Tensor) -> tuple[Law, Tensor]:
        """Return what the cell returns."""
        return self._inner.prior(h)

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return what the cell returns."""
        return self._inner.posterior(h, features)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the cell's next state, divided by its norm."""
        return unit_norm(self._inner.advance(h, z))

    @property
    def _inner(self) -> Cell:
        cell: Cell = self.cell  # type: ignore[assignment]
        return cell
