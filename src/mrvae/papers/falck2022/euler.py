"""Theorem 4: a cell of VDVAE is two forward Euler steps of one stochastic differential equation.

The equation of Falck et al. 2022 (4),

    dZ_t = (μ₁(Z_t) + μ₂(Z_t)) dt + σ(Z_t) dW_t,

can be split, and its two parts be taken one after the other by steps of Euler:

    Z₊     = Z  + h μ₁(Z) + √h σ(Z) ε,    ε standard normal      (the half step)
    Z_next = Z₊ + h μ₂(Z₊).

The cell draws z = m(h) + s(h) ε and computes h + u(h) + W z + b, and then adds N_r of that
(:mod:`mrvae.models.cells.base`). So it is this scheme with step h = 1 and

    μ₁(Z) = u(Z) + W m(Z) + b,    σ(Z) ε = W (s(Z) ε),    μ₂(Z) = N_r(Z),

where m and s are of the prior p(z | Z) when the model samples. When it infers, they are of the
posterior q(z | Z, e), u staying the prior's: two equations, one for each direction of time, with
the same μ₂. As h → 0 the scheme tends to the solution of (4), with the orders of Euler-Maruyama; at
h = 1 the second drift is evaluated at Z₊ and not at Z, which is what "two-step" means.

The paper notes that the noise enters the state, in Z₊, where a cell of NVAE would keep it out.
:meth:`TwoStep.without_noise` switches the term √h σ ε off and leaves all else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, cast

import torch
from torch import Tensor

from mrvae.distributions import Gaussian
from mrvae.models import HVAE
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Shape, Stage
from mrvae.resolution import BridgeStage

Drift = Callable[[Tensor], Tensor]
Diffusion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class TwoStep:
    """Two forward Euler steps of dZ = (μ₁ + μ₂) dt + σ dW.

    Args:
        first: μ₁.
        diffusion: (Z, ε) ↦ σ(Z) ε, linear in ε.
        second: μ₂.
        h: length of the step.

    Raises:
        ValueError: if ``h`` is not positive.

    Source: Falck et al. 2022, theorem 4 and figure 4.

    Example:
        >>> scheme = TwoStep(lambda z: 1 + 0 * z, lambda z, e: 3 * e, lambda z: z, h=1.0)
        >>> scheme.half(torch.tensor(2.0), torch.tensor(1.0)).item()
        6.0
        >>> scheme.step(torch.tensor(2.0), torch.tensor(1.0)).item()
        12.0
    """

    first: Drift
    diffusion: Diffusion
    second: Drift
    h: float = 1.0

    def __post_init__(self) -> None:
        if not self.h > 0:
            raise ValueError(f"h is {self.h}; a step must be longer than 0")

    def half(self, z: Tensor, noise: Tensor) -> Tensor:
        """Return Z₊ = Z + h μ₁(Z) + √h σ(Z) ε."""
        return z + self.h * self.first(z) + math.sqrt(self.h) * self.diffusion(z, noise)

    def step(self, z: Tensor, noise: Tensor) -> Tensor:
        """Return Z₊ + h μ₂(Z₊)."""
        half = self.half(z, noise)
        return half + self.h * self.second(half)

    def without_noise(self) -> TwoStep:
        """Return the scheme with σ = 0."""
        return replace(self, diffusion=_no_noise)

    def stage(self) -> BridgeStage:
        """Return the equation's coefficients, the same at all times, for a ``Bridge``."""
        return BridgeStage.homogeneous(lambda z: self.first(z) + self.second(z), self.diffusion)


def sampling_step(cell: VDVAECell) -> TwoStep:
    """Return the scheme that a VDVAE cell is when z is drawn from its prior.

    Source: Falck et al. 2022, theorem 4; Child 2021, figure 3.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = VDVAECell(8, latent=2, middle=4, kernel=3, applied=1, scale=RawScale())
        >>> h, noise = torch.randn(1, 8, 4, 4), torch.randn(1, 2, 4, 4)
        >>> prior, moved = cell.prior(h)
        >>> expected = cell.advance(moved, prior.sample(noise))
        >>> bool(torch.allclose(sampling_step(cell).step(h, noise), expected, atol=1e-6))
        True
    """
    return _two_step(cell, lambda z: cell.prior(z)[0])


