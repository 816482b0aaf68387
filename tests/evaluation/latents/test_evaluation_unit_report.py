"""Properties of the active units: closed forms of a linear hierarchy, and a transcription."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec import structs
from torch import Tensor

import mrvae
from evaluation.deep import deep_model, digits, gaussian
from evaluation.linear_gaussian import Conditionals, Problem, crude, pictures, problem, standardised
from mrvae.data import Images, normal
from mrvae.evaluation import layer_nats, unit_report
from mrvae.evaluation.latents.unit_report import UnitReport
from mrvae.evaluation.memory import row_bytes
from mrvae.models import HVAE
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.recipes import wavelet

COPIES = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def everything(images: Images) -> Tensor:
    return images.tensor()


def factors(images: Images, inside: list[list[float]], outside: list[float]) -> Problem:
    """A posterior whose unit l reads outside[l] standard deviations of the first pixel."""
    first = standardised(everything(images))[:, 0]
    weights = torch.zeros(3, 4, dtype=torch.float64)
    weights[:, 0] = torch.tensor(outside, dtype=torch.float64) / first.std(correction=0)
    scale, offset = torch.ones(3, dtype=torch.float64), torch.full((3,), 5.0, dtype=torch.float64)
    above = torch.tensor(inside, dtype=torch.float64)
    return replace(problem(), posterior=Conditionals(above, weights, offset, scale))


def exact_kl(model: Problem, images: Images) -> Tensor:
    """Return E KL(q(z_u | z_<u, x) ‖ p(z_u | z_<u)) of every unit, over images and parents."""
    u = standardised(everything(images))
    p, q = model.prior, model.posterior
    z = q.joint(u)
    apart = q.inside - p.inside
    mean = z.mean @ apart.T + u @ q.outside.T + q.offset - p.offset
    variance = torch.diag(apart @ z.covariance_matrix[0] @ apart.T)
    square = mean.square().mean(dim=0) + variance
    return (p.scale / q.scale).log() + (q.scale**2 + square) / (2 * p.scale**2) - 0.5


# --------------------------------------------------------------------------------- closed forms


def test_the_nats_of_a_unit_are_those_of_the_closed_form() -> None:
    model, images = crude(problem(3)), pictures(20)
    expected, draws = exact_kl(model, images), 150
    report = unit_report(model.model(), images, draws=draws)
    one = unit_report(model.model(), images, draws=1, seed=1)
    # The spread over single draws bounds that over parents.
    error = one.kl_se / math.sqrt(draws)
    assert ((report.kl - expected).abs() < 5 * error + 1e-12).all()
    assert report.kl[0] == pytest.approx(float(expected[0]), rel=1e-12)
    assert not torch.allclose(expected, exact_kl(problem(3), images), rtol=0.05)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_nats_of_all_units_are_those_of_the_bound(seed: int) -> None:
    """Layer by layer, on the same noise, and to the last digits of double precision."""
    model, images = deep_model().double(), digits(9)
    report = unit_report(model, images, seed=seed)
    each = torch.split(report.kl, [math.prod(shape) for shape in model.shapes])
    expected = layer_nats(model, images, seed=seed)
    assert [float(part.sum()) for part in each] == pytest.approx(expected, rel=1e-11)
    assert [layer.nats for layer in report.layers] == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("family", [wavelet.LaplaceSpec(), wavelet.LogisticSpec()])
def test_units_below_priors_that_are_no_gaussians_are_those_of_the_bound(
    family: wavelet.Family,
) -> None:
    """Also where the KL has no closed form, and is estimated at the z that the bound draws."""
    recipe = mrvae.recipe("digits-wavelet")
    assert isinstance(recipe.model, wavelet.WaveletVAE)
    prior = wavelet.Independent(family)
    changed = structs.replace(recipe, model=structs.replace(recipe.model, prior=prior))
    model = mrvae.build(changed).double()
    report, expected = unit_report(model, digits(5)), layer_nats(model, digits(5))
    each = torch.split(report.kl, [math.prod(shape) for shape in model.shapes])
    assert [float(part.sum()) for part in each] == pytest.approx(expected, rel=1e-11)


def test_a_unit_that_copies_a_noisy_parent_is_active_for_the_naive_count_alone() -> None:
    images = pictures(300)
    model = factors(images, COPIES, [0.0, 0.0, 0.0]).model()
    naive, fair = unit_report(model, images, draws=1), unit_report(model, images, draws=20)
    assert [layer.active for layer in naive.layers] == [0, 1, 1]
    assert [layer.active for layer in fair.layers] == [0, 0, 0]


def test_units_that_know_of_the_image_through_their_parents_are_active() -> None:
    images = pictures(300)
    chain = [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.0]]
    report = unit_report(factors(images, chain, [0.6, 0.0, 0.0]).model(), images, draws=20)
    assert [layer.active for layer in report.layers] == [1, 1, 0]
    assert report.whole.surely_active == 2
    assert report.whole.share == pytest.approx(2 / 3)


def test_the_estimate_of_a_variance_is_unbiased_from_two_draws_on() -> None:
    """Over few images, where the factor 1 - 1/N shows."""
    images, seeds = pictures(2), 250
    model = factors(images, COPIES, [0.3, 0.0, 0.5])
    means = model.posterior.joint(standardised(everything(images))).mean
    expected = means.var(dim=0, correction=0)
    hvae = model.model()
    found = torch.stack([unit_report(hvae, images, draws=2, seed=s).variance for s in range(seeds)])
    error = found.std(dim=0) / math.sqrt(seeds)
    assert ((found.mean(dim=0) - expected).abs() < 3.5 * error + 1e-12).all()
    naive = torch.stack([unit_report(hvae, images, seed=s).variance for s in range(seeds)])
    parents = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    bias = 0.5 * parents
    assert (error < bias / 8 + 1e-12).all()
    spread = naive.std(dim=0) / math.sqrt(seeds)
    assert ((naive.mean(dim=0) - expected - bias).abs() < 3.5 * spread + 1e-12).all()


def test_the_standard_error_of_a_variance_is_that_of_theory() -> None:
    """Of a uniform pixel, whose kurtosis is 9/5, √(N) times the error is √(4/5) of the variance."""
    images = pictures(2000, seed=4)
    report = unit_report(factors(images, COPIES, [1.0, 0.0, 0.0]).model(), images)
    assert float(report.variance[0]) == pytest.approx(1.0)
    assert float(report.variance_se[0]) == pytest.approx(math.sqrt(0.8 / 2000), rel=0.4)


# ---------------------------------------------------------------------- a literal transcription


def literal(model: HVAE, images: Images, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """Return kl (N, units) and the posterior's means (draws, N, units) of the cells."""
    x, count = everything(images), len(images)
    kl, means = [], []
    for draw in range(draws):
        noise = normal(0, draw, range(count), model.noise_size, x.device, torch.float64)
        steps = model.trace(model.observe(x), from_posterior(), noise).steps
        pairs = [(step.posterior, step.prior) for step in steps if step.posterior is not None]
        kl.append(torch.cat([q.kl(gaussian(p)).flatten(1) for q, p in pairs], dim=1).numpy())
        means.append(torch.cat([q.mean.flatten(1) for q, _ in pairs], dim=1).numpy())
    return np.mean(kl, axis=0), np.stack(means)


