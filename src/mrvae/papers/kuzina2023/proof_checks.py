"""A property of random tables: a measure vanishes on all of them, and on none of the wrong twin.

The largest value over the tables must be zero. The twin lacks a hypothesis, and so has other
tables, or has another measure; the smallest value counts, so that it fails on every table.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mrvae.papers.checks import Check
from mrvae.papers.kuzina2023.proof_tables import Hierarchy, any_posterior

# Sums of a few hundred terms of float64.
ZERO = 1e-12
# What is called different from zero, in nats.
SOME = 0.01

Draw = Callable[[torch.Generator], Hierarchy]
Measure = Callable[[Hierarchy, Tensor], float]


def vanishes(
    about: str,
    check: str,
    tables: int,
    draw: Draw,
    measure: Measure,
    operator: str,
    draw_wrong: Draw | None = None,
    wrong: Measure | None = None,
) -> Check:
    """Check that the largest of a measure over random tables is zero.

    The wrong twin has other tables, or another measure. Its smallest over the tables counts, so
    that it fails on every one of them.
    """
    found = [measure(draw(stream(seed)), posterior(seed)) for seed in range(tables)]
    other, twin = draw_wrong or draw, wrong or measure
    failed = [twin(other(stream(seed)), posterior(seed)) for seed in range(tables)]
    return Check(about, check, f"{tables} random tables", max(found), ZERO, operator, min(failed))


def above(about: str, check: str, value: float, operator: str, wrong: float) -> Check:
    """Check that a number of nats is not zero."""
    return Check(about, check, "one table", SOME, value, operator, SOME, wrong)


def largest(one: Tensor, other: Tensor) -> float:
    """Return the largest distance of two tensors."""
    return float((one - other).abs().max())


def stream(seed: int) -> torch.Generator:
    """Return the random numbers of a table."""
    return torch.Generator().manual_seed(seed)


def posterior(seed: int) -> Tensor:
    """Return q(z | x) of a table."""
    return any_posterior(stream(1_000_000 + seed))
