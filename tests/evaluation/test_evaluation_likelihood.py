from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evaluation.deep import deep_model, digits
from evaluation.linear_gaussian import FRAME, Flatten, crude, pictures, problem
from mrvae.data import Images, normal
from mrvae.evaluation import LikelihoodReport, draws, evaluate
from mrvae.evaluation.memory import row_bytes
from mrvae.evaluation.statistics import standard_error
from mrvae.objectives import importance_bound

SEEDS = (0, 1, 2)
REPEATS = 2000


def repeated(seed: int) -> Images:
    """One image many times over: each place has noise of its own."""
    image = pictures(1, seed).pixels
    assert isinstance(image, Tensor)
    return Images(image.repeat(REPEATS, 1, 1, 1), "one", "test")


def errors(values: Tensor, exact: float) -> float:
    """By how many standard errors the mean of values lies above the exact one."""
    error = standard_error(values)
    assert error is not None
    return (float(values.mean()) - exact) / error


@pytest.mark.parametrize("seed", SEEDS)
def test_at_the_true_posterior_every_weight_is_the_evidence(seed: int) -> None:
    for samples in [1, 7]:
        exact, images = problem(seed), pictures(20, seed)
        x = images.take(torch.arange(20))
        evidence = exact.log_evidence(x)
        weights = exact.model().log_weights(x, samples)
        torch.testing.assert_close(weights, evidence.expand(samples, -1), rtol=0, atol=1e-10)
        report = evaluate(exact.model(), images, samples=samples)
        torch.testing.assert_close(-report.importance_nats, evidence, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_analytic_kl_inside_the_mean_is_no_bound(seed: int) -> None:
    """The estimator of published code exceeds log p(x) exactly where ours equals it."""
    exact, x = problem(seed), pictures(1, seed).take(torch.tensor([0]))
    model = exact.model()
    with torch.no_grad():
        many = x.repeat(5000, 1, 1, 1)
        noise = normal(0, 0, range(5000), 3).double()
        log_likelihood, kl = model.terms(model.observe(many), many, noise)
    published = importance_bound((log_likelihood - kl.sum(dim=1))[:, None])
    evidence = exact.log_evidence(x)
    assert float(published - evidence) > 0.05
    ours = evaluate(model, Images(x, "one", "test"), samples=5000)
    torch.testing.assert_close(-ours.importance_nats, evidence, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_bounds_stand_in_their_order_below_the_evidence(seed: int) -> None:
    """ELBO < IW_3 < IW_30 ≤ log p(x) in expectation, and IW_1 is the ELBO."""
    rough, images = crude(problem(seed)), repeated(seed)
    x = images.take(torch.tensor([0]))
    evidence, elbo = float(rough.log_evidence(x)), float(rough.elbo(x))
    model = rough.model()
    one, few, many = (evaluate(model, images, samples=k) for k in (1, 3, 30))
    assert abs(errors(one.nats, -elbo)) < 4
    assert abs(errors(one.importance_nats, -elbo)) < 4
    assert errors(one.nats - few.importance_nats, 0) > 4
    assert errors(few.importance_nats - many.importance_nats, 0) > 4
    assert errors(many.importance_nats, -evidence) > -4


@pytest.mark.parametrize("seed", SEEDS)
def test_many_samples_reach_the_evidence(seed: int) -> None:
    rough, images = crude(problem(seed)), pictures(3, seed)
    report = evaluate(rough.model(), images, samples=8000)
    evidence = rough.log_evidence(images.take(torch.arange(3)))
    assert float((rough.elbo(images.take(torch.arange(3))) - evidence).max()) < -0.1
    torch.testing.assert_close(-report.importance_nats, evidence, rtol=0, atol=0.05)


@pytest.mark.parametrize("samples", [1, 5])
def test_every_image_is_scored_once_by_noise_of_its_own(samples: int) -> None:
    """Whatever the chunks: each image gives what it gives alone, from noise (seed, k, index)."""
    for rows in [1, 3, 7, 64]:
        model, images, seed = crude(problem()).model(), pictures(11), 3
        report = evaluate(model, images, samples=samples, seed=seed, memory=rows * row_bytes(model))
        assert len(report.nats) == len(report.importance_nats) == len(report.kl) == 11
        for index in range(11):
            x = images.take(torch.tensor([index]))
            noise = torch.stack(
                [normal(seed, k, [index], 3, dtype=torch.float64) for k in range(samples + 1)]
            )
            with torch.no_grad():
                elbo = model.elbo(x, noise[0])
                bound = importance_bound(model.log_weights(x, samples, noise[1:]))
            torch.testing.assert_close(report.nats[index : index + 1], elbo.nats)
            torch.testing.assert_close(report.kl[index : index + 1], elbo.kl)
            torch.testing.assert_close(-report.importance_nats[index : index + 1], bound)


def test_memory_changes_nothing_but_the_work_for_a_deep_model() -> None:
    model, images = deep_model(), digits(7)
    whole = evaluate(model, images, samples=5)
    for rows in (1, 2, 5, 16):
        cut = evaluate(model, images, samples=5, memory=rows * row_bytes(model))
        torch.testing.assert_close(cut.nats, whole.nats, rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(cut.importance_nats, whole.importance_nats, rtol=1e-5, atol=1e-3)
        torch.testing.assert_close(cut.kl, whole.kl, rtol=1e-4, atol=1e-3)


def test_an_image_is_encoded_once_however_many_samples() -> None:
    seen = []
    for samples in (1, 40):
        model, encoder = crude(problem()).model(), Flatten()
        model.encoder = encoder
        memory = 4 * row_bytes(model)
        encoder.seen = 0
        evaluate(model, pictures(10), samples=samples, memory=memory)
        seen.append(encoder.seen)
    # One more image stands in for all when memory is estimated.
    assert seen == [11, 11]


def test_progress_adds_up_to_all_draws() -> None:
    model, conditioning = crude(problem()).model(), list[int]()
    evaluate(
        model, pictures(11), samples=6, memory=4 * row_bytes(model), progress=conditioning.append
    )
    assert sum(conditioning) == draws(11, 6) == 77
    assert len(conditioning) > 6


def test_another_seed_draws_other_latents() -> None:
    model, images = crude(problem()).model(), pictures(4)
    first, other = (evaluate(model, images, samples=2, seed=seed) for seed in (0, 1))
    assert (first.nats - other.nats).abs().min() > 1e-6
    assert (first.importance_nats - other.importance_nats).abs().min() > 1e-6


def test_the_summary_averages_images_and_knows_its_units() -> None:
    nats = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    kl = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 4.0]], dtype=torch.float64)
    summary = LikelihoodReport(nats, nats / 2, kl, samples=9, dims=FRAME.dims).summary()
    assert summary["images"] == 3
    assert summary["importance_samples"] == 9
    assert summary["kl"] == [1.0, 2.0]
    assert summary["nats"] == 3.0
    assert summary["nats_se"] == pytest.approx(math.sqrt(7.0 / 3.0))
    assert summary["importance_nats_se"] == pytest.approx(math.sqrt(7.0 / 3.0) / 2)
    assert summary["bits_per_dim"] == pytest.approx(3.0 / math.log(2.0) / 4)
    assert summary["importance_bits_per_dim"] == pytest.approx(1.5 / math.log(2.0) / 4)


def test_one_image_has_no_standard_error() -> None:
    report = evaluate(crude(problem()).model(), pictures(1), samples=2)
    assert report.summary()["nats_se"] is None
    assert report.summary()["importance_nats_se"] is None


@pytest.mark.parametrize("samples", [0, -3])
def test_fewer_than_one_sample_is_refused(samples: int) -> None:
    with pytest.raises(ValueError, match=f"samples is {samples}"):
        evaluate(problem().model(), pictures(2), samples=samples)


def test_no_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="memory is 0"):
        evaluate(problem().model(), pictures(2), samples=1, memory=0)


def test_images_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        evaluate(problem().model(), digits(2), samples=1)
