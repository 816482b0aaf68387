"""Properties of the model's methods, in float64 on small hierarchies with random weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from model_tools import BINARY, COLOUR, GREY, LIKELIHOODS, images, make, noise, posterior_trace
from torch import Tensor

from helpers.narrow import gaussian
from mrvae.distributions import Distribution, Gaussian
from mrvae.models import HVAE, ImageFrame, bits_per_dim
from mrvae.models.hierarchy.decoder import CellStage
from mrvae.models.hierarchy.walk import Choose, from_posterior, from_prior, given
from mrvae.recipes.schema import Likelihood, SoftplusScaleSpec

TIGHT = 1e-10


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ----------------------------------------------------------------------------------- the walk


@torch.no_grad()
def test_a_choice_sees_the_distributions_that_the_step_reports() -> None:
    """One call for each latent, in order; what it returns is the latent that is used."""
    model = make()
    seen: list[tuple[Distribution, Gaussian | None, Tensor]] = []

    def choose(prior: Distribution, posterior: Gaussian | None, eps: Tensor) -> Tensor:
        seen.append((prior, posterior, eps))
        return gaussian(prior).mean + 0.1 * len(seen)

    drawn = noise(model, 2)
    trace = model.trace(model.observe(images(model, 2)), choose, drawn)
    assert len(seen) == len(trace.steps) == model.stochastic_depth
    for k, (step, (prior, posterior, eps)) in enumerate(zip(trace.steps, seen, strict=True)):
        assert step.prior is prior
        assert step.posterior is posterior
        assert torch.equal(step.z, gaussian(prior).mean + 0.1 * (k + 1))
        assert eps.shape == step.z.shape


@torch.no_grad()
def test_noise_is_cut_without_loss_or_overlap() -> None:
    model = make(width=[12, 10, 8], latent=[4, 3, 2])
    size = model.latent_noise_size
    parts = model.decoder.split_noise(torch.arange(2 * size, dtype=torch.float64).view(2, size))
    assert [tuple(p.shape[1:]) for p in parts] == list(model.latent_shapes)
    values = torch.cat([part.flatten() for part in parts]).sort().values
    assert torch.equal(values, torch.arange(2 * size, dtype=torch.float64))
    for part in parts:
        assert part[0].max() < size <= part[1].min()


def test_a_step_can_be_computed_again() -> None:
    """The walk draws nothing: a second one, within autograd's recomputation, is the same."""
    model = make()
    x, drawn = images(model, 2), noise(model, 2)

    def loss(eps: Tensor) -> Tensor:
        return model.elbo(x, eps).nats.sum()

    def gradients() -> list[Tensor]:
        grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        model.zero_grad()
        return grads

    before = torch.get_rng_state()
    plain = loss(drawn)
    plain.backward()  # type: ignore[no-untyped-call]
    once = gradients()
    again: Tensor = torch.utils.checkpoint.checkpoint(
        loss, drawn, use_reentrant=False, preserve_rng_state=False
    )
    again.backward()  # type: ignore[no-untyped-call]
    assert torch.equal(plain, again)
    assert all(torch.equal(a, b) for a, b in zip(once, gradients(), strict=True))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@torch.no_grad()
def test_an_image_does_not_depend_on_its_batch(likelihood: Likelihood) -> None:
    model = make(likelihood)
    x, drawn = images(model, 4), noise(model, 4)
    whole, latents = model.elbo(x, drawn), model.encode(x)
    weights = model.log_weights(x, 2, noise(model, 2, 4))
    pmf = model.likelihood(latents).pmf(x)
    for i in range(4):
        one = slice(i, i + 1)
        alone = model.elbo(x[one], drawn[one])
        torch.testing.assert_close(alone.kl, whole.kl[one], rtol=TIGHT, atol=TIGHT)
        torch.testing.assert_close(alone.nats, whole.nats[one], rtol=TIGHT, atol=TIGHT)
        row = model.log_weights(x[one], 2, noise(model, 2, 4)[:, one])
        torch.testing.assert_close(row, weights[:, one], rtol=TIGHT, atol=TIGHT)
        z = model.encode(x[one])
        for mine, other in zip(z, latents, strict=True):
            torch.testing.assert_close(mine, other[one], rtol=TIGHT, atol=TIGHT)
        torch.testing.assert_close(model.likelihood(z).pmf(x[one]), pmf[one])


# ----------------------------------------------------------------------------------- the bound


