"""The diffusion's bound: all its terms, against closed forms and against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import Tensor
from toy_diffusion import PREDICTIONS, SCHEDULES, STATES, mixing, nodes, true_pmf, unit_gaussian

from mrvae.distributions import Grid, MidRise, MidTread, Quantiser
from mrvae.layers import UNet
from mrvae.models.context.priors.base import FixedLattice
from mrvae.models.context.priors.diffusion import (
    DiffusionPrior,
    Prediction,
    PredictMean,
    PredictStart,
)
from mrvae.models.context.priors.schedule import Chain, CosineSchedule, LinearSchedule, Schedule
from mrvae.models.context.transforms import DCTContext

every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
every_prediction = pytest.mark.parametrize("prediction", PREDICTIONS, ids=str)
# Every schedule and every prediction: what a prediction reads are the schedule's coefficients.
every_kind = pytest.mark.parametrize(
    ("schedule", "prediction"), list(zip(SCHEDULES.values(), PREDICTIONS, strict=True)), ids=str
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64)


def mean_bound(prior: DiffusionPrior, c: Tensor, count: int = 20) -> Tensor:
    """Return the bound's mean over its noise, by quadrature.

    Each term has one noise of its own, so the terms may share their nodes.
    """
    eps, weight = nodes(count, 2)
    eps = eps.view(-1, 1, 1, 1, 2).expand(-1, prior.draws, -1, -1, -1)
    return weight @ prior.bound(c.expand(len(eps), -1, -1, -1), eps)


# ------------------------------------------------------------------------------------ the chain


@every_schedule
def test_the_chains_coefficients_are_gaussian_conditioning(schedule: Schedule) -> None:
    """Against p(y_{t-1}, y_t | y_0), conditioned by linear algebra."""
    chain, like = Chain(schedule.betas), torch.zeros((), dtype=torch.float64)
    mean, variance = 1.0, 0.0
    for t, beta in enumerate(schedule.betas, 1):
        keep = math.sqrt(1 - beta)
        next_mean, next_variance = keep * mean, keep**2 * variance + beta
        at = chain.at(torch.tensor([t]), like)
        state = keep * variance / next_variance
        assert at.alpha_t.item() == pytest.approx(next_mean, rel=1e-12)
        assert at.sigma_t.item() == pytest.approx(math.sqrt(next_variance), rel=1e-12)
        assert at.state.item() == pytest.approx(state, rel=1e-12)
        assert at.start.item() == pytest.approx(mean - state * next_mean, rel=1e-12)
        left = variance - state * keep * variance
        assert at.log_variance.item() == pytest.approx(math.log(left if t > 1 else beta), rel=1e-9)
        mean, variance = next_mean, next_variance


def test_schedules_are_the_published_ones() -> None:
    short = LinearSchedule.scaled(7)
    assert short.betas == pytest.approx([(1 + i / 6) / 7 for i in range(7)])
    assert Chain(short.betas).alphas_bar[-1] == pytest.approx(0.1825, abs=5e-5)
    for steps in (21, 40, 1000):
        first, *_, last = LinearSchedule.scaled(steps).betas
        assert (first, last) == pytest.approx((1 / steps, 20 / steps))
    cosine = Chain(CosineSchedule(40).betas).alphas_bar
    angles = [math.pi / 2 * (t / 40 + 0.008) / 1.008 for t in range(40)]
    shares = [math.cos(angle) ** 2 / math.cos(angles[0]) ** 2 for angle in angles]
    assert cosine[:-1] == pytest.approx(shares[1:])
    assert cosine[-1] < 1e-5


def test_impossible_schedules_are_refused() -> None:
    for steps in (0, -1):
        with pytest.raises(ValueError, match=f"steps is {steps}"):
            LinearSchedule.scaled(steps)
        with pytest.raises(ValueError, match=f"steps is {steps}"):
            CosineSchedule(steps)
    with pytest.raises(ValueError, match=r"from 0\.0 to 0\.5"):
        LinearSchedule(5, 0.0, 0.5)
    with pytest.raises(ValueError, match=r"from 0\.5 to 1\.0"):
        LinearSchedule(5, 0.5, 1.0)
    with pytest.raises(ValueError, match="offset is -1"):
        CosineSchedule(5, -1.0)


# ------------------------------------------------------------------------------------ the bound


@every_kind
def test_an_exact_way_back_leaves_no_gap(schedule: Schedule, prediction: Prediction) -> None:
    """The mean of the bound is log p(c), which is that of a Gaussian on a fine grid."""
    prior = unit_gaussian(schedule, prediction, spacing=1e-3)
    y = torch.tensor([[0.0, 0.0], [-1.3, 0.7], [2.5, -0.1]], dtype=torch.float64)
    expected = torch.as_tensor(stats.norm.logpdf(y)).sum(1) + 2 * math.log(1e-3)
    for row, value in zip(prior.lattice.grid.code(y), expected, strict=True):
        actual = mean_bound(prior, row.view(1, 1, 1, 2))
        torch.testing.assert_close(actual, value, rtol=0, atol=1e-5)


@every_prediction
def test_the_bound_is_below_the_truth_and_above_it_nothing(prediction: Prediction) -> None:
    """Two values of four levels: bound ≤ mean of the log of K mean weights ≤ log p, p by brute."""
    prior = mixing(prediction)
    with torch.no_grad():
        truth = true_pmf(prior)
        assert truth.sum().item() == pytest.approx(1, abs=1e-10)
        for state in (0, 6, 13):
            c, log_p = STATES[state : state + 1], truth[state].log().item()
            bound = mean_bound(prior, c).item()
            eps = noise(64 * 1000, 2, 1, 1, 2, seed=state)
            weights = prior.log_weight(c.expand(len(eps), -1, -1, -1), eps)
            tight = weights.view(64, 1000).logsumexp(0) - math.log(64)
            error = (weights.std() / 64_000**0.5).item(), (tight.std() / 1000**0.5).item()
            assert weights.mean().item() == pytest.approx(bound, abs=4 * error[0])
            assert bound + 10 * error[1] < tight.mean().item() < log_p + 4 * error[1]


def test_the_mean_weight_of_a_trajectory_is_the_probability() -> None:
    """For a way back whose tails are not much longer than those of the way there."""
    prior = mixing(PredictStart())
    with torch.no_grad():
        truth = true_pmf(prior)
        c = STATES.repeat(10_000, 1, 1, 1)
        weights = prior.log_weight(c, noise(len(c), 2, 1, 1, 2)).exp().view(-1, 16)
    error = weights.std(0) / 100
    assert (error < 0.1 * truth).all()
    assert ((weights.mean(0) - truth).abs() < 4 * error).all()


@every_kind
def test_a_trajectory_has_the_bound_in_the_mean(schedule: Schedule, prediction: Prediction) -> None:
    """Without a gap every trajectory's weight is log p itself, not only its mean."""
    prior = unit_gaussian(schedule, prediction, spacing=1e-3)
    c = prior.lattice.grid.code(torch.tensor([-1.3, 0.7])).view(1, 1, 1, 2).expand(50, -1, -1, -1)
    expected = mean_bound(prior, c[:1])
    weights = prior.log_weight(c, noise(50, prior.draws, 1, 1, 2))
    torch.testing.assert_close(weights, expected.expand(50), rtol=0, atol=1e-4)


