"""Small diffusions of which log p(c) is known, and quadrature over their noise."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from mrvae.distributions import Grid
from mrvae.models.context.priors.base import FixedLattice
from mrvae.models.context.priors.diffusion import (
    DiffusionPrior,
    Prediction,
    PredictMean,
    PredictNoise,
    PredictStart,
)
from mrvae.models.context.priors.schedule import Chain, CosineSchedule, LinearSchedule, Schedule

SCHEDULES: dict[str, Schedule] = {
    "one": LinearSchedule(1, 0.5, 0.5),
    "linear": LinearSchedule.scaled(7),
    "cosine": CosineSchedule(12),
}
PREDICTIONS: tuple[Prediction, ...] = (PredictMean(), PredictStart(), PredictNoise())


class UnitGaussian(nn.Module):
    """The exact reverse step of standard normal values, in the terms of a prediction.

    All y_t are then standard normal, y_{t-1} given y_t is Normal(√(1 - β_t) y_t, β_t), and the
    bound has no gap: its mean is log Normal(y_0; 0, 1), up to the width of a bin.
    """

    def __init__(self, chain: Chain, prediction: Prediction) -> None:
        super().__init__()
        self.chain, self.prediction = chain, prediction

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        at = self.chain.at(t, y)
        beta = torch.tensor(self.chain.betas, dtype=y.dtype)[t - 1].view(-1, 1, 1, 1)
        log_ratio = (beta.log() - at.log_variance).expand_as(y)
        match self.prediction:
            case PredictMean():
                return torch.cat(((1 - beta).sqrt() * y, beta.log().expand_as(y)), dim=1)
            case PredictStart():
                return torch.cat((at.alpha_t * y, log_ratio), dim=1)
            case PredictNoise():
                return torch.cat((at.sigma_t * y, log_ratio), dim=1)


def unit_gaussian(schedule: Schedule, prediction: Prediction, spacing: float) -> DiffusionPrior:
    """Return the diffusion that has no gap, over two values on [-8, 8]."""
    count = round(16 / spacing) + 1
    lattice = FixedLattice((1, 1, 2), Grid(count, -8.0, spacing))
    network = UnitGaussian(Chain(schedule.betas), prediction)
    return DiffusionPrior(lattice, network, schedule, prediction)


class Mixing(nn.Module):
    """A smooth network in which two values and the time depend on one another."""

    def __init__(self) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(5)
        self.first = nn.Parameter(torch.randn(8, 3, generator=g, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(4, 8, generator=g, dtype=torch.float64) / 2)

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        inputs = torch.cat((y.flatten(1), t.to(y.dtype)[:, None] / 2), dim=1)
        return torch.tanh(torch.tanh(inputs @ self.first.T) @ self.second.T).view(-1, 2, 1, 2)


def mixing(prediction: Prediction) -> DiffusionPrior:
    """Return a diffusion of two steps over two values of four codes each."""
    lattice = FixedLattice((1, 1, 2), Grid.unit(4))
    return DiffusionPrior(lattice, Mixing(), LinearSchedule(2, 0.7, 0.8), prediction)


STATES = torch.tensor(list(itertools.product(range(4), repeat=2))).view(16, 1, 1, 2)


def nodes(count: int, dims: int) -> tuple[Tensor, Tensor]:
    """Return the nodes (count^dims, dims) and weights of the standard normal's quadrature."""
    place, weight = np.polynomial.hermite_e.hermegauss(count)
    places = torch.cartesian_prod(*[torch.as_tensor(place)] * dims).view(-1, dims)
    weights = torch.cartesian_prod(*[torch.as_tensor(weight)] * dims).view(-1, dims)
    return places, weights.prod(1) / weights.prod(1).sum()


def true_pmf(prior: DiffusionPrior, count: int = 20) -> Tensor:
    """Return p(c) of all states of :func:`mixing`, the two steps integrated by quadrature."""
    eps, weight = nodes(count, 2)
    y2 = eps.view(-1, 1, 1, 2)
    middle = prior._reverse(y2, torch.full((len(y2),), 2))
    y1 = torch.cat([middle.sample(each) for each in y2])
    weights = torch.cat([weight * each for each in weight])
    pmf = prior._rounded(prior._reverse(y1, torch.ones(len(y1), dtype=torch.int64))).pmf()
    first, second = pmf.view(-1, 2, 4).unbind(1)
    return torch.einsum("n,ni,nj->ij", weights, first, second).flatten()
