"""Wavelet bands as the latents of a hierarchy: cells whose state advances by synthesis.

The state is the approximation of the image at some depth. The first cell draws the coarsest one,
c_L; each other draws the details of its depth and goes one step up,

    h ← W⁻¹(h, z),        h: (B, C, s, s) → (B, C, 2s, 2s),

so that the walk ends with an image. What the priors see decides the model: parameters alone give
the independent prior p(c) = Π p(c_i) of Kiruluta (2025, equation 20); a network that sees the state
gives one from coarse to fine,

    p(c) = p(c_L) Π_s p(d_s | h_s),        m, log b = f(h_s),

with d_s the details of depth s and h_s the approximation beside them. The posterior, N(c, s²), is
what the encoder hands out (equation 13): it does not look at the state. A latent of details has the
channels cH, cV, cD of each channel of the image, one channel after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.distributions import Gaussian, Law
from mrvae.layers import Bottleneck, convolution, scale_weight
from mrvae.models.level import Level
from mrvae.models.walk import Cell, Shape
from mrvae.resolution import Wavelet

Family = Callable[[Tensor, Tensor], Law]
"""Makes a law of a location and a log-scale."""


class FreeLaw(nn.Module):
    """A law of parameters alone: what it is asked after does not matter.

    Args:
        family: of the law.
        location: first, or only, location, which broadcasts with the latent.
        log_scale: first, or only, log-scale, likewise.
        learnt: whether the scale, and a location that is no constant 0, are learnt.
        centred: whether the location is a constant.

    Example:
        >>> import torch
        >>> from mrvae.distributions import Laplace
        >>> law = FreeLaw(Laplace, torch.zeros(3, 1, 1), torch.zeros(3, 1, 1), True, centred=True)
        >>> [name for name, _ in law.named_parameters()]
        ['log_scale']
    """

    location: Tensor
    log_scale: Tensor

    def __init__(
        self, family: Family, location: Tensor, log_scale: Tensor, learnt: bool, centred: bool
    ) -> None:
        super().__init__()
        self.family = family
        for name, value, free in (
            ("location", location, learnt and not centred),
            ("log_scale", log_scale, learnt),
        ):
            if free:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, h: Tensor) -> Law:
        """Return the law, whose tensors broadcast with a batch of latents."""
        return self.family(self.location, self.log_scale)


class SeeingLaw(nn.Module):
    """A law of details whose location and scale a network reads off the approximation.

    With β the level's own log-scale of each band, and (m', r) = f(2 h/2^depth - 1), whose argument
    lies about on [-1, 1], the law has the location m' e^β and the log-scale β + r. At the start m'
    and r are zero.

    Args:
        family: of the law.
        network: f, from (B, C, s, s) to (B, 6C, s, s).
        log_scale: first β, (3C, 1, 1).
        depth: of the details, which says how large h is.
        owned: whether the network is this module's; else it is another's, which has to outlive it.

    Source: ours.
    """

    def __init__(
        self, family: Family, network: nn.Module, log_scale: Tensor, depth: int, owned: bool
    ) -> None:
        super().__init__()
        self.family = family
        self.size = float(1 << depth)
        self.log_scale = nn.Parameter(log_scale)
        # In a tuple a module is seen, and not registered a second time.
        self.network = network if owned else None
        self.borrowed = () if owned else (network,)

    def forward(self, h: Tensor) -> Law:
        """Return the law of details beside the approximation h (B, C, s, s)."""
        (network,) = self.borrowed or (self.network,)
        location, spread = cast(nn.Module, network)(2 * h / self.size - 1).chunk(2, dim=1)
        return self.family(location * self.log_scale.exp(), self.log_scale + spread)


class Look(nn.Module):
    """The network of a :class:`SeeingLaw`: residual bottlenecks between two convolutions.

    Example:
        >>> import torch
        >>> Look(1, 6, width=8, blocks=1, kernel=3)(torch.randn(2, 1, 4, 4)).abs().max().item()
        0.0
    """

    def __init__(self, channels: int, outputs: int, width: int, blocks: int, kernel: int) -> None:
        super().__init__()
        self.enter = convolution(channels, width, kernel)
        middle = max(width // 2, 1)
        self.blocks = nn.ModuleList(Bottleneck(width, middle, width, kernel) for _ in range(blocks))
        for block in self.blocks:
            scale_weight(cast(Bottleneck, block).leave, blocks**-0.5)
        self.leave = convolution(width, outputs, 1)
        scale_weight(self.leave, 0.0)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, channels, s, s) to (B, outputs, s, s)."""
        x = self.enter(h)
        for block in self.blocks:
            x = x + block(x)
        result: Tensor = self.leave(functional.gelu(x))
        return result


class Begin(nn.Module):
    """The first step of the walk: the coarsest approximation is the state."""

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Return z."""
        return z


class Synthesis(nn.Module):
    """One step of synthesis, from an approximation and its details to the next finer one.

    Args:
        wavelet: whose synthesis.
        finish: what is done to the result; nothing where the image is not yet reached.

    Example:
        >>> import torch
        >>> up = Synthesis(Wavelet("haar"), nn.Identity())
        >>> up(torch.full((1, 1, 1, 1), 2.0), torch.zeros(1, 3, 1, 1))[0, 0]
        tensor([[1., 1.],
                [1., 1.]])
    """

    def __init__(self, wavelet: Wavelet, finish: nn.Module) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.finish = finish

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Return W⁻¹(h, z), (B, C, 2s, 2s), for h (B, C, s, s) and z (B, 3C, s, s)."""
        made: Tensor = self.finish(self.wavelet.step.synthesis(h, torch.unflatten(z, 1, (-1, 3))))
        return made


class BandCell(nn.Module):
    """A latent of wavelet coefficients.

    Args:
        law: from the state to the prior.
        join: from the state and the latent to the next state.
        held: whether the prior's network sees the state without pulling at it.
    """

    def __init__(self, law: nn.Module, join: nn.Module, held: bool = False) -> None:
        super().__init__()
        self.law = law
        self.join = join
        self.held = held

    def prior(self, h: Tensor) -> tuple[Law, Tensor]:
        """Return p(z | h), and h."""
        law: Law = self.law(h.detach() if self.held else h)
        return law, h

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | x), whose mean and log-scale the features are."""
        return Gaussian(*features.chunk(2, dim=1))

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the state after z."""
        advanced: Tensor = self.join(h, z)
        return advanced


class OneCellRung(nn.Module):
    """A resolution at which one latent is drawn.

    Args:
        level: of the state that the latent leads to.
        shape: of the latent.
        cell: which draws it.
    """

    def __init__(self, level: Level, shape: Shape, cell: nn.Module) -> None:
        super().__init__()
        self.level = level
        self.shapes = (shape,)
        self.cell = cell

    @property
    def visits(self) -> Sequence[Cell]:
        """The cell."""
        return (cast(Cell, self.cell),)

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state; before the first latent one without channels, (B, 0, s, s)."""
        if h is not None:
            return h
        law = cast(FreeLaw, cast(BandCell, self.cell).law)
        return law.location.new_zeros(batch, 0, *self.shapes[0][1:])
