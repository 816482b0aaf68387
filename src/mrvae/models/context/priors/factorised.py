"""A factorised prior of a context: p(c) = Π_i N̄(c_i; μ_i, σ_i), Gaussians rounded to the codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.distributions import DiscretizedGaussian
from mrvae.models.context.priors.base import ExplicitPrior, Lattice, standard_normal


class FactorisedPrior(ExplicitPrior):
    """Independent codes, each a discretised Gaussian of a learnt mean and scale.

    Args:
        lattice: the context, or another lattice.

    Example:
        >>> from mrvae.distributions import Grid
        >>> from mrvae.models.context.priors.base import FixedLattice
        >>> prior = FactorisedPrior(FixedLattice((1, 1, 2), Grid.unit(3)))
        >>> prior.log_pmf(torch.tensor([[[[1, 1]]]]))
        tensor([-1.9198], grad_fn=<SumBackward1>)
        >>> prior.sample(2, torch.Generator().manual_seed(0)).shape
        torch.Size([2, 1, 1, 2])
    """

    def __init__(self, lattice: Lattice) -> None:
        super().__init__()
        self.lattice = lattice
        self.mean = nn.Parameter(torch.zeros(lattice.shape))
        self.log_scale = nn.Parameter(torch.zeros(lattice.shape))

    def distribution(self) -> DiscretizedGaussian:
        """Return the distribution of every code, of shape (C, h, w)."""
        return DiscretizedGaussian(self.mean, self.log_scale.exp(), self.lattice.grid)

    def log_pmf(self, c: Tensor) -> Tensor:
        """Return log p(c) in nats, of shape (B,), of codes (B, C, h, w)."""
        return self.distribution().log_prob(c).sum(dim=(1, 2, 3))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n contexts, int64 (n, C, h, w).

        Raises:
            ValueError: if n is not positive.
        """
        return self.distribution().sample(
            standard_normal((n, *self.lattice.shape), self.mean, generator)
        )
