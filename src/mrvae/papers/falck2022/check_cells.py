"""Theorems 4 and 5, checked on a trained VDVAE: its Euler form and its growth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.data import load as load_images
from mrvae.models import HVAE
from mrvae.models.build.weights import load
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.papers.checks import Check, Claim
from mrvae.papers.falck2022.check_start import checks_of_start
from mrvae.papers.falck2022.euler import TwoStep, euler_steps, inference_step, sampling_step
from mrvae.papers.falck2022.orders import slope
from mrvae.papers.falck2022.pointmass import state_norms
from mrvae.papers.falck2022.transport import energy
from mrvae.resolution import Bridge, Ladder, coarser_noise

MODEL = "digits-vdvae"
_EXACT = 1e-11
_FINEST = 32
_ORDER = Claim(
    "theorem 4",
    "order at which the scheme and Bridge(μ₁ + μ₂, σ) approach each other",
    "μ₂ left out",
    right=1.0,
    within=0.2,
)
_HALF_STEP = Claim(
    *("theorem 5", "energy that the half step adds, over E‖σ ε‖²", "σ switched off"),
    right=1.0,
    within=1e-6,
)
_GROWTH = Claim(
    *("theorem 5, figure 6", "‖Z‖ without σ ≤ ‖Z‖ with it, samples"),
    "μ₂ left out, on the right",
    is_property=False,
)


@dataclass(frozen=True)
class Visit:
    """One cell of a hierarchy, with a state that it finds there and a feature of the images."""

    name: str
    cell: VDVAECell
    state: Tensor
    features: Tensor
    noise: Tensor


@torch.no_grad()
def checks_of_cells(images: int) -> Iterator[Check]:
    """Yield the checks of theorems 4 and 5 on the model that ships with the package.

    Args:
        images: how many are encoded and sampled.

    Source: Falck et al. 2022, theorems 4 and 5.

    Example:
        >>> next(checks_of_cells(images=2)).passes
        True
    """
    model = load(MODEL).double()
    x = load_images("digits", "test").take(torch.arange(images))
    for visit in visits(model, x):
        yield from _euler_form(visit)
        yield _splitting(visit)
        yield _half_step(visit)
    yield from checks_of_start(model, x, MODEL)
    yield from _growth(model, images)


@torch.no_grad()
def visits(model: HVAE, x: Tensor) -> list[Visit]:
    """Return every cell of a VDVAE with the states that it receives in sampling.

    Args:
        model: a VDVAE in float64.
        x: uint8 images, for the features and the number of states.
    """
    steps = euler_steps(model, _noise(model, len(x)))
    sides: Counter[int] = Counter()
    found = []
    for (cell, before, noise, _), features in zip(steps, model.features(x), strict=True):
        side = before.shape[-1]
        found.append(Visit(f"{side}×{side}, cell {sides[side]}", cell, before, features, noise))
        sides[side] += 1
    return found


def _euler_form(visit: Visit) -> Iterator[Check]:
    """Yield the equality of cell and scheme, from the prior and from the posterior."""
    cell, h, noise = visit.cell, visit.state, visit.noise
    prior, moved = cell.prior(h)
    posterior = cell.posterior(h, visit.features)
    for name, gaussian, scheme in (
        ("sampling", prior, sampling_step(cell)),
        ("inference", posterior, inference_step(cell, visit.features)),
    ):
        expected = cell.advance(moved, gaussian.sample(noise))
        half = scheme.half(h, noise)
        errors = (scheme.step(h, noise) - expected, half + scheme.second(h) - expected)
        check = f"two Euler steps are the cell, {name}: largest difference"
        claim = Claim("theorem 4", check, "μ₂ at Z and not at Z₊", _EXACT)
        yield claim.at(visit.name, *(float(error.abs().max()) for error in errors))


def _splitting(visit: Visit) -> Check:
    """Return at which order the two steps tend to the bridge of the same, homogeneous equation."""
    scheme = sampling_step(visit.cell)
    one = replace(scheme, second=torch.zeros_like)
    orders = (slope(_distances(each, scheme, visit)) for each in (scheme, one))
    return _ORDER.at(visit.name, *orders)


def _distances(scheme: TwoStep, equation: TwoStep, visit: Visit) -> list[float]:
    """Return the distances at time 1 along equal paths, in 8, 16 and 32 steps."""
    h = visit.state[:2]
    bridge = Bridge(Ladder(base=1, depth=0), (0.0, 1.0), (equation.stage(),))
    shape = (_FINEST, len(h), *visit.noise.shape[1:])
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=h.dtype)
    found = []
    for factor in (4, 2, 1):
        rough, z = coarser_noise(noise, factor), h
        small = replace(scheme, h=1 / len(rough))
        for xi in rough:
            z = small.step(z, xi)
        found.append(float((z - bridge.end(h, [rough])).square().mean().sqrt()))
    return found


def _half_step(visit: Visit) -> Check:
    """Return the energy that the half step adds, E‖Z₊‖² - ‖Z + μ₁‖², over E‖σ ε‖²."""
    scheme, h = sampling_step(visit.cell), visit.state
    prior, weight = visit.cell.prior(h)[0], visit.cell.project.weight
    variances = functional.conv2d(torch.exp(2 * prior.log_scale), weight.square())
    expected = float(variances.mean((-2, -1)).sum(1).mean())
    gains = (_gained(each, visit) / expected for each in (scheme, scheme.without_noise()))
    return _HALF_STEP.at(visit.name, *gains)


def _gained(scheme: TwoStep, visit: Visit) -> float:
    """Return E‖Z₊(ε)‖² - ‖Z₊(0)‖², exactly.

    W acts on each pixel by itself. So the expectation is a sum over the channels of ε, each once
    with 1 and once with -1 on all pixels and 0 elsewhere, by which the mixed terms vanish.
    """
    still, total = torch.zeros_like(visit.noise), torch.zeros(())
    before = energy(scheme.half(visit.state, still), dims=2)
    for channel in range(still.shape[1]):
        unit = still.clone()
        unit[:, channel] = 1
        both = [energy(scheme.half(visit.state, sign * unit), dims=2) for sign in (1, -1)]
        total = total + (torch.stack(both).mean(0) - before).mean()
    return float(total)


def _growth(model: HVAE, images: int) -> Iterator[Check]:
    """Yield the norms of the states with the σ half step, on the right, and without it."""
    noise = _noise(model, images)
    norms, without, backwards = (
        [_root_mean_square(part) for part in state_norms(model, noise, change)]
        for change in (None, TwoStep.without_noise, _without_drift)
    )
    for index, norm in enumerate(norms):
        still = without[index]
        yield _GROWTH.at(f"after cell {index}", still, still, norm, backwards[index])


def _without_drift(scheme: TwoStep) -> TwoStep:
    return replace(scheme, second=torch.zeros_like)


def _root_mean_square(norms: Tensor) -> float:
    return float(norms.square().mean().sqrt())


def _noise(model: HVAE, images: int) -> Tensor:
    return model.noise(images, torch.Generator().manual_seed(0))
