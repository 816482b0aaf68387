"""What training minimises: the bound, or a surrogate with another gradient.

The value that a model reports is always its bound. A training objective that is no bound replaces
the gradient only: with V a term of the bound and R the surrogate in its place,

    V' = stop(V) + (R - stop(R)),        stop(a) being a without its gradient,

has the value V and the gradient of R. So a run is logged, validated and compared in one unit,
whatever it minimises. The surrogates are those of Kiruluta (2025):
:mod:`mrvae.models.wavelet.surrogate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from mrvae.models.trace import Trace


class Objective(Protocol):
    """What training minimises."""

    def surrogate_terms(
        self, x: Tensor, trace: Trace, log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the bound's terms, (B,) and (B, layers), with the gradient that is followed.

        Args:
            x: uint8 images.
            trace: of the walk.
            log_likelihood: log p(x | z).
            kl: a column for each layer.
        """
        ...


@dataclass(frozen=True)
class BoundObjective:
    """-ELBO, with its own gradient."""

    def surrogate_terms(
        self, x: Tensor, trace: Trace, log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the terms unchanged."""
        return log_likelihood, kl


def with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    """Return the value of one tensor with the gradient of another."""
    return value.detach() + (surrogate - surrogate.detach())
