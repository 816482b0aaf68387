"""Theorem 5, checked at the top cell: how the process leaves its point, and its boundary term."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from mrvae.distributions import Gaussian
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.papers.checks import Check, Claim
from mrvae.papers.falck2022.euler import sampling_step
from mrvae.papers.falck2022.orders import slope
from mrvae.papers.falck2022.pointmass import (
    aggregate_kl,
    boundary,
    entry_states,
    first_posteriors,
)
from mrvae.recipes import recipe

_DRAWS, _STEPS = 4096, (1 / 8, 1 / 16, 1 / 32, 1 / 64)
_POSTERIORS, _UNTRAINED = 100, 4
_LEAVES = Claim(
    "theorem 5",
    "order in h of the variance of the state, one step of length h from the point",
    "noise h σ ε, not √h σ ε",
    right=1.0,
    within=0.02,
)
_BOUNDARY = Claim(
    *("theorem 5", "KL(q₀₁ ‖ q₀ p₁), Monte Carlo, is KL(q₁ ‖ p₁), quadrature, nats"),
    "a start that tells the images apart",
)
_TRAINING = Claim(
    *("theorem 5", "E KL(q(z₁ | x) ‖ p₁), nats: trained ≤ untrained"),
    "q₁ in place of q(z₁ | x), by quadrature",
    is_property=False,
)


@torch.no_grad()
def checks_of_start(model: HVAE, x: Tensor, name: str) -> Iterator[Check]:
    """Yield the checks of theorem 5 on the first state and the first latent.

    Args:
        model: a trained VDVAE in float64.
        x: uint8 images that it was not trained on.
        name: of the model's recipe, for untrained models.

    Source: Falck et al. 2022, theorem 5.

    Example:
        >>> import mrvae
        >>> x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
        >>> checks = list(checks_of_start(mrvae.load("digits-vdvae").double(), x, "digits-vdvae"))
        >>> [check.passes for check in checks if check.is_property]
        [True, True]
    """
    yield _leaving(model, name)
    yield _boundary()
    yield from _training(model, x, name)


def _leaving(model: HVAE, name: str) -> Check:
    """Return at which order in h the variance of the top state grows from zero."""
    orders = (slope(_variances(model, factor)) for factor in (lambda h: 1.0, math.sqrt))
    return _LEAVES.at(name, *orders)


def _variances(model: HVAE, factor: Callable[[float], float]) -> list[float]:
    """Return the variance after one step, for each length h, its noise multiplied by a factor."""
    cell = cast(VDVAECell, model.stages[0].visits[0])
    start = entry_states(model, _DRAWS)
    shape, generator = cell.prior(start)[0].mean.shape, torch.Generator().manual_seed(0)
    noise = torch.randn(shape, generator=generator, dtype=start.dtype)
    schemes = (replace(sampling_step(cell), h=h) for h in _STEPS)
    ends = (scheme.step(start, noise * factor(scheme.h)) for scheme in schemes)
    return [float(end.var(0).sum()) for end in ends]


def _boundary() -> Check:
    """Return KL(q_{0,1} ‖ q_0 p_1) against KL(q_1 ‖ p_1), within four standard errors."""
    generator = torch.Generator().manual_seed(2)
    mean, *noise = torch.randn(65, _POSTERIORS, 2, generator=generator, dtype=torch.float64)
    flat, knowing = torch.zeros_like(mean), torch.arange(_POSTERIORS)[:, None]
    posterior, prior = Gaussian(mean, flat - math.log(2)), Gaussian(flat, flat)
    starts = torch.zeros_like(knowing), knowing
    point, known = (boundary(posterior, prior, start, torch.stack(noise)) for start in starts)
    claim = replace(_BOUNDARY, within=4 * point.error)
    at = (
        f"posteriors N(m, ¼), m ~ N(0, 1); standard errors {point.error:.2g},"
        f" {known.error:.2g} with the wrong start"
    )
    return claim.at(at, point.boundary, known.boundary, aggregate_kl(posterior, prior, nodes=64))


def _training(model: HVAE, x: Tensor, name: str) -> Iterator[Check]:
    """Yield the boundary term after training against untrained models, paired over images."""
    trained, aggregate = _terms(model, x)
    for seed in range(_UNTRAINED):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            untrained = build(recipe(name)).double()
        before, wrong = _terms(untrained, x)
        change = trained - before
        error = float(change.std()) / math.sqrt(len(x))
        at = f"untrained seed {seed}; change {float(change.mean()):.3g} ± {error:.2g}"
        yield _TRAINING.at(at, float(trained.mean()), aggregate, float(before.mean()), wrong)


def _terms(model: HVAE, x: Tensor) -> tuple[Tensor, float]:
    """Return KL(q(z_1 | x) ‖ p_1) of each image, of shape (N,), and KL(q_1 ‖ p_1)."""
    posterior, prior = first_posteriors(model, x)
    return posterior.kl(prior).flatten(1).sum(1), aggregate_kl(posterior, prior, nodes=8)


def training_finding(checks: Sequence[Check]) -> Iterator[str]:
    """Yield whether training lowered the boundary term, if it was measured."""
    found = [check for check in checks if check.check == _TRAINING.check]
    if found:
        lowered = sum(check.holds for check in found)
        changes = ", ".join(check.at.replace("; change", "") for check in found)
        yield (
            f"training lowers E KL(q(z₁ | x) ‖ p₁) against {lowered} of {len(found)} untrained"
            f" models, in nats over the same test images, ± one standard error: {changes}"
        )
