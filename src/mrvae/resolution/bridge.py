"""A stochastic process over nested resolutions: on [t_j, t_{j+1}) it takes values in V_j.

Let times t_0 < t_1 < … < t_{J+1} be given, and for each level j a drift μ_j and a diffusion σ_j,
functions of the time and of an image of V_j. The process of Falck et al. 2022, theorem 1, is

    dZ_t = μ_j(t, Z_t) dt + σ_j(t, Z_t) dW_t,    Z_t ∈ V_j,    for t_j ≤ t < t_{j+1},
    Z_{t_{j+1}} = E Z_{t_{j+1}-},                              between the levels,

E being the embedding V_j → V_{j+1}, which changes the array and not the function. Its distributions
are a *multi-resolution bridge* (definition 2): their support grows with the level, and the finest
image is generated in finite-dimensional parts. In the space of the finest level, the same process
has the coefficients E μ_j P and E σ_j of its level, and is constant across V_j; the simulation
saves that work, and tests compare the two.

It is simulated by the method of Euler and Maruyama, in N_j steps of h = (t_{j+1} - t_j)/N_j:

    Z ← Z + h μ_j(t, Z) + √h σ_j(t, Z) ξ,    ξ standard normal.

The noise ξ is an argument, one tensor per level of shape (N_j, …), whose length is the number of
steps; so one Brownian path can be run in steps of two lengths (:func:`coarser_noise`).
σ_j is a map (t, Z, ξ) ↦ σ_j(t, Z) ξ, linear in ξ, and so may be a number, a number for each pixel,
or any matrix, also one that makes states from noise of another shape. ξ has one value for each
*pixel*; the noise that is white on the unit square, and the same at every level, has σ ∝ n^{d/2}.

A process whose coefficients do not depend on t within a level is *time-homogeneous* there: such are
cells that share their weights (Falck et al. 2022, section 3.1), and
:meth:`BridgeStage.homogeneous`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

Drift = Callable[[float, Tensor], Tensor]
Diffusion = Callable[[float, Tensor, Tensor], Tensor]


class Embedding(Protocol):
    """An embedding into finer images: :class:`Ladder`, :class:`WaveletPooling`."""

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Go ``steps`` levels up."""
        ...


@dataclass(frozen=True)
class BridgeStage:
    """The coefficients of one level.

    Args:
        drift: (t, Z) ↦ μ(t, Z), of the shape of Z.
        diffusion: (t, Z, ξ) ↦ σ(t, Z) ξ, of the shape of Z, linear in ξ.

    Source: Falck et al. 2022, theorem 1.

    Example:
        >>> brownian = BridgeStage(lambda t, z: torch.zeros_like(z), lambda t, z, xi: 2.0 * xi)
        >>> brownian.diffusion(0.0, torch.zeros(1), torch.ones(1))
        tensor([2.])
    """

    drift: Drift
    diffusion: Diffusion

    @classmethod
    def homogeneous(
        cls, drift: Callable[[Tensor], Tensor], diffusion: Callable[[Tensor, Tensor], Tensor]
    ) -> BridgeStage:
        """Return the stage of coefficients Z ↦ μ(Z) and (Z, ξ) ↦ σ(Z) ξ, the same at all times.

        Source: Falck et al. 2022, section 2.3, the time-homogeneous model.

        Example:
            >>> decay = BridgeStage.homogeneous(lambda z: -z, lambda z, xi: 0.0 * xi)
            >>> decay.drift(0.3, torch.tensor([2.0]))
            tensor([-2.])
        """
        return cls(lambda t, z: drift(z), lambda t, z, xi: diffusion(z, xi))


class Moment(NamedTuple):
    """The process at one time: the time, the level, and the state, an array of that level."""

    time: float
    level: int
    state: Tensor