@every_kind
def test_one_random_term_is_unbiased_for_all(schedule: Schedule, prediction: Prediction) -> None:
    """With the noise of each t fixed, the mean over all t of the estimate is the bound."""
    network = mixing(prediction).network
    prior = DiffusionPrior(FixedLattice((1, 1, 2), Grid.unit(4)), network, schedule, prediction)
    eps = noise(16, prior.draws, 1, 1, 2)
    every = [
        prior.estimate(STATES, torch.full((16,), t), eps[:, t - 1])
        for t in range(1, prior.draws + 1)
    ]
    torch.testing.assert_close(torch.stack(every).mean(0), prior.bound(STATES, eps))


def test_the_end_of_the_published_chain_is_not_nothing() -> None:
    """The nats that the released code leaves out, for a level at 1/4 and at 3/4."""
    lattice = FixedLattice((1, 1, 1), MidRise(2).grid(torch.ones(())))
    prior = DiffusionPrior(lattice, torch.nn.Identity(), LinearSchedule.scaled(7), PredictMean())
    ends = prior.end(torch.arange(4).view(4, 1, 1, 1), torch.float64)
    assert ends.tolist() == pytest.approx([0.0608, 0.0152, 0.0152, 0.0608], abs=5e-5)
    long = DiffusionPrior(lattice, torch.nn.Identity(), CosineSchedule(40), PredictMean())
    assert long.end(torch.arange(4).view(4, 1, 1, 1), torch.float64).max() < 1e-5