def spread(means: np.ndarray) -> np.ndarray:
    """Return the mean covariance of two different draws, corrected for their common mean."""
    draws, count, _ = means.shape
    between = means.mean(axis=0).var(axis=0)
    within = means.var(axis=0, ddof=1).mean(axis=0) if draws > 1 else 0.0
    return np.asarray(between - (count - 1) / count * within / draws)


def jackknife(values: np.ndarray) -> np.ndarray:
    count = len(values)
    return np.asarray((count - 1) / math.sqrt(count) * values.std(axis=0, ddof=1))


@pytest.mark.parametrize("draws", [1, 3])
def test_a_report_is_what_its_definition_says(draws: int) -> None:
    model, images = deep_model().double(), digits(23)
    with torch.no_grad():
        kl, means = literal(model, images, draws)
    report = unit_report(model, images, draws=draws, memory=10 * row_bytes(model))
    assert report.kl.numpy() == pytest.approx(kl.mean(axis=0), rel=1e-10)
    assert report.kl_se.numpy() == pytest.approx(kl.std(axis=0, ddof=1) / math.sqrt(23), rel=1e-8)
    assert report.variance.numpy() == pytest.approx(spread(means), rel=1e-8, abs=1e-10)
    groups = [np.arange(23) % 20 != group for group in range(20)]
    left = np.stack([spread(means[:, kept]) for kept in groups])
    assert report.variance_se.numpy() == pytest.approx(jackknife(left), rel=1e-6, abs=1e-10)
    active = (left > 0.01).sum(axis=1)
    assert report.whole.active == int((spread(means) > 0.01).sum())
    assert report.whole.active_se == pytest.approx(float(jackknife(active[:, None])[0]))
    assert 0 < report.whole.surely_active < report.whole.active < report.whole.units


