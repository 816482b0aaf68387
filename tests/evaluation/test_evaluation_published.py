"""The published estimator: each defect against a closed form, and what the valid bound does there.

These are the tests that would have caught them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from msgspec import structs
from scipy import stats
from torch import Tensor, nn

import mrvae
from evaluation.one_level import OneLevel, copies
from mrvae.data import Images, images_for, normal
from mrvae.distributions import DiscretizedGaussian, Grid, MidRise, MidTread
from mrvae.evaluation import KUZINA2023, Defects, LikelihoodReport, evaluate
from mrvae.evaluation.memory import row_bytes
from mrvae.evaluation.published import AVERAGED, wide_log_mass
from mrvae.evaluation.statistics import standard_error
from mrvae.models import (
    HVAE,
    DiffusionPrior,
    LinearSchedule,
    PooledContext,
    PredictStart,
    parse_levels,
)
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.recipes import override
from mrvae.recipes.context import Context, DCTSpec, DiffusionSpec, FactorisedSpec
from mrvae.recipes.context import MidRiseSpec as MidRiseLevels

NONE = Defects()
ALONE = [replace(NONE, **{name: True}) for name in ("averaged", "open_end", "wide_bins")]
SHAPE = ("encoder=8x1,8d2,4x1", "decoder=4x1,8m4,8x1", "width=8", "latent=2", "bottleneck=0.5")
SCHEDULE = LinearSchedule.scaled(7)


def digits(count: int = 3) -> Images:
    return images_for(mrvae.recipe("digits-vdvae"), "test").subset(torch.arange(count))


@cache
def with_context(context: Context | None) -> HVAE:
    """A small model whose every weight is random, in float64."""
    recipe = override(mrvae.recipe("digits-vdvae"), SHAPE)
    if context is not None:
        recipe = structs.replace(recipe, model=structs.replace(recipe.hierarchy, context=context))
    torch.manual_seed(1)
    model = mrvae.build(recipe).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.15)
    model.context.fit(images_for(recipe, "train").take(torch.arange(300)))
    return model.eval()


DIFFUSED = DCTSpec(3, MidRiseLevels(2), DiffusionSpec(unet_width=16, unet_blocks=1))
EXPLICIT = DCTSpec(3, MidRiseLevels(2), FactorisedSpec())


def estimated(model: HVAE, *estimators: Defects, seed: int = 0) -> tuple[LikelihoodReport, Tensor]:
    report = evaluate(model, digits(), samples=3, seed=seed, estimators=estimators)
    return report, torch.stack(report.estimates)


# ---------------------------------------------------------------------------------------- D1


# How often the one image is there, for each K.
COPIES = {1: 2000, 2: 1000, 1000: 60}


@cache
def one_level(samples: int) -> LikelihoodReport:
    model, images = OneLevel(0.1).model(), copies(1.0, COPIES[samples])
    return evaluate(model, images, samples=samples, estimators=(NONE, Defects(analytic=True)))


@pytest.mark.parametrize("samples", COPIES)
def test_at_the_true_posterior_the_valid_bound_is_the_evidence(samples: int) -> None:
    evidence = OneLevel(0.1).log_evidence(1.0)
    assert evidence == pytest.approx(-1.4211, abs=5e-5)
    report = one_level(samples)
    exact = torch.full((COPIES[samples],), -evidence, dtype=torch.float64)
    torch.testing.assert_close(report.importance_nats, exact, rtol=0, atol=1e-12)
    torch.testing.assert_close(report.estimates[0], exact, rtol=0, atol=1e-12)


def test_the_published_one_exceeds_the_evidence_as_its_samples_grow() -> None:
    """Its mean is the ELBO for one sample, which is the evidence; then it leaves it behind."""
    exact = OneLevel(0.1)
    means, errors = zip(*map(moments, map(one_level, COPIES)), strict=True)
    assert abs(means[0] - exact.log_evidence(1.0)) < 4 * errors[0]
    assert means[0] + 3 * errors[0] < means[1]
    assert means[1] + 3 * errors[1] < means[2]
    assert exact.published(1.0) == pytest.approx(-1.2700, abs=5e-4)
    assert means[2] == pytest.approx(exact.published(1.0), abs=4 * errors[2] + 1e-3)


def moments(report: LikelihoodReport) -> tuple[float, float]:
    error = standard_error(report.estimates[1])
    assert error is not None
    return -float(report.estimates[1].mean()), error


# ------------------------------------------------------------------------------------- D2 to D4


def values(model: HVAE, count: int) -> tuple[ContextConditioner, Tensor, list[Tensor]]:
    """The conditioner, the codes, and the noise of each of the first values of their bound."""
    conditioner = model.context
    assert isinstance(conditioner, ContextConditioner)
    start, size = model.latent_noise_size, conditioner.noise_size
    first = normal(0, 0, range(3), model.noise_size, dtype=torch.float64)[:, start:]
    more = [normal(0, (1 << 32) + k, range(3), size, dtype=torch.float64) for k in range(1, count)]
    return conditioner, conditioner.transform.encode(digits().take(torch.arange(3))), [first, *more]


@torch.no_grad()
def test_each_defect_is_what_it_is_called() -> None:
    model = with_context(DIFFUSED)
    report, (valid, averaged, open_end, wide, both) = estimated(
        model, NONE, *ALONE, Defects(averaged=True, open_end=True)
    )
    conditioner, c, noise = values(model, AVERAGED)
    torch.testing.assert_close(valid, report.importance_nats, rtol=1e-12, atol=0)
    bounds = torch.stack([-conditioner.nats((c,), each, None)[:, 0] for each in noise])
    torch.testing.assert_close(valid - averaged, lifted(bounds), rtol=1e-9, atol=1e-9)
    prior: object = conditioner.prior
    assert isinstance(prior, DiffusionPrior)
    end = prior.end(c, torch.float64)
    torch.testing.assert_close(valid - open_end, end, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(valid - both, lifted(bounds) + end, rtol=1e-9, atol=1e-9)
    assert (wide < valid).all()


def lifted(bounds: Tensor) -> Tensor:
    return bounds.logsumexp(0) - math.log(len(bounds)) - bounds[0]


def test_the_nats_of_an_open_end_are_those_of_the_codes() -> None:
    """T = 7, linear: 0.0152 nats for a code at ±1/4 and 0.0608 for one at ±3/4."""
    _, (valid, open_end) = estimated(with_context(DIFFUSED), NONE, ALONE[1])
    _, c, _ = values(with_context(DIFFUSED), 1)
    outer = ((c == 0) | (c == 3)).flatten(1).sum(1)
    expected = 0.0608 * outer + 0.0152 * (9 - outer)
    torch.testing.assert_close(valid - open_end, expected.double(), rtol=0, atol=9 * 5e-5)


@pytest.mark.parametrize(("scale", "total"), [(1.0, 1.18), (0.3, 1.33), (0.02, 2.0)])
def test_wide_bins_have_more_than_all_mass(scale: float, total: float) -> None:
    grid, level = MidRise(2).grid(torch.ones(())), torch.arange(4)
    mean = torch.zeros(4, dtype=torch.float64)
    masses = wide_log_mass(mean, mean + scale, level, grid).exp()
    assert masses.sum().item() == pytest.approx(total, abs=0.005)
    value = grid.value(level, torch.float64)
    lower, upper = value - 1 / 3, value + 1 / 3
    lower[0], upper[3] = -math.inf, math.inf
    expected = stats.norm.cdf(upper, 0, scale) - stats.norm.cdf(lower, 0, scale)
    torch.testing.assert_close(masses, torch.as_tensor(expected), rtol=1e-9, atol=1e-12)
    touching = DiscretizedGaussian(mean, mean + scale, grid).log_prob(level)
    assert touching.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_wide_bins_are_no_wider_where_both_ends_are_values() -> None:
    for grid in [
        Grid.unit(5),
        Grid.unit(2),
        Grid.unit(1),
        MidTread(0.5).grid(torch.tensor([0.1, 0.6, 2.0])),
    ]:
        mean = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].expand(9, 3)
        scale = torch.full_like(mean, 0.4)
        for number in range(grid.most):
            level = torch.minimum(torch.full((9, 3), number), grid.last(torch.zeros(9, 3)).long())
            expected = DiscretizedGaussian(mean, scale, grid).log_prob(level)
            found = wide_log_mass(mean, scale, level, grid)
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("context", [None, EXPLICIT], ids=["none", "explicit"])
def test_without_a_diffusion_only_the_first_defect_is_one(context: Context | None) -> None:
    report, (valid, *same, analytic, everything) = estimated(
        with_context(context), NONE, *ALONE, Defects(analytic=True), KUZINA2023
    )
    torch.testing.assert_close(valid, report.importance_nats, rtol=1e-12, atol=0)
    assert all(torch.equal(each, valid) for each in same)
    assert torch.equal(everything, analytic)
    assert (analytic - valid).abs().min() > 1e-3


def test_estimates_move_no_bound_and_depend_on_no_chunk() -> None:
    model, few = with_context(DIFFUSED), digits()
    every = [Defects(*on) for on in itertools.product((False, True), repeat=4)]
    alone = evaluate(model, few, samples=3)
    whole = evaluate(model, few, samples=3, estimators=every)
    for name in ("nats", "importance_nats", "kl"):
        assert torch.equal(getattr(alone, name), getattr(whole, name))
    assert alone.estimates == ()
    memory = 2 * row_bytes(model)
    cut = evaluate(model, few, samples=3, memory=memory, estimators=every, context_samples=4)
    torch.testing.assert_close(torch.stack(cut.estimates), torch.stack(whole.estimates))
    trajectories = evaluate(model, few, samples=3, context_samples=4)
    torch.testing.assert_close(cut.importance_nats, trajectories.importance_nats)


# -------------------------------------------------------------------------------- trajectories


class Tilted(nn.Module):
    """A network over one value: its guess of y_0, and a variance that is not the chain's."""

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        slope = 0.5 + 0.1 * t.to(y.dtype).view(-1, 1, 1, 1)
        return torch.cat((torch.tanh(slope * y + 0.3), 0 * y + 1.2), dim=1)


