"""How much noise a diffusion adds at each of its steps, and what follows from that.

The forward chain is y_t = √α_t y_{t-1} + √β_t ε_t with α_t = 1 - β_t, t = 1 … T. With
ᾱ_t = α_1 … α_t, ᾱ_0 = 1 (Kuzina & Tomczak 2023, equations 11 and 12; Ho et al. 2020),

    q(y_t | y_0)          = N(√ᾱ_t y_0, 1 - ᾱ_t),
    q(y_{t-1} | y_t, y_0) = N(A_t y_0 + B_t y_t, β̃_t),

    A_t = √ᾱ_{t-1} β_t/(1 - ᾱ_t),   B_t = √α_t (1 - ᾱ_{t-1})/(1 - ᾱ_t),
    β̃_t = β_t (1 - ᾱ_{t-1})/(1 - ᾱ_t).

A schedule is the tuple of the β_t. The product in the paper begins at t = 0, which has no β.
"""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mrvae.resolution.product import cached_matrix


@dataclass(frozen=True)
class LinearSchedule:
    """β from ``first`` to ``last`` in equal steps.

    Raises:
        ValueError: if there is no step, or a β is not between 0 and 1.

    Source: Ho et al. 2020.

    Example:
        >>> LinearSchedule(steps=3, first=0.1, last=0.3).betas
        (0.1, 0.2, 0.3)
    """

    steps: int
    first: float
    last: float

    def __post_init__(self) -> None:
        _check_steps(self.steps)
        if not (0 < self.first < 1 and 0 < self.last < 1):
            raise ValueError(f"β goes from {self.first} to {self.last}; both must be in (0, 1)")

    @classmethod
    def scaled(cls, steps: int) -> LinearSchedule:
        """Return the released schedule: β from 1/T to 20/T, and to 2/T for T of 20 or fewer.

        That is ten times as much noise at the first step as the 10⁻⁴ … 0.02 of Ho et al. (2020),
        scaled from 1000 steps to T, would have.

        Raises:
            ValueError: if there is no step, or too few for a β below 1.

        Example:
            >>> LinearSchedule.scaled(7)
            LinearSchedule(steps=7, first=0.14285714285714285, last=0.2857142857142857)
            >>> LinearSchedule.scaled(40)
            LinearSchedule(steps=40, first=0.025, last=0.5)

        Source: Kuzina & Tomczak 2023, the released code.
        """
        _check_steps(steps)
        return cls(steps, 1 / steps, (2 if steps <= 20 else 20) / steps)

    @property
    def betas(self) -> tuple[float, ...]:
        """β_1 … β_T."""
        slope = (self.last - self.first) / max(self.steps - 1, 1)
        inner = [self.first + slope * t for t in range(1, self.steps - 1)]
        return (self.first, *inner, self.last)[: self.steps]


@dataclass(frozen=True)
class CosineSchedule:
    """ᾱ_t = cos²(½π (t/T + s)/(1 + s)) over its value at 0, no β being above ``largest``.

    Raises:
        ValueError: if there is no step, the offset s is negative, or ``largest`` is not in (0, 1).

    Source: Nichol & Dhariwal 2021, equation 17.

    Example:
        >>> betas = CosineSchedule(steps=40).betas
        >>> round(betas[0], 4), betas[-1]
        (0.0025, 0.999)
    """

    steps: int
    offset: float = 0.008
    largest: float = 0.999

    def __post_init__(self) -> None:
        _check_steps(self.steps)
        if self.offset < 0 or not 0 < self.largest < 1:
            raise ValueError(
                f"offset is {self.offset} and largest {self.largest}; expected an offset of 0 or"
                " more, and a largest β in (0, 1)"
            )

    @property
    def betas(self) -> tuple[float, ...]:
        """β_1 … β_T."""
        angles = [
            math.pi / 2 * (t / self.steps + self.offset) / (1 + self.offset)
            for t in range(self.steps + 1)
        ]
        signal = [math.cos(angle) ** 2 for angle in angles]
        return tuple(
            min(1 - after / before, self.largest) for before, after in itertools.pairwise(signal)
        )


Schedule = LinearSchedule | CosineSchedule


class StepCoefficients(NamedTuple):
    """The numbers of the chain at given steps, each of shape (B, 1, 1, 1).

    Attributes:
        alpha_t: √ᾱ_t, the scale of the signal.
        sigma_t: √(1 - ᾱ_t), the scale of the noise.
        start: A_t.
        state: B_t.
        log_variance: log β̃_t; at t = 1, where β̃ is zero, log β_1.
    """

    alpha_t: Tensor
    sigma_t: Tensor
    start: Tensor
    state: Tensor
    log_variance: Tensor


@dataclass(frozen=True)
class Chain:
    """The forward chain of a schedule.

    Args:
        betas: β_1 … β_T.

    Attributes:
        alphas_bar: ᾱ_1 … ᾱ_T.
        coefficients: of every step, in the order of :class:`StepCoefficients`.

    Example:
        >>> chain = Chain(LinearSchedule.scaled(7).betas)
        >>> round(chain.alphas_bar[-1], 4)
        0.1825
        >>> chain.at(torch.tensor([1]), torch.zeros(1)).start.item()
        1.0
    """

    betas: tuple[float, ...]
    alphas_bar: tuple[float, ...] = field(init=False, repr=False, compare=False)
    coefficients: tuple[tuple[float, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Once and for all: a compiler would not see through the loops.
        keep = (1 - beta for beta in self.betas)
        alphas_bar = tuple(itertools.accumulate(keep, operator.mul))
        rows = map(_row, self.betas, (1.0, *alphas_bar), alphas_bar)
        object.__setattr__(self, "alphas_bar", alphas_bar)
        object.__setattr__(self, "coefficients", tuple(rows))

    def at(self, t: Tensor, like: Tensor) -> StepCoefficients:
        """Return the coefficients at steps t = 1 … T, int64 (B,), in the type of a tensor."""
        table = _table(self, like.dtype, like.device)
        return StepCoefficients(*table[:, t - 1].view(len(table), -1, 1, 1, 1).unbind(0))


def _row(beta: float, before: float, share: float) -> tuple[float, ...]:
    """Return the coefficients of one step from β_t, ᾱ_{t-1} and ᾱ_t."""
    gone, past = 1 - share, (1 - before) / (1 - share)
    start, state = math.sqrt(before) * beta / gone, math.sqrt(1 - beta) * past
    return (
        math.sqrt(share),
        math.sqrt(gone),
        start,
        state,
        math.log(beta * past if past else beta),
    )


@cached_matrix
def _table(chain: Chain, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the coefficients of all steps, of shape (5, T)."""
    return torch.tensor(chain.coefficients, dtype=dtype, device=device).T.contiguous()


def _check_steps(steps: int) -> None:
    """Refuse a chain without a step."""
    if steps < 1:
        raise ValueError(f"steps is {steps}; a diffusion has one step or more")
