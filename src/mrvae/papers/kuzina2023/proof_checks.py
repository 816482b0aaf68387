"""A property of random tables: a measure vanishes on all of them, and on none of the wrong twin.

The largest value over the tables must be zero. The twin lacks a hypothesis, and so has other
tables, or has another measure; the smallest value counts, so that it fails on every table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
Claim = tuple[str, Draw, Measure, str, Draw, Measure]
"""What vanishes: its name, tables and measure; then the wrong operator, its tables and measure."""


def of(measure: Callable[[Tensor], float]) -> Measure:
    """Return a measure of the joint table."""
    return lambda m, q: measure(m.joint)


def apart(one: Callable[[Tensor], float], other: Callable[[Tensor], float]) -> Measure:
    """Return how far two measures of the joint table are apart."""
    return lambda m, q: abs(one(m.joint) - other(m.joint))


def vanishing(about: str, tables: int, *claims: Claim) -> Iterator[Check]:
    """Check that the largest of a measure over random tables is zero.

    The smallest of the wrong twin over its tables counts, so that it fails on every one of them.
    """
    for check, draw, measure, operator, draw_wrong, wrong in claims:
        found = [measure(draw(stream(seed)), posterior(seed)) for seed in range(tables)]
        failed = [wrong(draw_wrong(stream(seed)), posterior(seed)) for seed in range(tables)]
        at = f"{tables} random tables"
        yield Check(about, check, at, max(found), ZERO, operator, min(failed))


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