@cache
def one_value() -> HVAE:
    """A model whose context is one value of four codes, under a diffusion of two steps."""
    base = with_context(DIFFUSED)
    context = PooledContext((1, 8, 8), 8, MidRise(2), bins=17)
    prior = DiffusionPrior(context, Tilted(), LinearSchedule(2, 0.6, 0.8), PredictStart())
    assert isinstance(base.context, ContextConditioner)
    levels = parse_levels("8x1,8d2,4x1", "4x1,8m4,8x1", [8], [2])
    conditioner = ContextConditioner(
        prior, levels, base.frame, base.context.ladder, everywhere=False
    ).double()
    conditioner.fit(images_for(mrvae.recipe("digits-vdvae"), "train").take(torch.arange(300)))
    return HVAE(base.encoder, base.decoder, base.head, base.frame, conditioner)


def exact_log_pmf(prior: DiffusionPrior) -> Tensor:
    """log p(c) of the four codes, both steps summed over a fine grid."""
    line = torch.linspace(-9, 9, 1201, dtype=torch.float64)
    column = line.view(-1, 1, 1, 1)
    two, one = (prior._reverse(column, torch.full((1201,), t)) for t in (2, 1))
    spread = stats.norm.pdf(line.numpy(), two.mean.flatten()[:, None].numpy(),
                            two.log_scale.exp().flatten()[:, None].numpy())  # fmt: skip
    mass = torch.as_tensor(stats.norm.pdf(line.numpy())) @ torch.as_tensor(spread)
    pmf = prior._rounded(one).pmf().view(-1, 4)
    return (mass @ pmf * (line[1] - line[0]) ** 2).log()