@torch.no_grad()
def test_kl_vanishes_where_the_posterior_is_the_prior() -> None:
    """The same last convolution in both nets, fed with nothing, makes q = p in every cell."""
    model = make()
    for name, parameter in model.named_parameters():
        if name.endswith(("posterior_net.leave.weight", "prior_net.leave.weight")):
            parameter.zero_()
    for stage in model.stages:
        for cell in stage.cells if isinstance(stage, CellStage) else ():
            bias, latent = cell.get_parameter("prior_net.leave.bias"), stage.shapes[0][0]
            cell.get_parameter("posterior_net.leave.bias").copy_(bias[: 2 * latent])
    x = images(model, 3)
    assert model.elbo(x, noise(model, 3)).kl.abs().max() < 1e-12
    elbo = model.elbo(x, noise(model, 3))
    weights = model.log_weights(x, 1, noise(model, 3)[None])
    torch.testing.assert_close(weights[0], elbo.log_likelihood, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize("scale", [None, SoftplusScaleSpec()])
@torch.no_grad()
def test_log_weights_have_the_bound_as_their_mean(scale: SoftplusScaleSpec | None) -> None:
    """E log w = ELBO: the sampled and the closed-form KL agree over 3,000 paired draws."""
    model = make(BINARY, encoder="4x1,4d2,2x1", decoder="2x1,4m2,4x1", size=4, scale=scale)
    draws = 3000
    x = images(model, 1)
    drawn = noise(model, draws, seed=3)
    weights = model.log_weights(x, draws, drawn[:, None])[:, 0]
    bounds = model.elbo(x.expand(draws, -1, -1, -1), drawn).value
    difference = weights - bounds
    error = float(difference.std()) / draws**0.5
    assert error > 1e-4
    assert abs(float(difference.mean())) < 4 * error


@torch.no_grad()
def test_each_row_of_log_weights_is_one_pass_with_its_noise() -> None:
    model = make(COLOUR)
    x, drawn = images(model, 2), noise(model, 5, 2)
    weights = model.log_weights(x, 5, drawn)
    for row, eps in zip(weights, drawn, strict=True):
        trace = posterior_trace(model, x, eps)
        log_likelihood = expected = trace.likelihood.log_prob(x)
        for step in trace.steps:
            assert step.posterior is not None
            ratio = step.prior.log_prob(step.z) - step.posterior.log_prob(step.z)
            expected = expected + ratio.sum((1, 2, 3))
        torch.testing.assert_close(row, expected, rtol=TIGHT, atol=TIGHT)
        bound = model.elbo(x, eps)
        torch.testing.assert_close(bound.log_likelihood, log_likelihood)


def test_nats_become_bits_once() -> None:
    assert bits_per_dim(512 * 0.6931471805599453, dims=64) == pytest.approx(8.0, abs=1e-12)


# ------------------------------------------------------------------------- images and latents


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@torch.no_grad()
def test_decoding_what_was_encoded_is_the_reconstruction(likelihood: Likelihood) -> None:
    model = make(likelihood, width=[12, 10, 8], latent=[4, 3, 2])
    x = images(model, 3)
    latents = model.encode(x)
    whole = model.reconstruct(x)
    assert torch.equal(whole, model.decode(latents))
    assert torch.equal(whole, model.reconstruct(x, keep=model.stochastic_depth, temperature=2.0))
    for keep in (1, 3):
        assert torch.equal(model.reconstruct(x, keep=keep), model.decode(latents[:keep]))
    mean = model.likelihood(latents).mean()
    assert torch.equal(whole, mean.round().to(torch.uint8))


@torch.no_grad()
def test_all_latents_leave_nothing_to_temperature_or_noise() -> None:
    model = make()
    latents = model.encode(images(model, 3), temperature=1.0, generator=stream())
    one = model.likelihood(latents, 0.0, stream(1)).pmf()
    other = model.likelihood(latents, 1.7, stream(2)).pmf()
    assert torch.equal(one, other)
    some = model.likelihood(latents[:-1], 1.7, stream(1)).pmf()
    assert not torch.equal(some, model.likelihood(latents[:-1], 1.7, stream(2)).pmf())


@torch.no_grad()
def test_given_latents_and_the_rest_from_the_prior_are_the_walk_of_both() -> None:
    model = make()
    latents = model.encode(images(model, 2))[:2]
    free = model.stochastic_depth - 2
    drawn = model.noise(2, stream(5))
    choices: list[Choose] = [given(z) for z in latents] + [from_prior(0.7)] * free
    trace = model.trace(model.condition(()), choices, drawn)
    found = model.likelihood(latents, 0.7, stream(5)).pmf()
    assert torch.equal(found, trace.likelihood.pmf())


@torch.no_grad()
def test_temperature_zero_takes_every_mean() -> None:
    model = make()
    x = images(model, 2)
    for choose, observed in (
        (from_prior(0.0), model.condition(())),
        (from_posterior(0.0), model.observe(x)),
    ):
        for step in model.trace(observed, choose, noise(model, 2)).steps:
            source = step.posterior if observed.features else step.prior
            assert torch.equal(step.z, gaussian(source).mean)
    assert torch.equal(model.draw(2, 0.0, stream(1)).pmf(), model.draw(2, 0.0, stream(2)).pmf())
    for mine, other in zip(model.encode(x), model.encode(x, 0.0, stream(4)), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@torch.no_grad()
def test_a_generator_decides_a_sample(likelihood: Likelihood) -> None:
    model = make(likelihood)
    before = torch.get_rng_state()
    one, again, other = (model.sample(4, generator=stream(seed)) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert one.dtype == torch.uint8
    assert int(one.max()) < model.frame.bins
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@torch.no_grad()
def test_temperatures_belong_to_resolutions_from_coarse_to_fine() -> None:
    model = make()
    drawn = model.noise(2, stream(1))
    per_latent = [0.0, 0.5, 0.5, 0.5, 2.0, 2.0, 2.0]
    choices = [from_prior(t) for t in per_latent]
    trace = model.trace(model.condition(()), choices, drawn)
    found = model.draw(2, [0.0, 0.5, 2.0], stream(1)).pmf()
    assert torch.equal(found, trace.likelihood.pmf())
    assert torch.equal(
        model.draw(2, 0.5, stream(1)).pmf(), model.draw(2, [0.5] * 3, stream(1)).pmf()
    )


# ------------------------------------------------------------------------------ what is refused

X = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
REFUSALS: dict[str, tuple[Callable[[HVAE], object], str]] = {
    "float images": (lambda m: m.elbo(X.float()), "torch.float32"),
    "signed images": (lambda m: m.encode(X.to(torch.int8)), "torch.int8"),
    "another size": (lambda m: m.elbo(X[..., :7]), r"\(2, 1, 8, 7\)"),
    "colour": (lambda m: m.log_weights(X.expand(2, 3, 8, 8), 1), r"\(2, 3, 8, 8\)"),
    "one image": (lambda m: m.reconstruct(X[0]), r"\(1, 8, 8\)"),
    "a bin too many": (lambda m: m.elbo(X + 5), "a pixel has the value 5; .* 5 bins, 0 … 4"),
    "bin of another set": (lambda m: m.encode(X + 255), "a pixel has the value 255"),
    "latents of another type": (lambda m: m.decode([z.float() for z in m.encode(X)]), "float32"),
    "no samples": (lambda m: m.log_weights(X, 0), "samples is 0"),
    "negative samples": (lambda m: m.log_weights(X, -3), "samples is -3"),
    "keep 0": (lambda m: m.reconstruct(X, keep=0), "keep is 0; this model has 7"),
    "keep all and one": (lambda m: m.reconstruct(X, keep=8), "keep is 8; this model has 7"),
    "cold": (lambda m: m.sample(1, temperature=-0.1), "temperature is -0.1"),
    "cold posterior": (lambda m: m.encode(X, temperature=-0.1), "temperature is -0.1"),
    "infinite": (lambda m: m.sample(1, temperature=float("inf")), "temperature is inf"),
    "nan": (lambda m: m.sample(1, temperature=[1.0, 1.0, float("nan")]), "temperature is nan"),
    "two for three": (lambda m: m.sample(1, temperature=[1.0, 1.0]), "2 temperatures for 3"),
    "no image": (lambda m: m.sample(0), "n is 0"),
    "no latents": (lambda m: m.decode(()), "0 latents are given"),
    "too many": (lambda m: m.decode((*m.encode(X), X.double())), "8 latents are given"),
    "latent of another shape": (lambda m: m.decode(m.encode(X)[1:]), "latent 1 has shape"),
    "latents of two batches": (
        lambda m: m.decode((m.encode(X)[0], m.encode(X[:1])[1])),
        "latent 2 has shape",
    ),
    "latent without axes": (lambda m: m.decode((torch.tensor(0.0),)), "latent 1 has shape"),
    "noise": (lambda m: m.elbo(X, noise(m, 2)[:, 1:]), "this hierarchy needs"),
    "choices": (
        lambda m: m.trace(m.condition(()), [from_prior()], noise(m, 2)),
        "1 choices for 7",
    ),
    "no features": (
        lambda m: m.trace(m.condition(()), from_posterior(), noise(m, 2)),
        "needs the encoder's features",
    ),
    "large image": (lambda m: ImageFrame(1, 9, 8, 0.0, 1.0), "images of 9 pixels do not fit"),
}


def test_a_mistake_is_named() -> None:
    model = make(GREY)
    for call, message in REFUSALS.values():
        with pytest.raises(ValueError, match=message) as refusal:
            call(model)
        assert "\n" not in str(refusal.value)
