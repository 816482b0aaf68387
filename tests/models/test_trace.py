"""Properties of the one descent: what reproduces a trace, and what must not change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
from model_tools import images, make, posterior_trace, randomise
from torch import Tensor

import mrvae
from mrvae.models import HVAE, Level, Trace
from mrvae.models.hierarchy.walk import Cell, Shape, Stage, from_posterior, given
from mrvae.recipes import override
from mrvae.recipes.schema import NVAE, TopDown

SHAPE = ("encoder=8x1,8d2,4x1", "decoder=4x1,8m4,8x1", "width=8", "latent=2", "bottleneck=0.5")


def with_context() -> HVAE:
    """Build a model below a context whose prior takes noise of its own."""
    model = mrvae.build(override(mrvae.recipe("digits-dct"), SHAPE)).double()
    randomise(model, seed=3)
    model.context.fit(images(model, 50, seed=1))
    return model


MAKERS: dict[str, Callable[[], HVAE]] = {
    "vdvae": make,
    "shared": lambda: make(decoder="1x1,4m1,4x2r3,8m4", cell=NVAE()),
    "top-latent-skip": lambda: make(cell=TopDown(top_latent_skip=True)),
    "context": with_context,
}
each_model = pytest.mark.parametrize("name", ["shared", "top-latent-skip", "context"])


@cache
def model_of(name: str) -> HVAE:
    return MAKERS[name]()


@torch.no_grad()
def drawn(name: str, count: int = 3) -> tuple[HVAE, Tensor, Tensor, Trace]:
    """Return a model, images, full noise, and the trace of the posterior's draws."""
    model = model_of(name)
    x, noise = images(model, count), model.noise(count, torch.Generator().manual_seed(2))
    return model, x, noise, posterior_trace(model, x, noise)


def equal(a: Trace, b: Trace) -> bool:
    """Compare latents and states bit for bit."""
    latents = zip((*a.latents, a.state), (*b.latents, b.state), strict=True)
    return all(torch.equal(one, other) for one, other in latents)


@each_model
@torch.no_grad()
def test_the_latents_of_a_trace_reproduce_it(name: str) -> None:
    """With other noise, with the encoder's features and without them."""
    model, x, noise, trace = drawn(name)
    choices = [given(step.z) for step in trace.steps]
    for observed in (model.observe(x), model.condition(trace.context)):
        again = model.trace(observed, choices, -noise)
        assert equal(again, trace)
        assert torch.equal(again.likelihood.log_prob(x), trace.likelihood.log_prob(x))
    # And the last latent is not idle.
    choices[-1] = given(trace.steps[-1].z + 1)
    assert not equal(model.trace(model.observe(x), choices, noise), trace)


@each_model
@torch.no_grad()
def test_a_trace_has_the_terms_of_the_bound(name: str) -> None:
    model, x, noise, trace = drawn(name)
    log_likelihood, kl = model.terms(model.observe(x), x, noise)
    nats = model.context.nats(trace.context, noise, None)
    assert torch.equal(trace.likelihood.log_prob(x), log_likelihood)
    assert torch.equal(torch.cat([nats, trace.kl()], dim=1), kl)
    assert kl.shape == (3, model.stochastic_depth)
    assert bool((kl[:, -1] > 1e-3).all())
    log_q = [(s.posterior.log_prob(s.z) if s.posterior else s.z) for s in trace.steps]
    log_p = [step.prior.log_prob(step.z) for step in trace.steps]
    ratio = sum((p - q).flatten(1).sum(1) for p, q in zip(log_p, log_q, strict=True))
    assert isinstance(ratio, Tensor)
    torch.testing.assert_close(trace.log_ratio(), ratio, rtol=1e-12, atol=1e-10)


@each_model
@torch.no_grad()
def test_a_repeated_observation_is_as_many_traces(name: str) -> None:
    """Draw k of image b is row k·B + b, and has its own noise."""
    model, x, _, _ = drawn(name, count=2)
    stream = torch.Generator().manual_seed(4)
    noise = torch.stack([model.noise(2, stream) for _ in range(3)])
    observed = model.observe(x)
    together = model.trace(observed.repeat(3), from_posterior(), noise.flatten(0, 1))
    for k in range(3):
        one = model.trace(observed, from_posterior(), noise[k])
        pairs = zip((*together.latents, together.state), (*one.latents, one.state), strict=True)
        for a, b in pairs:
            torch.testing.assert_close(a[2 * k : 2 * k + 2], b, rtol=1e-11, atol=1e-11)
    assert (together.state[:2] - together.state[2:4]).abs().max() > 1e-3


@each_model
@torch.no_grad()
def test_noise_of_the_context_does_not_enter_a_trace(name: str) -> None:
    model, x, noise, trace = drawn(name)
    size = model.latent_noise_size
    assert equal(posterior_trace(model, x, noise[:, :size]), trace)
    assert (model.noise_size > size) == (name == "context")
    moved = noise.clone()
    moved[:, size - 1] += 1
    assert not equal(posterior_trace(model, x, moved), trace)


@dataclass(frozen=True)
class Wrapper:
    """A stage around another, which it may shift on entry."""

    stage: Stage
    shift: float = 0.0

    @property
    def level(self) -> Level:
        return self.stage.level

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return self.stage.shapes

    @property
    def visits(self) -> Sequence[Cell]:
        return self.stage.visits

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        return self.stage.enter(h, batch) + self.shift


@each_model
@torch.no_grad()
def test_a_wrapper_that_does_nothing_changes_nothing(name: str) -> None:
    """And every stage is wrapped: one that shifts a single level changes the trace."""
    model, x, noise, trace = drawn(name)
    observed = model.observe(x)
    assert equal(model.trace(observed, from_posterior(), noise, wrap=Wrapper), trace)
    for shifted in model.stages:

        def wrap(stage: Stage, shifted: Stage = shifted) -> Stage:
            return Wrapper(stage, 1.0 if stage is shifted else 0.0)

        assert not equal(model.trace(observed, from_posterior(), noise, wrap), trace)


@torch.no_grad()
def test_posterior_means_are_the_first_steps_of_the_encoding() -> None:
    model = model_of("vdvae")
    x = images(model, 3)
    latents = model.encode(x)
    for depth in (0, 1, 3, 7):
        steps = model.posterior_means(model.observe(x), depth)
        assert len(steps) == depth
        for step, z in zip(steps, latents, strict=False):
            assert torch.equal(step.z, z)


def test_an_observation_without_features_has_no_posterior() -> None:
    model, x, noise, trace = drawn("context")
    bare = model.observe(x)._replace(features=())
    with pytest.raises(ValueError, match="needs the encoder's features"):
        model.trace(bare, from_posterior(), noise)
    steps = model.trace(bare, [given(step.z) for step in trace.steps], noise).steps
    assert all(step.posterior is None for step in steps)
    assert replace(trace, steps=steps).kl().shape == (3, 0)
