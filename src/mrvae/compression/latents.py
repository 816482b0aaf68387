"""Latents as whole numbers, and the choices by which a walk codes them.

A latent z of prior N(μ, σ) is rounded in the coordinates in which its prior is standard: with a
step Δ, of so many prior standard deviations,

    z = μ + σ Δ k,        k a whole number, |k| ≤ 12/Δ.

So the prior of k is one table, the same for all latents, models and files: no number that a network
computed takes part in coding k by its prior. By its posterior N(m, s) it is coded as a Gaussian of
mean (m - μ)/(σΔ) and scale s/(σΔ), which are rounded to multiples of 2⁻⁸, the scale by its
logarithm, before a table is made of them; so the last digits of a network's output matter nowhere.

Most units of a hierarchy carry nothing: q = p. They are not coded at all. In bits-back coding both
sides draw them from the prior by the same random numbers; in direct coding they are at its mean.
Which units are coded is one bit each, in the file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from mrvae.compression.coder import Rounded, Stack, Standard, Symbols
from mrvae.compression.parts import gaussian
from mrvae.distributions import Distribution, Gaussian
from mrvae.models.hierarchy.walk import Choose, Shape, Step

PARTS = 16
"""Steps are multiples of a sixteenth of a prior standard deviation."""

_FARTHEST = 12
_FINE = 256.0


@dataclass(frozen=True, eq=False)
class Units:
    """Which units of one latent are coded, and how finely.

    Args:
        active: bool (C, H, W).
        sixteenths: the step Δ, in sixteenths of a prior standard deviation.

    Example:
        >>> units = Units(torch.tensor([[[True, False]]]), sixteenths=16)
        >>> prior = Gaussian(torch.full((1, 1, 1, 2), 5.0), torch.zeros(1, 1, 1, 2))
        >>> z = units.place(prior, torch.zeros(1, 1, 1, 2), np.array([2], dtype=np.int32))
        >>> z.flatten().tolist(), units.numbers(prior, z).tolist()
        ([7.0, 5.0], [2])
    """

    active: Tensor
    sixteenths: int

    @property
    def step(self) -> float:
        """Δ."""
        return self.sixteenths / PARTS

    @property
    def reach(self) -> int:
        """The largest k."""
        return int(_FARTHEST / self.step)

    def prior(self, batch: int) -> Standard:
        """Return the law of k under the prior, for the coded units of ``batch`` images."""
        return Standard(batch * int(self.active.sum()), 1 / self.step, self.reach)

    def posterior(self, prior: Gaussian, posterior: Gaussian) -> Rounded:
        """Return the law of k under the posterior."""
        mean = (posterior.mean - prior.mean) * torch.exp(-prior.log_scale) / self.step
        log_scale = posterior.log_scale - prior.log_scale - np.log(self.step)
        # Beyond these bounds a table does not change any more.
        mean = _fine(mean).clamp(-self.reach, self.reach)
        scale = torch.exp(_fine(log_scale).clamp(-8.0, 8.0))
        return Rounded(self._coded(mean), self._coded(scale), self.reach)

    def place(self, prior: Gaussian, noise: Tensor, k: Symbols) -> Tensor:
        """Return z: μ + σΔk where a unit is coded, μ + σ·noise elsewhere."""
        standard = noise.contiguous().clone()
        standard[self._where(len(noise))] = torch.from_numpy(k.astype(np.float64)) * self.step
        return prior.mean + torch.exp(prior.log_scale) * standard

    def numbers(self, prior: Gaussian, z: Tensor) -> Symbols:
        """Return the nearest k of the coded units, in the order (image, channel, row, column)."""
        k = (z - prior.mean) * torch.exp(-prior.log_scale) / self.step
        rounded = torch.floor(k + 0.5).clamp(-self.reach, self.reach)
        return self._coded(rounded).astype(np.int32)

    def _coded(self, values: Tensor) -> NDArray[np.float64]:
        found: NDArray[np.float64] = values[self._where(len(values))].double().numpy()
        return found

    def _where(self, batch: int) -> Tensor:
        return self.active.expand(batch, *self.active.shape)


def choose_nearest(units: Units) -> Choose:
    """Choose the k nearest to the posterior's mean."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("the nearest latent is that of a posterior; give the walk features")
        law = gaussian(prior)
        return units.place(law, noise, units.numbers(law, posterior.mean))

    return choose


def choose_numbers(units: Units, k: Symbols) -> Choose:
    """Choose the k that are given, in the order of :meth:`Units.numbers`."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return units.place(gaussian(prior), noise, k)

    return choose


def choose_by_prior(units: Units, stack: Stack) -> Choose:
    """Choose k by popping it from the stack as the prior has it: decoding, or sampling."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return units.place(gaussian(prior), noise, stack.pop(units.prior(len(noise))))

    return choose


def choose_by_posterior(units: Units, stack: Stack) -> Choose:
    """Choose k by popping it as the posterior has it: a draw of q, paid for in bits given back."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("a draw of the posterior needs the features of the image")
        law = gaussian(prior)
        return units.place(law, noise, stack.pop(units.posterior(law, posterior)))

    return choose


def push_by_prior(stack: Stack, every: Sequence[Units], steps: Sequence[Step]) -> None:
    """Push the latents of a walk, so that a walk that pops finds them, the coarsest first."""
    for units, step in zip(reversed(every), reversed(steps), strict=True):
        stack.push(units.prior(len(step.z)), units.numbers(gaussian(step.prior), step.z))


def push_by_posterior(stack: Stack, every: Sequence[Units], steps: Sequence[Step]) -> None:
    """Push back what :func:`choose_by_posterior` popped on the same walk."""
    for units, step in zip(reversed(every), reversed(steps), strict=True):
        if step.posterior is None:
            raise ValueError("latents are given back to a posterior; give the walk features")
        prior = gaussian(step.prior)
        stack.push(units.posterior(prior, step.posterior), units.numbers(prior, step.z))


def shared_noise(first: int, count: int, size: int) -> Tensor:
    """Return standard normals (count, size) that both sides know: row i is image first + i's.

    Each is the quantile (u + ½)/2¹⁶ of the normal distribution, u two bytes of SHAKE-128 of the
    image's number, eight bytes, the least first.

    Example:
        >>> both = shared_noise(0, 2, 4)
        >>> bool(torch.equal(both[1:], shared_noise(1, 1, 4))), both.dtype
        (True, torch.float64)
    """
    names = (struct.pack("<Q", first + i) for i in range(count))
    streams = b"".join(hashlib.shake_128(name).digest(2 * size) for name in names)
    uniform = (np.frombuffer(streams, dtype="<u2").astype(np.float64) + 0.5) / 65536
    return torch.from_numpy(ndtri(uniform)).view(count, size)


def of_shapes(active: Sequence[Tensor], sixteenths: int) -> tuple[Units, ...]:
    """Return the units of every latent with one step."""
    return tuple(Units(each, sixteenths) for each in active)


def all_active(shapes: Sequence[Shape]) -> tuple[Tensor, ...]:
    """Return masks that code every unit."""
    return tuple(torch.ones(shape, dtype=torch.bool) for shape in shapes)


def _fine(values: Tensor) -> Tensor:
    """Round to multiples of 2⁻⁸."""
    return torch.floor(values * _FINE + 0.5) / _FINE
