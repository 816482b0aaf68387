"""Laws as what a test knows them to be."""

from __future__ import annotations

from mrvae.distributions import Gaussian, Law


def gaussian(law: Law | None) -> Gaussian:
    """Return a law that is a Gaussian."""
    assert isinstance(law, Gaussian)
    return law
