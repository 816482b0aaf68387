"""The baseline: one Gaussian latent, and as many parameters as the model it stands beside."""

from __future__ import annotations

import pytest
import torch
from model_tools import posterior_trace
from msgspec.structs import replace
from wavelet_tools import pictures, stirred, stream

from mrvae.models.build import make_vae
from mrvae.recipes import recipe
from mrvae.recipes import wavelet as spec
from mrvae.recipes.catalogue.kiruluta2025 import KIRULUTA2025

SMALL = spec.VAE(2, 8, 2, latent=3, likelihood=spec.LogisticImage(17), width=8)
IMAGES = ("cifar10-32", "cifar10-128", "celebahq-128", "celebahq-256")


@pytest.mark.parametrize("images", IMAGES)
def test_it_has_the_parameters_of_the_wavelet_model_within_a_twentieth(images: str) -> None:
    """And the same data, likelihood and training."""
    baseline, other = (recipe(f"kiruluta2025-{images}-{kind}") for kind in ("vae", "wavelet"))
    assert abs(baseline.parameters / other.parameters - 1) <= 0.05
    assert (baseline.data, baseline.training) == (other.data, other.training)
    assert baseline.model.likelihood == other.model.likelihood
    assert len(KIRULUTA2025) == 5 * len(IMAGES)


@pytest.mark.parametrize("coarse", [1, 2, 8])
def test_its_divergence_is_equation_19(coarse: int) -> None:
    model = stirred(make_vae(replace(SMALL, coarse=coarse)))
    x, noise = pictures(3), model.noise(3, stream())
    elbo = model.elbo(x, noise)
    mean, log_scale = model.features(x)[0].chunk(2, dim=1)
    expected = 0.5 * (mean.square() + (2 * log_scale).exp() - 2 * log_scale - 1).sum((1, 2, 3))
    torch.testing.assert_close(elbo.kl[:, 0], expected)
    z = mean + log_scale.exp() * model.decoder.split_noise(noise)[0]
    trace = posterior_trace(model, x, noise)
    torch.testing.assert_close(elbo.log_likelihood, trace.likelihood.log_prob(x))
    assert torch.equal(model.decode([z]), trace.likelihood.mean().round().byte())


def test_every_parameter_learns() -> None:
    for loss in (spec.Bound(), spec.Weighted(spec.CrossEntropy(), beta=0.5)):
        model = stirred(make_vae(replace(SMALL, loss=loss)))
        model.elbo(pictures(3), model.noise(3, stream())).nats.sum().backward()  # type: ignore[no-untyped-call]
        still = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert still == set()


def test_a_size_that_is_not_reached_by_halves_is_refused() -> None:
    for coarse in (3, 16):
        with pytest.raises(ValueError, match=f"coarse is {coarse}; it must be 8 halved"):
            replace(SMALL, coarse=coarse)