def test_the_bound_is_minus_the_sum_of_its_terms() -> None:
    prior = mixing(PredictStart())
    eps = noise(16, 2, 1, 1, 2)
    terms = prior.terms(STATES, eps)
    total = -terms.reconstruction - terms.steps.sum(1) - terms.end
    assert torch.equal(prior.bound(STATES, eps), total)
    assert min(t.min().item() for t in terms) > 0


# ---------------------------------------------------------------------------------- the samples


@every_prediction
def test_samples_have_the_probabilities(prediction: Prediction) -> None:
    prior = mixing(prediction)
    c = prior.sample(20_000, torch.Generator().manual_seed(3)).flatten(1)
    observed = torch.bincount(4 * c[:, 0] + c[:, 1], minlength=16)
    with torch.no_grad():
        expected = true_pmf(prior) * 20_000
    assert stats.chisquare(observed.numpy(), expected.numpy()).pvalue > 1e-3


def test_a_sample_is_a_function_of_its_own_noise() -> None:
    prior, eps = mixing(PredictMean()), noise(6, 3, 1, 1, 2)
    together = prior.sample_from(eps)
    assert torch.equal(together[2:3], prior.sample_from(eps[2:3]))
    first, again = (prior.sample(6, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)


# ----------------------------------------------------------------------------------- with a net


@pytest.mark.parametrize(
    ("prediction", "quantiser"),
    list(zip(PREDICTIONS, (MidRise(2), MidTread(0.7), MidRise(2)), strict=True)),
    ids=str,
)
def test_every_weight_of_a_unet_over_a_context_learns(
    prediction: Prediction, quantiser: Quantiser
) -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 256, (8, 1, 12, 12), generator=torch.Generator().manual_seed(0)).byte()
    context = DCTContext((1, 12, 12), 6, quantiser)
    context.fit(x)
    unet = UNet(size=6, channels=1, outputs=2, width=16, scales=2, blocks=1, groups=4)
    for weight in unet.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    prior = DiffusionPrior(context, unet, LinearSchedule.scaled(7), prediction)
    levels = context.encode(x)
    prior.bound(levels, noise(8, 7, 1, 6, 6).float()).sum().backward()  # type: ignore[no-untyped-call]
    for name, weight in prior.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name
    context.grid.check(prior.sample(3, torch.Generator().manual_seed(0)))


def test_noise_of_another_shape_is_refused() -> None:
    prior = mixing(PredictMean())
    for wrong in (noise(16, 3, 1, 1, 2), noise(16, 1, 1, 2)):
        for use in (prior.bound, prior.log_weight):
            with pytest.raises(ValueError, match=r"expected \(B, 2, 1, 1, 2\)"):
                use(STATES, wrong)
    with pytest.raises(ValueError, match="n is 0"):
        prior.sample(0)
