"""What the cells of a hierarchy share: how a Gaussian is read, N_q and N_p, and wrapping.

Every cell keeps the contract of :class:`mrvae.models.hierarchy.walk.Cell`. Scales come out as
log σ: a distribution's second half of channels, read by a ``Scale``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from mrvae.distributions import Distribution, Gaussian
from mrvae.layers import Bottleneck, gelu, preserve_memory_format, scale_weight
from mrvae.models.hierarchy.walk import Cell, SharingCell
from mrvae.sizes import ImageSize

Scale = Callable[[Tensor], Tensor]


def read_gaussian(raw: Tensor, scale: Scale) -> Gaussian:
    """Return the Gaussian whose mean is the first half of the channels, its scale the second.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> read_gaussian(torch.ones(1, 2, 1, 1), RawScale()).mean.shape
        torch.Size([1, 1, 1, 1])
    """
    # Latents and their KL stay in full precision whatever the convolutions run in.
    full = raw if raw.dtype == torch.float64 else raw.float()
    mean, raw_scale = preserve_memory_format(full).chunk(2, dim=1)
    return Gaussian(_dense(mean), scale(_dense(raw_scale)))


def _dense(part: Tensor) -> Tensor:
    """Return a part of the channels without the gaps of the others in its memory.

    An exponential of values with gaps between them takes eight times as long.
    """
    if torch.compiler.is_compiling():
        return part
    return part.contiguous(memory_format=torch.channels_last)


def halves(x: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return the ``first`` channels of x and the others.

    The gradients of two slices are two tensors of zeros, in another memory layout than that of x;
    those of a split are concatenated as they are.

    Example:
        >>> [part.shape[1] for part in halves(torch.zeros(1, 5, 2, 2), 2)]
        [2, 3]
    """
    leading, trailing = torch.split(x, [first, x.shape[1] - first], dim=1)
    return leading, trailing


class LatentCell(nn.Module, SharingCell):
    """N_q, and N_p with ``added`` channels u beside the prior's.

    Args:
        width: channels of the state and of the encoder's features.
        latent: channels of z.
        middle: channels inside the bottlenecks.
        kernel: side of their spatial convolutions, or (down, across).
        scale: turns the networks' raw output into log σ.
        added: channels of u.
    """

    def __init__(
        self, width: int, latent: int, middle: int, kernel: ImageSize, scale: Scale, added: int
    ) -> None:
        super().__init__()
        self.latent = latent
        self.scale = scale
        self.posterior_net = Bottleneck(2 * width, middle, 2 * latent, kernel)
        self.prior_net = Bottleneck(width, middle, 2 * latent + added, kernel)
        scale_weight(self.prior_net.leave, 0.0)

    @abstractmethod
    def add(self, h: Tensor, added: Tensor) -> Tensor:
        """Return the state after u is added, in whatever way a cell adds it."""

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e); ``features`` is GELU(e), the encoder's output."""
        return self._gaussian(self.posterior_net.forward_pair(h, features))

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        """Return p(z | h), and the state after u."""
        return self._prior(h, gelu(h))

    def posterior_and_prior(
        self, h: Tensor, features: Tensor
    ) -> tuple[Gaussian, Distribution, Tensor]:
        """Return q(z | h, e), p(z | h) and the state after u; GELU(h) is computed once."""
        activated = gelu(h)
        raw = self.posterior_net.of_activated_pair(activated, features)
        return self._gaussian(raw), *self._prior(h, activated)

    def _prior(self, h: Tensor, activated: Tensor) -> tuple[Gaussian, Tensor]:
        raw, added = self.prior_net.halves_of_activated(activated, 2 * self.latent)
        return self._gaussian(raw), self.add(h, added)

    def _gaussian(self, raw: Tensor) -> Gaussian:
        return read_gaussian(raw, self.scale)


class WrappedCell(nn.Module):
    """A cell around another one, whose prior, posterior and next state are its own.

    Args:
        cell: any cell.
    """

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    @property
    def inner(self) -> Cell:
        """The wrapped cell."""
        return cast(Cell, self.cell)

    def prior(self, h: Tensor) -> tuple[Distribution, Tensor]:
        """Return what the wrapped cell returns."""
        return self.inner.prior(h)

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return what the wrapped cell returns."""
        return self.inner.posterior(h, features)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return what the wrapped cell returns."""
        return self.inner.advance(h, z)
