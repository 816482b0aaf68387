"""Running sums behind the statistics of units, in double precision, and what is added to them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.evaluation.statistics import without_each


@dataclass(frozen=True, eq=False)
class UnitBatch:
    """A few images: nats (B, layers), kl (B, cells' units), and over draws mean and variance of μ.

    The last two have all units, (B, units).
    """

    nats: Tensor
    kl: Tensor
    mean: Tensor
    within: Tensor


class RunningMoments:
    """Mean and variance over the first axis of what is added, by sums in double precision."""

    def __init__(self) -> None:
        self.count = 0
        self._sum, self._squares = torch.zeros(2, 1, dtype=torch.float64).unbind()

    def add(self, values: Tensor) -> None:
        """Take in values (n, …)."""
        self.count += len(values)
        self._sum = self._sum + values.sum(dim=0)
        self._squares = self._squares + values.square().sum(dim=0)

    @property
    def mean(self) -> Tensor:
        """The mean, (…)."""
        return self._sum / self.count

    @property
    def variance(self) -> Tensor:
        """The variance with n - 1; not a number for n = 1."""
        if self.count < 2:
            return torch.full_like(self._sum, math.nan)
        spread = self._squares - self._sum.square() / self.count
        return spread.clamp(min=0) / (self.count - 1)

    @property
    def error(self) -> Tensor:
        """The standard error of the mean."""
        return (self.variance / self.count).sqrt()


class VarianceSums:
    """The sums behind Â_u, for each group of images: N, Σ μ̄, Σ μ̄², Σ s²."""

    def __init__(self, units: int, groups: int, draws: int) -> None:
        self.draws = draws
        self.count = torch.zeros(groups, 1, dtype=torch.float64)
        self.mean, self.square, self.within = torch.zeros(
            3, groups, units, dtype=torch.float64
        ).unbind()

    def add(self, indices: range, batch: UnitBatch) -> None:
        """Take in a few images, by their indices in the set."""
        group = torch.tensor(indices) % len(self.count)
        self.count.index_add_(0, group, torch.ones(len(group), 1, dtype=torch.float64))
        self.mean.index_add_(0, group, batch.mean)
        self.square.index_add_(0, group, batch.mean.square())
        self.within.index_add_(0, group, batch.within)

    def variance(self) -> Tensor:
        """Return Â_u over all images, (units,)."""
        parts = (self.count, self.mean, self.square, self.within)
        return self._estimate(*(part.sum(dim=0) for part in parts))

    def left(self) -> Tensor:
        """Return Â_u without each group, (groups, units)."""
        parts = (self.count, self.mean, self.square, self.within)
        return self._estimate(*(without_each(part) for part in parts))

    def _estimate(self, n: Tensor, mean: Tensor, square: Tensor, within: Tensor) -> Tensor:
        between = square / n - (mean / n).square()
        return between - (1 - 1 / n) * (within / n) / self.draws
