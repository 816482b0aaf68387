"""Wavelet bands as the latents of a hierarchy: cells whose state advances by synthesis.

The state is the approximation of the image at some depth. The first cell draws the coarsest one,
c_L; each other draws the details of its depth and goes one step up,

    h ← W⁻¹(h, z),        h: (B, C, h, w) → (B, C, 2h, 2w),

so that the walk ends with an image. The conditioning of the priors decides the model. A prior with
parameters only is the independent prior p(c) = Π p(c_i) of Kiruluta (2025, equation 20); a prior
whose network reads the state is one from coarse to fine,

    p(c) = p(c_L) Π_s p(d_s | h_s),        m, log b = f(h_s),

with d_s the details of depth s and h_s the approximation of that depth. The posterior, N(c, s²),
comes from the encoder only (equation 13): it does not depend on the state. A latent of details has
the channels cH, cV, cD of each channel of the image, one channel after the other. One of a signal
has one band, and each step multiplies its averages by √2, those of an image by 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.distributions import Distribution, Gaussian
from mrvae.layers import Bottleneck, convolution, scale_weight
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Cell, Shape
from mrvae.resolution import Wavelet
from mrvae.sizes import ImageSize

Family = Callable[[Tensor, Tensor], Distribution]
"""From a location and a log-scale to a distribution."""


def gain(depth: int, dims: int = 2) -> float:
    """Return by what the averages of ``depth`` steps are multiplied, 2^(dims·depth/2).

    Example:
        >>> gain(3), gain(2, dims=1)
        (8.0, 2.0)
    """
    return float(2.0 ** (dims * depth / 2))


class UnconditionalPrior(nn.Module):
    """A prior with parameters only: it ignores the state.

    Args:
        family: of the prior.
        location: first, or only, location, which broadcasts with the latent.
        log_scale: first, or only, log-scale, likewise.
        learnt: whether the scale, and a location that is no constant 0, are learnt.
        centred: whether the location is a constant.

    Example:
        >>> import torch
        >>> from mrvae.distributions import Laplace
        >>> zeros = torch.zeros(3, 1, 1)
        >>> prior = UnconditionalPrior(Laplace, zeros, zeros.clone(), True, centred=True)
        >>> [name for name, _ in prior.named_parameters()]
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

    def forward(self, h: Tensor) -> Distribution:
        """Return the prior, whose tensors broadcast with a batch of latents."""
        return self.family(self.location, self.log_scale)


class ConditionalPrior(nn.Module):
    """A prior of details whose location and scale a network computes from the approximation.

    With β the level's own log-scale of each band, and (m', r) = f(2 h/2^depth - 1), whose argument
    is about in [-1, 1], the prior has the location m' e^β and the log-scale β + r. At the start m'
    and r are zero.

    Args:
        family: of the prior.
        network: f, from (B, C, h, w) to (B, 6C, h, w).
        log_scale: first β, (3C, 1, 1).
        depth: of the details, by which h is scaled.
        owned: whether the network is registered here; else another module owns it.
        dims: 2 for images, 1 for signals.

    Source: ours.
    """

    def __init__(
        self,
        family: Family,
        network: nn.Module,
        log_scale: Tensor,
        depth: int,
        owned: bool,
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.family = family
        self.size = gain(depth, dims)
        self.log_scale = nn.Parameter(log_scale)
        # A module in a tuple is not registered a second time.
        self.network = network if owned else None
        self.borrowed = () if owned else (network,)

    def forward(self, h: Tensor) -> Distribution:
        """Return the prior of details given the approximation h (B, C, h, w)."""
        (network,) = self.borrowed or (self.network,)
        location, spread = cast(nn.Module, network)(2 * h / self.size - 1).chunk(2, dim=1)
        return self.family(location * self.log_scale.exp(), self.log_scale + spread)


class ConditioningNet(nn.Module):
    """The network of a :class:`ConditionalPrior`: residual bottlenecks between two convolutions.

    Example:
        >>> import torch
        >>> net = ConditioningNet(1, 6, width=8, blocks=1, kernel=3)
        >>> net(torch.randn(2, 1, 4, 4)).abs().max().item()
        0.0
    """

    def __init__(
        self, channels: int, outputs: int, width: int, blocks: int, kernel: ImageSize
    ) -> None:
        super().__init__()
        self.enter = convolution(channels, width, kernel)
        middle = max(width // 2, 1)
        self.blocks = nn.ModuleList(Bottleneck(width, middle, width, kernel) for _ in range(blocks))
        for block in self.blocks:
            scale_weight(cast(Bottleneck, block).leave, blocks**-0.5)
        self.leave = convolution(width, outputs, 1)
        scale_weight(self.leave, 0.0)

    def forward(self, h: Tensor) -> Tensor:
        """Map (B, channels, h, w) to (B, outputs, h, w)."""
        x = self.enter(h)
        for block in self.blocks:
            x = x + block(x)
        result: Tensor = self.leave(functional.gelu(x))
        return result


class CoarsestState(nn.Module):
    """The first step of the walk: the coarsest approximation becomes the state."""

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """Return z."""
        return z


class Synthesis(nn.Module):
    """One step of synthesis, from an approximation and its details to the next finer one.

    Args:
        wavelet: whose synthesis.
        finish: a module applied to the result; the identity at all but the finest depth.

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
        """Return W⁻¹(h, z), (B, C, 2h, 2w), for h (B, C, h, w) and z (B, 3C, h, w)."""
        bands = 2**self.wavelet.dims - 1
        made: Tensor = self.finish(
            self.wavelet.step.synthesis(h, torch.unflatten(z, 1, (-1, bands)))
        )
        return made


class BandCell(nn.Module):
    """A latent of wavelet coefficients.

    Args:
        prior_net: from the state to the prior.
        synthesis: from the state and the latent to the next state.
        detached: whether the prior's network has the state without its gradient.
    """

    def __init__(self, prior_net: nn.Module, synthesis: nn.Module, detached: bool = False) -> None:
        super().__init__()
        self.prior_net = prior_net
        self.synthesis = synthesis
        self.detached = detached

    def prior(self, h: Tensor) -> tuple[Distribution, Tensor]:
        """Return p(z | h), and h."""
        prior: Distribution = self.prior_net(h.detach() if self.detached else h)
        return prior, h

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | x), whose mean and log-scale are the features."""
        return Gaussian(*features.chunk(2, dim=1))

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state."""
        advanced: Tensor = self.synthesis(h, z)
        return advanced


class SingleCellStage(nn.Module):
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
        """Return the state; before the first latent one without channels, (B, 0, h, w)."""
        if h is not None:
            return h
        first = cast(UnconditionalPrior, cast(BandCell, self.cell).prior_net)
        return first.location.new_zeros(batch, 0, *self.shapes[0][1:])