@torch.no_grad()
def test_trajectories_tighten_the_contexts_bound_towards_its_probability() -> None:
    """log p(c) by brute force ≥ the bound of J trajectories, J = 1 being the bound in the mean."""
    model, image = one_value(), digits(1).pixels
    assert isinstance(image, Tensor)
    assert isinstance(model.context, ContextConditioner)
    prior: object = model.context.prior
    assert isinstance(prior, DiffusionPrior)
    log_pmf = exact_log_pmf(prior)
    assert log_pmf.exp().sum().item() == pytest.approx(1, abs=1e-9)
    truth = float(log_pmf[int(model.context.encode(image)[0])])
    many = Images(image.repeat(400, 1, 1, 1), "one", "test")
    plain = evaluate(model, many, samples=1)
    # The latents have the same draws whatever J is.
    latents = plain.importance_nats - plain.kl[:, 0]
    found = [plain.kl[:, 0]]
    for count in (1, 4, 64):
        report = evaluate(model, many, samples=1, context_samples=count)
        assert torch.equal(report.nats, plain.nats)
        found.append(report.importance_nats - latents)
    (sum_mean, sum_error), (mean_1, error_1), (mean_4, error_4), (mean_64, error_64) = (
        (float(each.mean()), float(each.std()) / 20) for each in found
    )
    assert mean_1 == pytest.approx(sum_mean, abs=4 * math.hypot(sum_error, error_1))
    assert mean_1 - 3 * error_1 > mean_4
    assert mean_4 - 3 * error_4 > mean_64
    assert mean_64 > -truth - 4 * error_64
    assert mean_64 == pytest.approx(-truth, abs=0.01 + 4 * error_64)
