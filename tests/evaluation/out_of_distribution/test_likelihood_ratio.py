from __future__ import annotations

import pytest
import torch

from evaluation.deep import deep_model, digits
from evaluation.linear_gaussian import LATENTS, crude, pictures, problem
from mrvae.data import Images
from mrvae.evaluation import ScoreReport, descents, evaluate, score
from mrvae.evaluation.memory import row_bytes
from mrvae.evaluation.statistics import standard_error
from mrvae.models.build import build
from mrvae.recipes import recipe


def test_without_a_latent_from_the_prior_the_bounds_are_those_of_evaluate() -> None:
    for model in (deep_model(), build(recipe("digits-dct")), build(recipe("digits-wavelet"))):
        images = digits(4)
        model.context.fit(images.tensor())
        report, known = score(model, images, samples=3), evaluate(model, images, samples=3)
        torch.testing.assert_close(report.nats, known.nats, rtol=0, atol=0)
        torch.testing.assert_close(report.importance_nats, known.importance_nats, rtol=0, atol=0)
        torch.testing.assert_close(report.kl, known.kl, rtol=0, atol=0)
        assert report.likelihood_ratios.shape == (len(images), len(model.latent_shapes))


def test_every_bound_tends_to_the_evidence() -> None:
    """The weights of L^{>k} are unbiased for p(x), whatever k."""
    rough, images = crude(problem(1)), pictures(2, 1)
    evidence = rough.log_evidence(images.take(torch.arange(2)))
    report = score(rough.model(), images, samples=20_000)
    assert report.bounds.shape == (2, LATENTS + 1)
    torch.testing.assert_close(
        -report.bounds, evidence[:, None].expand(-1, LATENTS + 1), rtol=0, atol=0.1
    )


def test_every_bound_is_below_the_evidence_in_the_mean() -> None:
    exact, repeats = problem(1), 2000
    image = pictures(1, 1).tensor()
    images = Images(image.repeat(repeats, 1, 1, 1), "one", "test")
    report = score(exact.model(), images, samples=1)
    gaps = exact.log_evidence(image) + report.bounds
    for k, gap in enumerate(gaps.T):
        error = standard_error(gap)
        assert error is not None
        # At the true posterior k = 0 has no gap, and every latent from the prior widens it.
        assert float(gap.mean()) > 4 * error if k else float(gap.abs().max()) < 1e-10
    assert (gaps.mean(dim=0).diff() > 0).all()


def test_chunks_change_rounding_only_and_progress_is_whole() -> None:
    model, images, made = deep_model(), digits(5), list[int]()
    whole = score(model, images, samples=4, seed=3)
    cut = score(model, images, samples=4, seed=3, memory=2 * row_bytes(model), progress=made.append)
    torch.testing.assert_close(cut.bounds, whole.bounds, rtol=1e-5, atol=1e-3)
    assert sum(made) == descents(model, 5, 4)
    assert (score(model, images, samples=4, seed=4).bounds - whole.bounds).abs().min() > 1e-6


def test_a_typical_image_is_neither_too_likely_nor_too_unlikely() -> None:
    nats = torch.tensor([10.0, 20.0, 30.0], dtype=torch.float64)
    report = ScoreReport(nats, nats[:, None].expand(3, 2), nats[:, None], 1, 4, typical_nats=20.0)
    assert report.scores()["typicality"].tolist() == [10.0, 0.0, 10.0]
    assert "typicality" not in ScoreReport(nats, nats[:, None], nats[:, None], 1, 4).scores()
    assert report.summary()["llr_1"] == 0.0


def test_no_sample_is_no_bound() -> None:
    with pytest.raises(ValueError, match="samples is 0"):
        score(deep_model(), digits(1), samples=0)
