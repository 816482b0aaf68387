"""Surrogate losses: the value of the bound, the gradient of the surrogate, and its minimum."""

from __future__ import annotations

import math

import pytest
import torch
from model_tools import posterior_trace
from msgspec.structs import replace
from torch import Tensor, nn
from torch.nn import functional
from wavelet_tools import PLAIN, SMALL, Free, pictures, small, stream

from mrvae.models import Elbo, soft_threshold, stack, unstack
from mrvae.models.build import make_wavelet_vae
from mrvae.models.build.image_model import image_family
from mrvae.models.heads.image_head import ImageHead
from mrvae.models.image import unit_image
from mrvae.models.wavelet.surrogate import SparseLoss, SquaredError
from mrvae.objectives import training_loss
from mrvae.recipes import wavelet as spec
from mrvae.resolution import Wavelet

LAMBDAS = (0.3, 0.7)


def named_slopes(loss: Tensor, model: nn.Module) -> dict[str, Tensor]:
    found = dict(model.named_parameters())
    slopes = torch.autograd.grad(loss, list(found.values()), allow_unused=True)
    return {n: g for n, g in zip(found, slopes, strict=True) if g is not None and g.any()}


def agree(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, slope in expected.items():
        torch.testing.assert_close(found[name], slope, rtol=1e-9, atol=1e-12)


def about(slopes: dict[str, Tensor], *parts: str) -> dict[str, Tensor]:
    return {name: slope for name, slope in slopes.items() if any(part in name for part in parts)}


def literal_error(x: Tensor, h: Tensor, crossed: bool) -> Tensor:
    u = unit_image(x, 17, h.dtype)
    if not crossed:
        return (u - h).square().sum()
    return functional.binary_cross_entropy(torch.sigmoid(4 * h - 2), u, reduction="sum")


@pytest.mark.parametrize("crossed", [False, True])
def test_equation_22_is_followed_and_the_bound_is_reported(crossed: bool) -> None:
    error = spec.CrossEntropy() if crossed else spec.Squared()
    model = small(replace(SMALL, loss=spec.Sparse(error, LAMBDAS)))
    plain = small(replace(SMALL, loss=spec.Bound()))
    plain.head.squashed = crossed  # type: ignore[assignment]
    x, noise = pictures(3), model.noise(3, stream())
    elbo, bound = model.elbo(x, noise), plain.elbo(x, noise)
    torch.testing.assert_close(elbo.log_likelihood, bound.log_likelihood)
    torch.testing.assert_close(elbo.kl, bound.kl)

    trace = posterior_trace(model, x, noise)
    steps = trace.steps
    details = [step.posterior.mean for step in steps[1:] if step.posterior is not None]
    penalty = sum(w * d.abs().sum() for w, d in zip(LAMBDAS, details, strict=True))
    literal = (literal_error(x, trace.state, crossed) + penalty) / 3 / model.frame.dims
    found = named_slopes(training_loss(elbo, model.frame.dims), model)
    agree(about(found, "encoder"), about(named_slopes(literal, model), "encoder"))
    # What the loss does not know is fitted as the bound would, at the same posterior.
    fitted = named_slopes(training_loss(bound, model.frame.dims), plain)
    agree(about(found, "head."), about(fitted, "head."))
    agree(about(found, "prior_net"), about(fitted, "prior_net"))


def test_equation_14_is_followed() -> None:
    loss = spec.Weighted(spec.Squared(), beta=0.4)
    model = small(replace(SMALL, loss=loss, prior=spec.StandardNormal()))
    x, noise = pictures(3), model.noise(3, stream())
    trace = posterior_trace(model, x, noise)
    posteriors = [step.posterior for step in trace.steps]
    # Equation 19, as printed.
    kl = torch.stack(
        [
            0.5 * (q.mean.square() + (2 * q.log_scale).exp() - 2 * q.log_scale - 1).sum()
            for q in posteriors
            if q is not None
        ]
    )
    elbo = model.elbo(x, noise)
    torch.testing.assert_close(elbo.kl.sum(), kl.sum())
    literal = (literal_error(x, trace.state, False) + 0.4 * kl.sum()) / 3
    found = named_slopes(training_loss(elbo, 1), model)
    agree(about(found, "encoder"), about(named_slopes(literal, model), "encoder"))


def test_the_soft_threshold_is_where_descent_ends() -> None:
    """Free coefficients, no noise: the slope that the model hands out leads to the oracle."""
    recipe = replace(PLAIN, wavelet="db2", loss=spec.Sparse(weights=LAMBDAS))
    model = make_wavelet_vae(recipe).double()
    x = pictures(1)
    u = unit_image(x, 17, torch.float64)
    oracle = stack(soft_threshold(u, Wavelet("db2"), LAMBDAS))
    quiet = [torch.tensor(-20.0, dtype=torch.float64)] * 3
    model.encoder = Free([torch.zeros_like(z) for z in oracle], quiet)
    noise = torch.zeros(1, model.noise_size, dtype=torch.float64)
    means = list(model.encoder.parameters())
    # |c| has a corner at 0, where plain descent rattles within a step: steps that fall end there.
    for step in range(400):
        loss = training_loss(Elbo(*model(x, noise)), 1)
        rate = 0.4 * 0.98**step
        with torch.no_grad():
            for mean, slope in zip(means, torch.autograd.grad(loss, means), strict=True):
                mean.sub_(slope, alpha=rate)
    for mean, best in zip(means, oracle, strict=True):
        torch.testing.assert_close(mean.detach(), best, rtol=0, atol=2e-3)
    assert any((best == 0).any() for best in oracle)


def test_the_oracle_is_least_of_all_and_needs_an_orthogonal_wavelet() -> None:
    wavelet, u = Wavelet("sym4"), torch.rand(1, 1, 8, 8, generator=stream(), dtype=torch.float64)

    def equation_22(c: list[Tensor]) -> float:
        error = (wavelet.synthesis(unstack(c)) - u).square().sum()
        penalty = sum(w * d.abs().sum() for w, d in zip(LAMBDAS, c[1:], strict=True))
        return float(error + penalty)

    best = stack(soft_threshold(u, wavelet, LAMBDAS))
    least = equation_22(best)
    for seed in range(20):
        moved = [z + 0.01 * torch.randn(z.shape, generator=stream(seed)).double() for z in best]
        assert equation_22(moved) > least
    with pytest.raises(ValueError, match=r"bior2\.2 is not orthogonal"):
        soft_threshold(u, Wavelet("bior2.2"), LAMBDAS)


def test_the_penalty_does_not_touch_the_approximation() -> None:
    model = small(replace(SMALL, loss=spec.Sparse(weights=(0.5,))))
    objective = model.objective
    assert isinstance(objective, SparseLoss)
    assert objective.weights == (0.5, 0.5)
    assert isinstance(objective.reconstruction, SquaredError)
    columns = objective.penalty(posterior_trace(model, pictures(2), model.noise(2)).steps)
    assert columns.shape == (2, 3)
    assert not columns[:, 0].any()
    assert (columns[:, 1:] > 0).all()


@pytest.mark.parametrize(
    ("likelihood", "bins", "squashed"),
    [
        (spec.LogisticImage, 2, True),
        (spec.LogisticImage, 2, False),
        (spec.LogisticImage, 17, False),
        (spec.GaussianImage, 2, False),
        (spec.GaussianImage, 256, True),
    ],
)
def test_pixels_around_an_image_are_a_probability(
    likelihood: type[spec.LogisticImage] | type[spec.GaussianImage], bins: int, squashed: bool
) -> None:
    model = make_wavelet_vae(replace(SMALL, likelihood=likelihood(bins)))
    head = ImageHead(model.frame, image_family(likelihood(bins)), squashed).double()
    h = torch.randn(2, 2, 8, 8, generator=stream(), dtype=torch.float64)
    pmf = head(h).pmf()
    torch.testing.assert_close(pmf.sum(-1), torch.ones_like(pmf[..., 0]), rtol=0, atol=1e-12)
    x = torch.randint(0, bins, (2, 2, 8, 8), generator=stream(1)).byte()
    picked = pmf.gather(-1, x.long().unsqueeze(-1)).clamp(min=1e-300).log().sum((1, 2, 3, 4))
    scored = head(h).log_prob(x)
    assert (scored <= picked + 1e-6).all() or torch.allclose(scored, picked, rtol=1e-6)
    centre = (2 * (torch.sigmoid(4 * h - 2) if squashed else h) - 1)[0, 0, 0, 0].item()
    if bins == 2 and likelihood is spec.LogisticImage:
        # A logistic of two bins is a Bernoulli.
        one = 1 / (1 + math.exp(-centre / math.exp(-3.0)))
        assert pmf[0, 0, 0, 0, 1].item() == pytest.approx(one, rel=1e-9)