def test_chunks_change_nothing() -> None:
    for rows in [1, 7, 64]:
        model, images = deep_model().double(), digits(7)
        one = unit_report(model, images, draws=2)
        other = unit_report(model, images, draws=2, memory=2 * rows * row_bytes(model))
        for name in ("nats", "kl", "kl_se", "variance", "variance_se"):
            assert torch.allclose(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-12)


# -------------------------------------------------------------------------- contexts, and totals


def with_context() -> tuple[HVAE, Images]:
    images = digits(40)
    torch.manual_seed(0)
    model = mrvae.build(mrvae.recipe("digits-dct")).double().eval()
    model.context.fit(everything(images))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model, images


def test_the_units_of_a_context_are_counted_by_their_values() -> None:
    model, images = with_context()
    report = unit_report(model, images, draws=2)
    (values,) = model.context.values(model.context.encode(everything(images)))
    units = values.flatten(start_dim=1)
    expected = units.double().var(dim=0, correction=0)
    count = units.shape[1]
    assert report.contexts == 1
    assert torch.allclose(report.variance[:count], expected, rtol=1e-10, atol=1e-14)
    whole, below = report.whole, report.without_context
    assert whole.units - below.units == count == report.layers[0].units
    assert whole.active - below.active == int((expected > 0.01).sum()) > 0
    assert len(report.kl) == below.units
    assert whole.nats == pytest.approx(below.nats + report.layers[0].nats)
    assert float(report.kl.sum()) == pytest.approx(below.nats)
    kl = torch.tensor(layer_nats(model, images), dtype=torch.float64)
    again = unit_report(model, images)
    assert [layer.nats for layer in again.layers] == pytest.approx(kl.tolist(), rel=1e-10)


def test_one_image_has_no_errors_and_a_summary_without_nan() -> None:
    report = unit_report(deep_model(), digits(1))
    assert report.whole.active == report.whole.surely_active == 0
    assert report.whole.active_se is None
    assert report.whole.nats_se is None
    assert not any(isinstance(v, float) and math.isnan(v) for v in report.summary().values())


def test_the_cdf_is_that_of_the_units() -> None:
    report: UnitReport = unit_report(deep_model(), digits(5))
    kl = np.sort(report.kl.numpy())
    levels = [0.0, 0.1, 0.5, 1.0]
    assert report.quantiles(levels) == pytest.approx(np.quantile(kl, levels).tolist())
    for nats in (kl[0], kl[len(kl) // 3], 2 * kl[-1]):
        assert report.share_below(float(nats)) == np.searchsorted(kl, nats) / len(kl)


def test_no_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="draws is 0"):
        unit_report(deep_model(), digits(1), draws=0)
