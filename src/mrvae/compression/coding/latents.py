"""Latents as integers, and the choices by which the top-down walk codes them.

A latent z of prior N(μ, σ) is rounded in the coordinates in which its prior is standard normal,
with a step Δ in prior standard deviations:

    z = μ + σ Δ k,        k an integer, |k| ≤ 12/Δ.

So the prior of k is the same for all latents, models and files, and no output of a network takes
part in coding k by its prior. By its posterior N(m, s), k is coded as a Gaussian of mean
(m - μ)/(σΔ) and scale s/(σΔ). The mean and the logarithm of the scale are rounded to multiples of
2⁻⁸ before a table is made of them, so that the last digits of a network's output do not matter.

Most units of a hierarchy carry no information: q = p. They are not coded. Bits-back coding draws
them from the prior, encoder and decoder by the same random numbers; direct coding sets them to the
prior's mean. The file holds one bit for each unit: whether it is coded.
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

from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import RoundedCentredGaussian, RoundedGaussian, Symbols
from mrvae.distributions import Distribution, Gaussian
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import Choose, Shape, Step

STEPS_PER_DEVIATION = 16
"""Steps are multiples of a sixteenth of a prior standard deviation."""

_FARTHEST = 12
_ROUNDING = 256.0


@dataclass(frozen=True, eq=False)
class CodedUnits:
    """Which units of one latent are coded, and how finely.

    Args:
        active: bool (C, H, W).
        sixteenths: the step Δ, in sixteenths of a prior standard deviation.

    Example:
        >>> units = CodedUnits(torch.tensor([[[True, False]]]), sixteenths=16)
        >>> prior = Gaussian(torch.full((1, 1, 1, 2), 5.0), torch.zeros(1, 1, 1, 2))
        >>> z = units.place(prior, torch.zeros(1, 1, 1, 2), np.array([2], dtype=np.int32))
        >>> z.flatten().tolist(), units.integers(prior, z).tolist()
        ([7.0, 5.0], [2])
    """

    active: Tensor
    sixteenths: int

    @property
    def step(self) -> float:
        """Δ, in prior standard deviations."""
        return self.sixteenths / STEPS_PER_DEVIATION

    @property
    def reach(self) -> int:
        """The largest k."""
        return int(_FARTHEST / self.step)

    def prior(self, batch: int) -> RoundedCentredGaussian:
        """Return P(k) under the prior, for the coded units of ``batch`` images."""
        return RoundedCentredGaussian(batch * int(self.active.sum()), 1 / self.step, self.reach)

    def posterior(self, prior: Gaussian, posterior: Gaussian) -> RoundedGaussian:
        """Return P(k) under the posterior."""
        mean = (posterior.mean - prior.mean) * torch.exp(-prior.log_scale) / self.step
        log_scale = posterior.log_scale - prior.log_scale - np.log(self.step)
        # Beyond these bounds the distribution does not change any more.
        mean = _rounded(mean).clamp(-self.reach, self.reach)
        scale = torch.exp(_rounded(log_scale).clamp(-8.0, 8.0))
        return RoundedGaussian(self._coded(mean), self._coded(scale), self.reach)

    def place(self, prior: Gaussian, noise: Tensor, k: Symbols) -> Tensor:
        """Return z: μ + σΔk where a unit is coded, μ + σ·noise elsewhere."""
        standard = noise.contiguous().clone()
        standard[self._where(len(noise))] = torch.from_numpy(k.astype(np.float64)) * self.step
        return prior.mean + torch.exp(prior.log_scale) * standard

    def integers(self, prior: Gaussian, z: Tensor) -> Symbols:
        """Return the nearest k of the coded units, in the order (image, channel, row, column).

        Raises:
            ValueError: if one is not a number, as of a model that diverged.
        """
        k = (z - prior.mean) * torch.exp(-prior.log_scale) / self.step
        check_finite(k)
        rounded = torch.floor(k + 0.5).clamp(-self.reach, self.reach)
        return self._coded(rounded).astype(np.int32)

    def _coded(self, values: Tensor) -> NDArray[np.float64]:
        coded: NDArray[np.float64] = values[self._where(len(values))].double().numpy()
        return coded

    def _where(self, batch: int) -> Tensor:
        return self.active.expand(batch, *self.active.shape)


def choose_nearest(units: CodedUnits) -> Choose:
    """Choose the k nearest to the posterior's mean."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("the posterior's mean needs the encoder's features")
        normal = gaussian(prior)
        return units.place(normal, noise, units.integers(normal, posterior.mean))

    return choose


