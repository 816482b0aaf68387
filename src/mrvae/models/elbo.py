"""The evidence lower bound, term by term.

    log p(x) ≥ log p(x | z) - Σ_l KL(q(z_l | z_<l, x) ‖ p(z_l | z_<l)),   z ~ q,

in nats, summed over each image. One function turns nats into bits per dimension, and nothing else
divides by a number of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from mrvae.layers import preserve_memory_format


@dataclass(frozen=True)
class Elbo:
    """The terms of the bound for each image of a batch, in nats.

    Attributes:
        log_likelihood: log p(x | z), shape (B,).
        kl: one column for each stochastic layer, coarse to fine, shape (B, layers).

    Example:
        >>> import torch
        >>> elbo = Elbo(torch.tensor([-3.0]), torch.tensor([[0.5, 0.25]]))
        >>> elbo.value
        tensor([-3.7500])
    """

    log_likelihood: Tensor
    kl: Tensor

    @property
    def value(self) -> Tensor:
        """The bound itself, shape (B,); it is at most log p(x) in expectation."""
        return self.log_likelihood - self.kl.sum(dim=1)

    @property
    def nats(self) -> Tensor:
        """-ELBO, shape (B,); lower is better."""
        return -self.value


def bits_per_dim(nats: float, dims: int) -> float:
    """Return nats / (dims · ln 2).

    ``nats`` is a sum over ``dims`` values of one image, or its mean over images. The mean over
    images is taken first: dividing sums keeps images of equal weight, whatever the batches were.

    Example:
        >>> bits_per_dim(8 * math.log(2.0), dims=4)
        2.0
    """
    return nats / (dims * math.log(2.0))


def sum_per_image(elementwise: Tensor) -> Tensor:
    """Sum all but the first axis: (B, …) → (B,).

    Example:
        >>> import torch
        >>> sum_per_image(torch.ones(2, 3, 4, 4))
        tensor([48., 48.])
    """
    axes = tuple(range(1, elementwise.dim()))
    return preserve_memory_format(elementwise).sum(dim=axes) if axes else elementwise
