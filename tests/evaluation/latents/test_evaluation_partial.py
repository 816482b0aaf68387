"""Properties of partial reconstructions: by the model's own methods, and in a linear hierarchy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import mrvae
from evaluation.deep import deep_model, digits, gaussian
from mrvae.data import Images, normal
from mrvae.evaluation import PSNR, SSIM, Partial, partial_report
from mrvae.evaluation.memory import row_bytes
from mrvae.models import HVAE
from mrvae.models.hierarchy.walk import from_posterior

MEANS = Partial(posterior=0.0, prior=0.0)


def everything(images: Images) -> Tensor:
    return images.tensor()


def with_context() -> tuple[HVAE, Images]:
    images = digits(6)
    torch.manual_seed(0)
    model = mrvae.build(mrvae.recipe("digits-dct")).double().eval()
    model.context.fit(everything(digits(40)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model, images


@pytest.mark.parametrize("context", [False, True], ids=["plain", "context"])
def test_means_are_those_of_encode_and_of_the_likelihood(context: bool) -> None:
    model, images = with_context() if context else (deep_model().double(), digits(6))
    x, keep = everything(images), range(1, model.stochastic_depth + 1)
    with torch.no_grad():
        latents = model.encode(x)
        expected = [model.likelihood(latents[:m]).mean() / 16 for m in keep]
    found = list(MEANS.images(model, x, range(len(x)), keep))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(found, expected, strict=True))
    assert not torch.allclose(found[0], found[-1], atol=1e-3)


def test_all_latents_of_the_posterior_are_the_walk_of_the_bound() -> None:
    model, images = deep_model().double(), digits(5)
    x, depth = everything(images), model.stochastic_depth
    noise = normal(3, 0, range(5), model.noise_size, x.device, torch.float64)
    (found,) = Partial(seed=3).images(model, x, range(5), [depth])
    with torch.no_grad():
        trace = model.trace(model.observe(x), from_posterior(), noise)
        expected = trace.likelihood.mean() / 16
    assert torch.allclose(found, expected, atol=1e-12)


def test_what_is_not_kept_is_drawn_from_the_prior_at_its_temperature() -> None:
    """At m latents the state below is that of the prior's own formula, with the image's noise."""
    model, images = deep_model().double(), digits(4)
    x, m, temperature = everything(images), 2, 0.6
    noise = normal(0, 0, range(4), model.noise_size, x.device, torch.float64)
    (found,) = Partial(prior=temperature).images(model, x, range(4), [m])
    with torch.no_grad():
        steps = model.trace(model.observe(x), from_posterior(), noise).steps
        top = [step.z for step in steps[:m]]
        pieces = model.decoder.split_noise(noise)
        h, index = None, 0
        for stage in model.stages:
            h = stage.enter(h, 4)
            for cell in stage.visits:
                drawn_from, h = cell.prior(h)
                prior = gaussian(drawn_from)
                drawn = prior.mean + temperature * prior.log_scale.exp() * pieces[index]
                h = cell.advance(h, top[index] if index < m else drawn)
                index += 1
        assert h is not None
        expected = model.head(h).mean() / 16
    assert torch.allclose(found, expected, atol=1e-12)
    (other,) = Partial(prior=1.0).images(model, x, range(4), [m])
    assert not torch.allclose(found, other, atol=1e-3)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_report_compares_each_image_with_its_own(rows: int) -> None:
    model, images = deep_model().double(), digits(5)
    report = partial_report(model, images, Partial(), memory=rows * row_bytes(model))
    assert list(report.values) == ["ssim", "psnr"]
    x, keep = everything(images), range(1, model.stochastic_depth + 1)
    for m, y in zip(keep, Partial().images(model, x, range(5), keep), strict=True):
        error = (x.double() / 16 - y).square().mean(dim=(1, 2, 3))
        assert report.values["psnr"][m - 1].tolist() == pytest.approx(
            (-10 * error.log10()).tolist(), rel=1e-6
        )
        assert torch.allclose(report.values["ssim"][m - 1], SSIM()(x.double() / 16, y), rtol=1e-6)
    mean, se = report.curve("psnr")
    assert mean == pytest.approx(report.values["psnr"].mean(dim=1).tolist())
    assert se[0] == pytest.approx(float(report.values["psnr"][0].std()) / math.sqrt(5))


def test_an_image_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = deep_model(), digits(4)
    seen = []
    forward = HVAE.features

    def counting(self: HVAE, x: Tensor) -> tuple[Tensor, ...]:
        seen.append(len(x))
        return forward(self, x)

    rows = 4 * row_bytes(model)
    monkeypatch.setattr(HVAE, "features", counting)
    partial_report(model, images, MEANS, measures=[PSNR()], memory=rows)
    assert sum(seen) - seen.count(1) == 4  # one more, of one row, is how the memory is reckoned


def test_wrong_numbers_are_refused() -> None:
    for temperature in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="temperature"):
            Partial(prior=temperature)
        with pytest.raises(ValueError, match="temperature"):
            Partial(posterior=temperature)
    model = deep_model()
    with pytest.raises(ValueError, match="keep is 0"):
        list(Partial().images(model, everything(digits(1)), range(1), [0]))
