r"""Two gradient ascents inside a ball: the published one, and a stronger one.

An attacker has an image u on [0, 1] and looks for the ũ that maximises an objective f within

    |ũ - u| ≤ r,    0 ≤ ũ ≤ 1    at every pixel,

a box, onto which one projects by clamping. Both begin at a start u + 0.2·noise, clamped to the box,
and are deterministic:

    plain   ũ ← Π(ũ + η ∇f), with η = 1 halved whenever f has not grown for 20 steps: 50 steps of
            gradient ascent as Kuzina et al. (2022) run it in their released code. Where f is flat
            it hardly moves, and where f is steep it jumps from corner to corner.
    sign    100 steps in two parts, of which the first chooses a corner and the second climbs.

A divergence between the posteriors of ũ and u is about convex near u, and has many maxima, in most
corners where it is steep. Signs lead into the nearest of them, since they weigh all pixels equally,
and so noisy a start is near a corner already. So the first quarter of the steps
begins near the middle m of the box, at m + 0.1·(start - m), and follows the slope itself,

    ũ ← Π(ũ + 0.2 r ∇f / max |∇f|),

which turns towards the direction in which f curves most, as the power method does. The rest is
Auto-PGD (Croce & Hein 2020, algorithm 1): projected ascent along the sign (Madry et al. 2018) with
momentum, and with adaptive step sizes,

    z = Π(ũ_t + a sign ∇f),    ũ_{t+1} = Π(ũ_t + ¾(z - ũ_t) + ¼(ũ_t - ũ_{t-1})).

At first a = 2r, the width of the ball, so that every step but for the momentum ends in the corner
where the linear part of f is largest. At a few marks, which grow denser with time, a is halved
if in less than three quarters of the steps since the last one f has grown, or if neither a nor the
best of all points has changed since; and the climb goes on from this best point. It is the answer.

Neither part depends on the scale of f: f and 2⁻²⁰ f have the same path.

The rows of a batch are independent: each has its own η and its own best point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mrvae.evaluation.robustness.box import Box
from mrvae.evaluation.robustness.step_size import PlateauRate, StepSize, marks

Objective = Callable[[Tensor], Tensor]
# The slope begins at this part of the way from the middle to the start, with steps of a part of r.
_CLOSE, _TURN = 0.1, 0.2


class Ascent(Protocol):
    """A gradient ascent from a start in a box to a point in it where f is larger."""

    def climb(self, objective: Objective, start: Tensor, box: Box) -> Tensor:
        """Return the point reached, of the shape of ``start``; f maps (B, …) to (B,)."""
        ...


@dataclass(frozen=True)
class PlainGradient:
    """Gradient ascent at a rate that is halved on a plateau; it returns the last point.

    Args:
        steps: number of gradients.
        rate: η at first.
        patience: steps without growth after which the rate is multiplied by ``factor``.
        factor: below 1.

    Source: Kuzina, Welling & Tomczak 2022, as the released code sets it.

    Example:
        >>> u = torch.full((1, 1, 1, 1), 0.5)
        >>> box = Box.around(u, radius=0.25)
        >>> PlainGradient(steps=2).climb(lambda v: v.flatten(), u, box).item()
        0.75
    """

    steps: int = 50
    rate: float = 1.0
    patience: int = 20
    factor: float = 0.5

    def climb(self, objective: Objective, start: Tensor, box: Box) -> Tensor:
        """Return the last point."""
        u = start
        plateau = PlateauRate.begin(len(u), self.rate, u)
        for _ in range(self.steps):
            value, slope = _gradient(objective, u)
            u = box.project(u + _per_row(plateau.rate, u) * slope)
            plateau = plateau.after(value, self.patience, self.factor)
        return u


@dataclass(frozen=True)
class SignGradient:
    """Projected ascent along the sign of the gradient; it returns the best point on its path.

    Args:
        steps: number of gradients.
        lead: part of them that follow the slope; 0 gives Auto-PGD from the given start.
        share: weight of a new step along the sign; the rest is the momentum of the step before.
        success: part of the steps between two marks at which f has to grow.

    Source: Croce & Hein 2020, algorithm 1, with their numbers, except that a row that returns to
    its best point begins without momentum; the steps along the slope are ours.

    Example:
        >>> u = torch.full((1, 1, 1, 1), 0.5)
        >>> box = Box.around(u, radius=0.25)
        >>> SignGradient().climb(lambda v: (v - 0.4).square().flatten(), u, box).item()
        0.75
    """

    steps: int = 100
    lead: float = 0.25
    share: float = 0.75
    success: float = 0.75

    def climb(self, objective: Objective, start: Tensor, box: Box) -> Tensor:
        """Return the best point along the sign, the first and the last one included."""
        count = int(self.lead * self.steps)
        first = _along_slope(objective, start, box, count) if count else start
        return self._along_sign(objective, first, box, self.steps - count)

    def _along_sign(self, objective: Objective, start: Tensor, box: Box, steps: int) -> Tensor:
        here = best = _AscentPoint.at(objective, start)
        before = here.u
        size = StepSize.begin(best.value, 2 * box.radius)
        last, judged = 0, marks(steps)
        for step in range(1, steps):
            u = self._moved(here, before, size.length, box, first=step == 1)
            before, now = here.u, _AscentPoint.at(objective, u)
            size = size.after(now.value > here.value)
            here, best = now, best.replaced(now.value > best.value, now)
            if step in judged:
                size, halved = size.after_mark(self.success * (step - last), best.value)
                last = step
                here = here.replaced(halved, best)
                before = torch.where(_per_row(halved, before), best.u, before)
        u = self._moved(here, before, size.length, box, first=steps == 1)
        with torch.no_grad():
            higher = objective(u).double() > best.value
        return torch.where(_per_row(higher, u), u, best.u)

    def _moved(
        self, here: _AscentPoint, before: Tensor, length: Tensor, box: Box, *, first: bool
    ) -> Tensor:
        """Return the next point."""
        u = here.u
        to = box.project(u + _per_row(length.to(u.dtype), u) * here.slope.sign())
        share = 1.0 if first else self.share
        return box.project(u + share * (to - u) + (1 - share) * (u - before))


@dataclass(frozen=True, eq=False)
class _AscentPoint:
    """A point in each row, with f (B,) in double precision and its gradient."""

    u: Tensor
    value: Tensor
    slope: Tensor

    @classmethod
    def at(cls, objective: Objective, u: Tensor) -> _AscentPoint:
        value, slope = _gradient(objective, u)
        return cls(u, value.double(), slope)

    def replaced(self, rows: Tensor, new: _AscentPoint) -> _AscentPoint:
        """Return these points, and the new ones in some rows (B,)."""
        wide = _per_row(rows, self.u)
        return _AscentPoint(
            torch.where(wide, new.u, self.u),
            torch.where(rows, new.value, self.value),
            torch.where(wide, new.slope, self.slope),
        )


def _gradient(objective: Objective, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return f (B,) and its gradient in u, of the shape of u."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        value = objective(u)
        (slope,) = torch.autograd.grad(value.sum(), u)
    return value.detach(), slope


def _along_slope(objective: Objective, start: Tensor, box: Box, steps: int) -> Tensor:
    """Return the end of an ascent along the slope from near the middle, in steps of 0.2 r."""
    middle = (box.low + box.high) / 2
    u = box.project(middle + _CLOSE * (start - middle))
    for _ in range(steps):
        _, slope = _gradient(objective, u)
        largest = slope.abs().flatten(1).amax(dim=1).clamp(min=torch.finfo(slope.dtype).tiny)
        u = box.project(u + _TURN * box.radius * slope / _per_row(largest, u))
    return u


def _per_row(values: Tensor, like: Tensor) -> Tensor:
    """Give one value a row the axes of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))
