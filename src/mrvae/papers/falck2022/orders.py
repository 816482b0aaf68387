"""Theorem 1 in numbers: how fast the simulated bridge approaches the closed form.

*Weak.* Let each level be linear, dZ = A_j Z dt + S_j dW. Mean and covariance are known: over a time
τ on one level

    m ← e^{Aτ} m,    C ← e^{Aτ} C e^{Aᵀτ} + G,    A G + G Aᵀ = e^{Aτ} S Sᵀ e^{Aᵀτ} - S Sᵀ,

and m ← E m, C ← E C Eᵀ between levels. The scheme is linear too; so its mean is what it makes of no
noise, and its covariance Σ_k r_k r_kᵀ with r_k the response to the k-th unit of noise. Both are
exact, and no sampling error hides that of the scheme, which is of order 1 in the step.

*Strong.* For dZ = a Z dt + b Z dW, pixel by pixel, the solution is known along each path of the
noise, z exp((a - b²/2) τ + b W_τ), and the root mean square distance to it is of order ½; with
noise that does not depend on the state it would be of order 1.

An order is read off as the slope of log error on log step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.resolution import Bridge, BridgeStage, Ladder, coarser_noise

Moments = tuple[Tensor, Tensor]


def slope(errors: Sequence[float], factor: float = 2.0) -> float:
    """Return the least-squares slope of log error on log step, for steps that fall by a factor.

    Raises:
        ValueError: if there are fewer than two errors, or one is not positive.

    Example:
        >>> slope([0.4, 0.1, 0.025])
        2.0
    """
    if len(errors) < 2 or not all(error > 0 for error in errors):
        raise ValueError(f"errors are {list(errors)}; a slope needs two or more, all positive")
    y = torch.tensor([math.log(error) for error in errors], dtype=torch.float64)
    x = -math.log(factor) * torch.arange(len(errors), dtype=torch.float64)
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / x.square().sum())


@dataclass(frozen=True)
class LinearProcess:
    """dZ = A_j Z dt + S_j dW on the pixels of each level, from level 0 on.

    Args:
        ladder: the spaces; there are as many levels as drifts.
        times: t_0, …, t_{J+1}.
        drifts: A_j, square, of as many rows as level j has pixels; no two eigenvalues sum to zero.
        noises: S_j, of the same shapes.

    Source: Falck et al. 2022, theorem 1, with linear coefficients.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> decay = LinearProcess(Ladder(1, 0, dims=1), (0.0, 1.0), (-one,), (one,))
        >>> (mean, covariance), = decay.moments(2 * one[0])
        >>> round(mean.item(), 4), round(covariance.item(), 4)
        (0.7358, 0.4323)
    """

    ladder: Ladder
    times: tuple[float, ...]
    drifts: tuple[Tensor, ...]
    noises: tuple[Tensor, ...]

    def bridge(self) -> Bridge:
        """Return the process as a bridge to be simulated."""
        pairs = zip(self.drifts, self.noises, strict=True)
        return Bridge(self.ladder, self.times, tuple(self._stage(a, s) for a, s in pairs))

    def moments(self, start: Tensor) -> list[Moments]:
        """Return mean and covariance at the end of each level, from the point ``start``."""
        mean = start.flatten()
        covariance = torch.zeros(len(mean), len(mean), dtype=mean.dtype)
        found = []
        for level, (a, s) in enumerate(zip(self.drifts, self.noises, strict=True)):
            if level:
                e = self._embedding(level)
                mean, covariance = e @ mean, e @ covariance @ e.T
            flow = torch.linalg.matrix_exp((self.times[level + 1] - self.times[level]) * a)
            mean = flow @ mean
            covariance = flow @ covariance @ flow.T + _lyapunov(
                a, flow @ s @ s.T @ flow.T - s @ s.T
            )
            found.append((mean, covariance))
        return found

    def scheme_moments(self, start: Tensor, steps: int) -> list[Moments]:
        """Return the exact moments of the scheme with ``steps`` steps a level, from ``start``."""
        shapes = [(side,) * self.ladder.dims for side in self._sides(start)]
        sizes = [steps * math.prod(shape) for shape in shapes]
        units = torch.eye(1 + sum(sizes), dtype=start.dtype)[:, 1:]
        noise = [
            part.reshape(-1, steps, *shape).transpose(0, 1)
            for part, shape in zip(torch.split(units, sizes, dim=1), shapes, strict=True)
        ]
        ends = self.bridge().ends(start.expand(len(units), *start.shape), noise)
        rows = [state.flatten(1) for state in ends]
        return [(row[0], (row[1:] - row[0]).T @ (row[1:] - row[0])) for row in rows]

    def errors(self, start: Tensor, steps: Sequence[int], truth: LinearProcess) -> list[Errors]:
        """Return, for each level, how far the scheme's moments are from those of ``truth``.

        Each is a pair of lists, for the mean and for the covariance, with one entry for each number
        of steps: the largest error, relative to the largest entry.
        """
        exact = truth.moments(start)
        found = [self.scheme_moments(start, count) for count in steps]
        return [
            (
                [_relative(got[level][0], right[0]) for got in found],
                [_relative(got[level][1], right[1]) for got in found],
            )
            for level, right in enumerate(exact)
        ]

    def scaled(self, factor: float) -> LinearProcess:
        """Return the process with all drifts multiplied by a factor."""
        drifts = tuple(factor * a for a in self.drifts)
        return LinearProcess(self.ladder, self.times, drifts, self.noises)

    def _stage(self, a: Tensor, s: Tensor) -> BridgeStage:
        def apply(matrix: Tensor, z: Tensor) -> Tensor:
            return (z.flatten(-self.ladder.dims) @ matrix.T).view_as(z)

        return BridgeStage.homogeneous(lambda z: apply(a, z), lambda z, xi: apply(s, xi))

    def _sides(self, start: Tensor) -> list[int]:
        return [start.shape[-1] << level for level in range(len(self.drifts))]

    def _embedding(self, level: int) -> Tensor:
        """Return the matrix of E from the level below."""
        pixels, dims = len(self.drifts[level - 1]), self.ladder.dims
        side = round(pixels ** (1 / dims))
        units = torch.eye(pixels, dtype=self.drifts[0].dtype).view(-1, *(side,) * dims)
        return self.ladder.embed(units).flatten(1).T


Errors = tuple[list[float], list[float]]


def coupled_process(dims: int, times: tuple[float, ...], seed: int = 0) -> LinearProcess:
    """Return a stable process with random coefficients that couple all pixels of a level.

    Args:
        dims: 1 or 2.
        times: t_0, …; there is one level fewer than times, the coarsest of one pixel.
        seed: of the coefficients.

    Example:
        >>> [tuple(a.shape) for a in coupled_process(dims=2, times=(0.0, 0.5, 1.0)).drifts]
        [(1, 1), (4, 4)]
    """
    generator = torch.Generator().manual_seed(seed)
    drifts, noises = [], []
    for level in range(len(times) - 1):
        n = (1 << level) ** dims
        one = torch.eye(n, dtype=torch.float64)
        coupling, noise = torch.randn(2, n, n, generator=generator, dtype=torch.float64)
        drifts.append(coupling / (2 * n) - (1 + n**0.25) * one)
        noises.append(noise / n**0.5)
    return LinearProcess(Ladder(1, len(times) - 2, dims), times, tuple(drifts), tuple(noises))


@dataclass(frozen=True)
class GeometricProcess:
    """dZ = a Z dt + b Z dW on every pixel, from 1.

    Args:
        ladder: the spaces, the coarsest of one pixel.
        times: t_0, …, t_{J+1}.
        rate: a.
        volatility: b.

    Source: Kloeden and Platen 1992, section 10.2, for the order ½.

    Example:
        >>> process = GeometricProcess(Ladder(1, 0, dims=1), (0.0, 1.0), rate=0.5, volatility=1.0)
        >>> process.solution([torch.zeros(4, 2, 1)]).flatten()
        tensor([1., 1.])
    """

    ladder: Ladder
    times: tuple[float, ...]
    rate: float
    volatility: float

    def bridge(self) -> Bridge:
        """Return the process as a bridge to be simulated."""
        stage = BridgeStage.homogeneous(
            lambda z: self.rate * z, lambda z, xi: self.volatility * z * xi
        )
        return Bridge(self.ladder, self.times, (stage,) * (len(self.times) - 1))

    def solution(self, noise: Sequence[Tensor]) -> Tensor:
        """Return the exact final state along the path of the noise, (N_j, paths, …) a level."""
        z = torch.ones_like(noise[0][0])
        for level, xi in enumerate(noise):
            time = self.times[level + 1] - self.times[level]
            w = math.sqrt(time / len(xi)) * xi.sum(0)
            z = self.ladder.embed(z) if level else z
            z = z * torch.exp((self.rate - self.volatility**2 / 2) * time + self.volatility * w)
        return z

    def errors(self, paths: int, factors: Sequence[int], truth: GeometricProcess) -> list[float]:
        """Return the root mean square distance from ``truth`` along the same paths.

        Args:
            paths: how many.
            factors: by how much each run's steps are longer than the shortest, 64 to a level.
            truth: the process whose solution is taken.
        """
        start = torch.ones(paths, *(1,) * self.ladder.dims, dtype=torch.float64)
        steps = [64] * (len(self.times) - 1)
        noise = self.bridge().noise(start, steps, torch.Generator().manual_seed(1))
        exact = truth.solution(noise)
        rough = [
            self.bridge().end(start, [coarser_noise(xi, factor) for xi in noise])
            for factor in factors
        ]
        return [float((z - exact).square().mean().sqrt()) for z in rough]


def _relative(got: Tensor, right: Tensor) -> float:
    """Return the largest error, relative to the largest entry."""
    return float((got - right).abs().max() / right.abs().max())


def _lyapunov(a: Tensor, right: Tensor) -> Tensor:
    """Return G with A G + G Aᵀ = the right side."""
    one = torch.eye(len(a), dtype=a.dtype)
    both = torch.kron(a, one) + torch.kron(one, a)
    gained: Tensor = torch.linalg.solve(both, right.flatten())
    return gained.view_as(a)
