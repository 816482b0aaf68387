"""Step sizes of gradient ascent, one for each row of a batch, halved where the ascent stalls."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# torch.optim.lr_scheduler.ReduceLROnPlateau, as the released code calls it: its relative threshold.
_THRESHOLD = 1e-4


@dataclass(frozen=True, eq=False)
class StepSize:
    """The length of a step in each row, and its success since the last mark.

    Attributes:
        length: a, (B,).
        grown: number of steps at which f grew, (B,).
        halved: whether the length was halved at the last mark, (B,).
        record: the largest f until the last mark, float64 (B,).
    """

    length: Tensor
    grown: Tensor
    halved: Tensor
    record: Tensor

    @classmethod
    def begin(cls, value: Tensor, length: float) -> StepSize:
        """Return the state before the first step, where f is ``value``."""
        zero = torch.zeros_like(value)
        return cls(zero + length, zero, torch.ones_like(value, dtype=torch.bool), value)

    def after(self, grew: Tensor) -> StepSize:
        """Return the state after a step at which f grew, or did not, (B,)."""
        return replace(self, grown=self.grown + grew)

    def after_mark(self, least: float, record: Tensor) -> tuple[StepSize, Tensor]:
        """Return the state after a mark, and the rows (B,) whose length is halved.

        Args:
            least: number of steps at which f had to grow.
            record: the largest f so far, (B,).
        """
        idle = ~self.halved & (record <= self.record)
        halved = (self.grown < least) | idle
        length = torch.where(halved, self.length / 2, self.length)
        return StepSize(length, torch.zeros_like(self.grown), halved, record), halved


def marks(steps: int) -> frozenset[int]:
    """Return the steps after which the lengths are revised: ⌈p_j T⌉ of Croce & Hein 2020, eq. 2.

    Example:
        >>> sorted(marks(100))
        [22, 41, 57, 70, 80, 87, 93, 99]
    """
    percent, gap = 22, 22
    steps_of_marks = set()
    while percent < 100:
        steps_of_marks.add(-(-percent * steps // 100))
        gap = max(gap - 3, 6)
        percent += gap
    return frozenset(steps_of_marks)


@dataclass(frozen=True)
class PlateauRate:
    """A rate for each row, and the number of steps since its objective last grew.

    It is ReduceLROnPlateau of -f by its own rules: f has grown if it exceeds (1 - 10⁻⁴) times the
    best before, so that for a positive f a slight decrease still counts as growth.

    Attributes:
        rate: (B,).
        best: the objective to beat, float64 (B,).
        idle: steps without growth, (B,).
    """

    rate: Tensor
    best: Tensor
    idle: Tensor

    @classmethod
    def begin(cls, rows: int, rate: float, like: Tensor) -> PlateauRate:
        """Return the state before the first step."""
        best = torch.full((rows,), -math.inf, device=like.device, dtype=torch.float64)
        return cls(like.new_full((rows,), rate), best, torch.zeros_like(best))

    def after(self, value: Tensor, patience: int, factor: float) -> PlateauRate:
        """Return the state after a step with this objective, (B,)."""
        value = value.double()
        grown = value > self.best - _THRESHOLD * self.best.abs().nan_to_num(posinf=0)
        idle = torch.where(grown, torch.zeros_like(self.idle), self.idle + 1)
        exhausted = idle > patience
        return PlateauRate(
            torch.where(exhausted, self.rate * factor, self.rate),
            torch.where(grown, value, self.best),
            torch.where(exhausted, torch.zeros_like(idle), idle),
        )