def choose_integers(units: CodedUnits, k: Symbols) -> Choose:
    """Choose the given k, in the order of :meth:`CodedUnits.integers`."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return units.place(gaussian(prior), noise, k)

    return choose


def choose_by_prior(units: CodedUnits, stack: Stack) -> Choose:
    """Choose k by popping it from the stack by the prior, as a decoder does."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return units.place(gaussian(prior), noise, stack.pop(units.prior(len(noise))))

    return choose


def choose_by_posterior(units: CodedUnits, stack: Stack) -> Choose:
    """Choose k by popping it by the posterior: a draw of q, whose bits the decoder gives back."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("a draw of the posterior needs the encoder's features")
        normal = gaussian(prior)
        k = stack.pop(units.posterior(normal, posterior))
        return units.place(normal, noise, k)

    return choose


def push_by_prior(stack: Stack, coded: Sequence[CodedUnits], steps: Sequence[Step]) -> None:
    """Push the latents of a trace, so that the coarsest is popped first."""
    for units, step in zip(reversed(coded), reversed(steps), strict=True):
        stack.push(units.prior(len(step.z)), units.integers(gaussian(step.prior), step.z))


def push_by_posterior(stack: Stack, coded: Sequence[CodedUnits], steps: Sequence[Step]) -> None:
    """Push back what :func:`choose_by_posterior` popped for the same latents."""
    for units, step in zip(reversed(coded), reversed(steps), strict=True):
        if step.posterior is None:
            raise ValueError("a push by the posterior needs the encoder's features")
        prior = gaussian(step.prior)
        stack.push(units.posterior(prior, step.posterior), units.integers(prior, step.z))


def shared_noise(first: int, count: int, size: int) -> Tensor:
    """Return standard normals (count, size) of encoder and decoder; row i is image first + i's.

    Each is the quantile (u + ½)/2¹⁶ of the normal distribution. u is two bytes of SHAKE-128 of the
    image's number as eight bytes; both are little-endian.

    Example:
        >>> noise = shared_noise(0, 2, 4)
        >>> bool(torch.equal(noise[1:], shared_noise(1, 1, 4))), noise.dtype
        (True, torch.float64)
    """
    numbers = (struct.pack("<Q", first + i) for i in range(count))
    streams = b"".join(hashlib.shake_128(number).digest(2 * size) for number in numbers)
    uniform = (np.frombuffer(streams, dtype="<u2").astype(np.float64) + 0.5) / 65536
    return torch.from_numpy(ndtri(uniform)).view(count, size)


def units_of(masks: Sequence[Tensor], sixteenths: int) -> tuple[CodedUnits, ...]:
    """Return the coded units of every latent, all with the same step."""
    return tuple(CodedUnits(mask, sixteenths) for mask in masks)


def gaussian(prior: Distribution) -> Gaussian:
    """Return a prior that is Gaussian, as rounding in prior standard deviations needs.

    Raises:
        ValueError: if it is another distribution.

    Example:
        >>> gaussian(Gaussian(torch.zeros(1), torch.zeros(1))).mean
        tensor([0.])
    """
    if not isinstance(prior, Gaussian):
        raise ValueError(
            f"this model's latents have a {type(prior).__name__} prior; the codec needs Gaussian "
            "ones, so choose another model"
        )
    return prior


def all_active(shapes: Sequence[Shape]) -> tuple[Tensor, ...]:
    """Return masks that code every unit."""
    return tuple(torch.ones(shape, dtype=torch.bool) for shape in shapes)


def _rounded(values: Tensor) -> Tensor:
    """Round to multiples of 2⁻⁸."""
    return torch.floor(values * _ROUNDING + 0.5) / _ROUNDING
