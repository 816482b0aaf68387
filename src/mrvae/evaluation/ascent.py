r"""Two ways to climb inside a ball: the published one, and one that reaches more.

An attacker holds an image u on [0, 1] and looks for the ũ that maximises an objective f within

    |ũ - u| ≤ r,    0 ≤ ũ ≤ 1    at every pixel,

a box, whose corners are known in closed form, and onto which one projects by cutting. Both ways
start at u + 0.2·noise, cut to the box, and are deterministic given the noise:

    plain   ũ ← Π(ũ + η ∇f), with η = 1 halved whenever f has not grown for 20 steps: 50 steps of
            gradient ascent as Kuzina et al. (2022) run it in their released code. Where f is flat
            it hardly moves, and where f is steep it jumps from corner to corner.
    sign    ũ ← Π(ũ + a_t sign ∇f), with a_t = ½r·½(1 + cos πt/T): 100 steps, so that every pixel
            may cross its interval several times and still comes to rest. Of all points on the way
            the best is the answer (projected gradient descent of Madry et al. 2018, with the best
            iterate, as every strong attack since keeps it).

The rows of a batch never look at each other: each has its own η and its own best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Objective = Callable[[Tensor], Tensor]
_START = 0.2
# torch.optim.lr_scheduler.ReduceLROnPlateau, as the released code calls it: its relative threshold.
_THRESHOLD = 1e-4


@dataclass(frozen=True)
class Box:
    """The images within ``radius`` of u, pixel by pixel, and within [0, 1].

    Rounding is inwards: no point of the box is farther than ``radius`` from u, in floating point.

    Args:
        low: the smallest value of every pixel.
        high: the largest.
        radius: largest distance from u.
    """

    low: Tensor
    high: Tensor
    radius: float

    @classmethod
    def around(cls, u: Tensor, radius: float) -> Box:
        """Return the box around images u on [0, 1].

        Raises:
            ValueError: if the radius is not in 0 … 1.

        Example:
            >>> box = Box.around(torch.tensor([0.0, 0.5]), radius=0.25)
            >>> box.low, box.high
            (tensor([0.0000, 0.2500]), tensor([0.2500, 0.7500]))
        """
        check_radius(radius)
        return cls(_end(u, -radius), _end(u, radius), radius)

    def project(self, u: Tensor) -> Tensor:
        """Return the nearest point of the box."""
        return torch.maximum(torch.minimum(u, self.high), self.low)

    def start(self, u: Tensor, noise: Tensor) -> Tensor:
        """Return u + 0.2·noise, cut to the box."""
        return self.project(u + _START * noise)


class Ascent(Protocol):
    """A way to climb: from a start in a box to a point in it where f is larger."""

    def climb(self, objective: Objective, start: Tensor, box: Box) -> Tensor:
        """Return the point reached, of the shape of ``start``; f maps (B, …) to (B,)."""
        ...


@dataclass(frozen=True)
class PlainGradient:
    """Gradient ascent at a rate that is halved on a plateau; its answer is the last point.

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
        plateau = Plateau.begin(len(u), self.rate, u)
        for _ in range(self.steps):
            value, slope = _gradient(objective, u)
            u = box.project(u + _per_row(plateau.rate, u) * slope)
            plateau = plateau.after(value, self.patience, self.factor)
        return u


@dataclass(frozen=True)
class SignGradient:
    """Projected ascent along the sign of the gradient; its answer is the best point on the way.

    Args:
        steps: number of gradients.
        share: of the radius, the length of the first step; later ones shrink to 0 as a cosine does.

    Source: Madry et al. 2018, section 4, with a schedule of ours.

    Example:
        >>> u = torch.full((1, 1, 1, 1), 0.5)
        >>> box = Box.around(u, radius=0.25)
        >>> SignGradient().climb(lambda v: (v - 0.4).square().flatten(), u, box).item()
        0.75
    """

    steps: int = 100
    share: float = 0.5

    def climb(self, objective: Objective, start: Tensor, box: Box) -> Tensor:
        """Return the best point, the start and the last one included."""
        u = best = start
        highest = torch.full((len(u),), -math.inf, device=u.device, dtype=torch.float64)
        for step in range(self.steps):
            value, slope = _gradient(objective, u)
            best, highest = _better(u, value, best, highest)
            length = self.share * box.radius * (1 + math.cos(math.pi * step / self.steps)) / 2
            u = box.project(u + length * slope.sign())
        with torch.no_grad():
            return _better(u, objective(u), best, highest)[0]


@dataclass(frozen=True)
class Plateau:
    """A rate for each row, and since when its objective has not grown.

    It is ReduceLROnPlateau of -f by its own rules: f has grown if it exceeds (1 - 10⁻⁴) times the
    best before, so that for a positive f a slight loss still counts as growth.

    Attributes:
        rate: (B,).
        best: the objective to beat, float64 (B,).
        idle: steps without growth, (B,).
    """

    rate: Tensor
    best: Tensor
    idle: Tensor

    @classmethod
    def begin(cls, rows: int, rate: float, like: Tensor) -> Plateau:
        """Return the state before the first step."""
        best = torch.full((rows,), -math.inf, device=like.device, dtype=torch.float64)
        return cls(like.new_full((rows,), rate), best, torch.zeros_like(best))

    def after(self, value: Tensor, patience: int, factor: float) -> Plateau:
        """Return the state after a step that found this objective, (B,)."""
        value = value.double()
        grown = value > self.best - _THRESHOLD * self.best.abs().nan_to_num(posinf=0)
        idle = torch.where(grown, torch.zeros_like(self.idle), self.idle + 1)
        tired = idle > patience
        return Plateau(
            torch.where(tired, self.rate * factor, self.rate),
            torch.where(grown, value, self.best),
            torch.where(tired, torch.zeros_like(idle), idle),
        )


def check_radius(radius: float) -> None:
    """Refuse a radius outside 0 … 1.

    Raises:
        ValueError: if it is one.
    """
    if not 0 <= radius <= 1:
        raise ValueError(f"radius is {radius}; images are on [0, 1], so give a number from 0 to 1")


def _end(u: Tensor, reach: float) -> Tensor:
    """Return u + reach on [0, 1], not a rounding error farther from u."""
    end = (u.double() + reach).clamp(0, 1).to(u.dtype)
    beyond = (end.double() - u.double()).abs() > abs(reach)
    return torch.where(beyond, torch.nextafter(end, u), end)


def _gradient(objective: Objective, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return f (B,) and its gradient in u, of the shape of u."""
    with torch.enable_grad():
        u = u.detach().requires_grad_()
        value = objective(u)
        (slope,) = torch.autograd.grad(value.sum(), u)
    return value.detach(), slope


def _better(u: Tensor, value: Tensor, best: Tensor, highest: Tensor) -> tuple[Tensor, Tensor]:
    """Keep the better of two points in each row, and its objective."""
    higher = value.double() > highest
    return (
        torch.where(_per_row(higher, u), u, best),
        torch.where(higher, value.double(), highest),
    )


def _per_row(values: Tensor, like: Tensor) -> Tensor:
    """Give one value a row the axes of ``like``."""
    return values.view(-1, *[1] * (like.dim() - 1))
