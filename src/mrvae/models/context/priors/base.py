"""The prior of a context: a learnt distribution of integers c, or a bound on one.

With a context the bound of a hierarchy has one term more (Kuzina & Tomczak 2023, section 4.2),

    log p(x) ≥ E_q [log p(x | z, c) - Σ_l KL_l] + log p(c),      c = f(x),

and a prior that is itself a latent variable model, as a diffusion is, gives a lower bound in place
of log p(c). So what every prior offers is ``bound``, one number of nats for each image; only an
explicit one has ``log_pmf`` too. The number stands outside any mean over importance samples of z,
for c is the same in all of them.

Noise comes in as tensors: ``draws`` standard normals for each code of each image. In training
``estimate`` may replace the bound by one of its terms, chosen from outside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from mrvae.distributions import Grid
from mrvae.models.hierarchy.walk import Shape


class Lattice(Protocol):
    """The support of a discrete variable: a context transform, or a :class:`FixedLattice`."""

    @property
    def shape(self) -> Shape:
        """Shape (C, h, w) of one variable."""
        ...

    @property
    def grid(self) -> Grid:
        """The values of its codes, on [-1, 1] or near it."""
        ...


@dataclass(frozen=True)
class FixedLattice:
    """A shape and a grid, without an image."""

    shape: Shape
    grid: Grid


class ContextPrior(Protocol):
    """The contract of a context's prior."""

    @property
    def draws(self) -> int:
        """How many standard normals for each code ``bound`` takes: its noise is (B, draws, …)."""
        ...

    def bound(self, c: Tensor, noise: Tensor) -> Tensor:
        """Return a number of nats (B,) whose mean over the noise is at most log p(c).

        Args:
            c: codes, int64 (B, C, h, w).
            noise: standard normal, (B, draws, C, h, w).
        """
        ...

    def log_weight(self, c: Tensor, noise: Tensor) -> Tensor:
        """Return numbers (B,) whose exponentials have the mean p(c) over the noise.

        The arguments are those of ``bound``, which is the mean of these numbers.
        """
        ...

    def estimate(self, c: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return numbers (B,) whose mean over t, uniform in 1 … max(draws, 1), is the bound.

        Args:
            c: codes, int64 (B, C, h, w).
            t: which term, int64 (B,).
            noise: standard normal, (B, C, h, w).
        """
        ...

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n contexts, int64 (n, C, h, w)."""
        ...


class ExplicitPrior(nn.Module, ABC):
    """A prior whose log p(c) is a number: it is its own bound, and needs no noise."""

    draws = 0

    @abstractmethod
    def log_pmf(self, c: Tensor) -> Tensor:
        """Return log p(c) in nats, of shape (B,), of codes (B, C, h, w)."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n contexts, int64 (n, C, h, w)."""

    def bound(self, c: Tensor, noise: Tensor) -> Tensor:
        """Return log p(c); the noise (B, 0, C, h, w) is empty."""
        return self.log_pmf(c)

    def log_weight(self, c: Tensor, noise: Tensor) -> Tensor:
        """Return log p(c), which is its own weight."""
        return self.log_pmf(c)

    def estimate(self, c: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return log p(c), which has one term."""
        return self.log_pmf(c)


def standard_normal(
    shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Draw normals in the type and on the device of a tensor, where the generator must be.

    Raises:
        ValueError: if the first axis, the number of draws, is not positive.
    """
    if shape[0] < 1:
        raise ValueError(f"n is {shape[0]}; draw at least one context")
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
