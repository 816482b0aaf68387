"""Distributions narrowed to the class that a test knows."""

from __future__ import annotations

from mrvae.distributions import Distribution, Gaussian


def gaussian(distribution: Distribution | None) -> Gaussian:
    """Return a distribution that is a Gaussian."""
    assert isinstance(distribution, Gaussian)
    return distribution