def inference_step(cell: VDVAECell, features: Tensor) -> TwoStep:
    """Return the scheme that a VDVAE cell is when z is drawn from its posterior.

    Args:
        cell: any VDVAE cell.
        features: e of the images, from the encoder.

    Source: Falck et al. 2022, theorem 4; Child 2021, figure 3.

    Example:
        >>> from mrvae.distributions import RawScale
        >>> cell = VDVAECell(8, latent=2, middle=4, kernel=3, applied=1, scale=RawScale())
        >>> h, e, noise = torch.randn(2, 8, 4, 4), torch.randn(2, 8, 4, 4), torch.zeros(2, 2, 4, 4)
        >>> expected = cell.advance(cell.prior(h)[1], cell.posterior(h, e).mean)
        >>> bool(torch.allclose(inference_step(cell, e).step(h, noise), expected, atol=1e-6))
        True
    """
    return _two_step(cell, lambda z: cell.posterior(z, features))


class EulerStep(NamedTuple):
    """A cell, the state that it receives, its noise, and the state after its Euler scheme."""

    cell: VDVAECell
    before: Tensor
    noise: Tensor
    after: Tensor


def euler_steps(
    model: HVAE, noise: Tensor, change: Callable[[TwoStep], TwoStep] | None = None
) -> list[EulerStep]:
    """Sample a VDVAE by the Euler schemes of its cells, and return every step.

    Args:
        model: a VDVAE.
        noise: standard normal, of shape (N, noise_size).
        change: applied to every scheme.
    """
    cells: list[_EulerCell] = []

    def wrap(stage: Stage) -> Stage:
        own = [_EulerCell(cast(VDVAECell, cell), change) for cell in stage.visits]
        cells.extend(own)
        return _EulerStage(stage, own)

    # The scheme reads the noise itself, so that it takes the place of the latent.
    trace = model.trace(model.condition(()), lambda prior, posterior, noise: noise, noise, wrap)
    return [
        EulerStep(each.cell, each.before, step.z, step.state)
        for each, step in zip(cells, trace.steps, strict=True)
    ]


class _EulerCell:
    """A cell whose latent is the noise, and whose next state is that of the Euler scheme."""

    before: Tensor

    def __init__(self, cell: VDVAECell, change: Callable[[TwoStep], TwoStep] | None) -> None:
        scheme = sampling_step(cell)
        self.cell = cell
        self.scheme = scheme if change is None else change(scheme)

    def prior(self, h: Tensor) -> tuple[Gaussian, Tensor]:
        self.before = h
        return self.cell.prior(h)[0], h

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        return self.cell.posterior(h, features)

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        return self.scheme.step(h, z)


class _EulerStage(NamedTuple):
    """A stage with other cells."""

    stage: Stage
    visits: Sequence[_EulerCell]

    @property
    def level(self) -> Level:
        return self.stage.level

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.stage.shapes

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        return self.stage.enter(h, batch)


def _two_step(cell: VDVAECell, gaussian: Callable[[Tensor], Gaussian]) -> TwoStep:
    """Return the scheme whose latent has the given distribution."""

    def first(z: Tensor) -> Tensor:
        moved = cell.prior(z)[1]
        projected: Tensor = cell.project(gaussian(z).mean)
        return moved - z + projected

    def diffusion(z: Tensor, noise: Tensor) -> Tensor:
        # W alone: its bias is part of μ₁, and would be added twice.
        scaled = torch.exp(gaussian(z).log_scale) * noise
        return torch.nn.functional.conv2d(scaled, cell.project.weight)

    def second(z: Tensor) -> Tensor:
        residual: Tensor = cell.residual(z)
        return residual

    return TwoStep(first, diffusion, second)


def _no_noise(z: Tensor, noise: Tensor) -> Tensor:
    """Return σ(Z) ε = 0, of the shape of Z whatever that of the noise."""
    return torch.zeros_like(z)