@dataclass(frozen=True)
class Bridge:
    """A multi-resolution diffusion process, level 0 being the coarsest.

    Args:
        embedding: E, between each level and the next.
        times: t_0 < … < t_{J+1}; level j lasts from t_j until t_{j+1}.
        stages: the coefficients of the levels 0 … J.

    Raises:
        ValueError: if the times do not grow, or there is not one stage between each two.

    Source: Falck et al. 2022, definition 2 and theorem 1.

    Example:
        >>> from mrvae.resolution.ladder import Ladder
        >>> grow = BridgeStage.homogeneous(lambda z: 1.0 + 0.0 * z, lambda z, xi: 0.0 * xi)
        >>> bridge = Bridge(Ladder(base=1, depth=1), times=(0.0, 0.5, 1.0), stages=(grow, grow))
        >>> noise = [torch.zeros(4, 1, 1), torch.zeros(8, 2, 2)]
        >>> bridge.end(torch.zeros(1, 1), noise)
        tensor([[1., 1.],
                [1., 1.]])
    """

    embedding: Embedding
    times: tuple[float, ...]
    stages: tuple[BridgeStage, ...]

    def __post_init__(self) -> None:
        if not self.stages or len(self.times) != len(self.stages) + 1:
            raise ValueError(
                f"{len(self.times)} times for {len(self.stages)} stages; a bridge needs a stage or"
                " more and one time more than stages"
            )
        if not all(start < stop for start, stop in pairwise(self.times)):
            raise ValueError(f"times are {self.times}; each must be later than the one before")

    def trajectory(self, z: Tensor, noise: Sequence[Tensor]) -> Iterator[Moment]:
        """Yield the process from t_0 on, at the beginning and after every step of each level.

        At t_{j+1} it is yielded twice, as the last moment of level j and as the first of level j+1.

        Args:
            z: the state at t_0, an array of level 0, of any leading shape.
            noise: standard normal, one tensor a level, coarse to fine, of shape (N_j, …).

        Raises:
            ValueError: if there is not one tensor of noise for each level, or one has no steps.
        """
        if len(noise) != len(self.stages):
            raise ValueError(f"{len(noise)} tensors of noise for {len(self.stages)} levels")
        for level, (stage, xi) in enumerate(zip(self.stages, noise, strict=True)):
            if xi.dim() < 1 or len(xi) < 1:
                raise ValueError(f"noise of level {level} has no steps; give it shape (N, …)")
            z = self.embedding.embed(z) if level else z
            for moment in _euler(stage, self.times[level], self.times[level + 1], z, xi):
                yield Moment(moment[0], level, moment[1])
                z = moment[1]

    def end(self, z: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Return the state at t_{J+1}, an array of level J; arguments as :meth:`trajectory`.

        Raises:
            ValueError: as :meth:`trajectory`.
        """
        for moment in self.trajectory(z, noise):
            z = moment.state
        return z

    def ends(self, z: Tensor, noise: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the states at t_1-, …, t_{J+1}-, one array a level, coarse to fine.

        Raises:
            ValueError: as :meth:`trajectory`.
        """
        last = {moment.level: moment.state for moment in self.trajectory(z, noise)}
        return tuple(last[level] for level in range(len(self.stages)))

    def noise(
        self, z: Tensor, steps: Sequence[int], generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """Draw noise of the state's shape: for level j of shape (steps_j, …), like E^j z.

        Args:
            z: the state at t_0, for its shape and type.
            steps: N_j, how many steps each level takes.
            generator: where the noise comes from.

        Raises:
            ValueError: if there is not one positive number of steps for each level.
        """
        if len(steps) != len(self.stages) or min(steps) < 1:
            raise ValueError(
                f"steps are {tuple(steps)}; give one number of 1 or more for each of"
                f" {len(self.stages)} levels"
            )
        drawn = []
        for level, count in enumerate(steps):
            z = self.embedding.embed(z) if level else z
            shape = (count, *z.shape)
            drawn.append(torch.randn(shape, generator=generator, dtype=z.dtype, device=z.device))
        return tuple(drawn)


def coarser_noise(xi: Tensor, factor: int) -> Tensor:
    """Return the noise of the same Brownian path in steps ``factor`` times as long.

    An increment over a long step is the sum of those over its short steps, and standard normal
    after division by ``factor``^½.

    Args:
        xi: of shape (N, …).
        factor: how many steps become one.

    Raises:
        ValueError: if ``factor`` is not positive or does not divide N.

    Example:
        >>> coarser_noise(torch.tensor([1.0, 3.0, -2.0, 2.0]), 2)
        tensor([2.8284, 0.0000])
    """
    if factor < 1 or len(xi) % factor:
        raise ValueError(f"factor is {factor}; it must be 1 or more and divide {len(xi)} steps")
    return torch.unflatten(xi, 0, (-1, factor)).sum(1) / math.sqrt(factor)


def _euler(
    stage: BridgeStage, start: float, stop: float, z: Tensor, noise: Tensor
) -> Iterator[tuple[float, Tensor]]:
    """Yield time and state at the start and after every step."""
    h = (stop - start) / len(noise)
    yield start, z
    for step, xi in enumerate(noise):
        t = start + step * h
        z = z + h * stage.drift(t, z) + math.sqrt(h) * stage.diffusion(t, z, xi)
        yield t + h, z
