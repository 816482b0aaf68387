"""The loss of a step: what a recipe may change of it, and that the report stays the bound."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from helpers.tiny_run import tiny, updater
from mrvae.data import images_for
from mrvae.models import Elbo
from mrvae.objectives import training_loss
from mrvae.recipes.kl_term import KlTerm
from mrvae.recipes.serial import from_json, to_json
from mrvae.training.loss import beta, loss_of
from mrvae.training.update import Updater

ALL = ("kl.beta_steps=8", "kl.free_nats=0.001", "kl.balance=true")
CONTEXT = ("model.context=pooled", "model.context.prior=autoregressive", "hidden=8")


def weights(state: Updater) -> Tensor:
    return torch.cat([p.detach().flatten() for p in state.parameters])


def test_beta_of_one_from_the_start_is_plain_training_bit_for_bit() -> None:
    plain, risen = updater(tiny()), updater(tiny("kl.beta_steps=9", "kl.beta_start=1"))
    for step in range(4):
        assert plain.update(step) == risen.update(step)
    assert torch.equal(weights(plain), weights(risen))


def test_beta_rises_linearly_and_stays() -> None:
    term = KlTerm(beta_steps=10, beta_start=0.5)
    found = [beta(term, step) for step in range(12)]
    assert found == pytest.approx([min(0.5 + 0.05 * step, 1.0) for step in range(12)])
    assert {beta(KlTerm(), step) for step in (0, 1, 10**9)} == {1.0}


@pytest.mark.parametrize("change", ["kl.beta_steps=10", "kl.free_nats=1000"])
def test_where_kl_costs_nothing_the_gradient_is_that_of_the_likelihood(change: str) -> None:
    """At step 0 of the rise, and below the free nats; the report is of the bound all the same."""
    state = updater(tiny(change, "clip=1000000"), double=True)
    x, noise, _ = state.inputs(0, range(8))
    elbo = state.model.elbo(x, noise)
    expected = torch.autograd.grad(
        -elbo.log_likelihood.mean() / 64, state.parameters, allow_unused=True
    )
    state.model.zero_grad()
    loss_of(state.measure(x, noise), state.model, state.training.kl, 0).backward()  # type: ignore[no-untyped-call]
    for parameter, gradient in zip(state.parameters, expected, strict=True):
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        wanted = torch.zeros_like(parameter) if gradient is None else gradient
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    state.model.zero_grad()
    report = state.update(0)
    assert report.nats == pytest.approx(float(elbo.nats.detach().mean()), rel=1e-12)
    assert report.kl == pytest.approx(float(elbo.kl.detach().sum(1).mean()), rel=1e-12)


def test_the_nats_of_a_context_are_not_weighted() -> None:
    """It has no learnt posterior, and its prior is learnt from the start."""
    state = updater(tiny(*CONTEXT, "kl.beta_steps=10", "kl.free_nats=1000"), double=True)
    state.model.context.fit(images_for(tiny(), "train").take(torch.arange(40)))
    log_likelihood = torch.tensor([-3.0, -5.0], dtype=torch.float64)
    kl = torch.rand(2, state.model.stochastic_depth, dtype=torch.float64)
    elbo = Elbo(log_likelihood, kl)
    found = loss_of(elbo, state.model, state.training.kl, 0)
    expected = training_loss(Elbo(log_likelihood, kl[:, :1]), 64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    latents = state.update(0)
    assert 0 < latents.latent_kl < latents.kl


@pytest.mark.parametrize("accumulate", [2, 8])
def test_a_batch_in_parts_is_the_batch_whatever_kl_costs(accumulate: int) -> None:
    whole = updater(tiny(*ALL), double=True)
    parts = updater(tiny(*ALL, f"accumulate={accumulate}"), double=True)
    for step in range(3):
        assert whole.update(step).norm == pytest.approx(parts.update(step).norm, rel=1e-9)
    torch.testing.assert_close(weights(whole), weights(parts), rtol=1e-9, atol=1e-9)
    plain = updater(tiny(), double=True)
    plain.update(0)
    assert not torch.equal(weights(plain), weights(whole))


def test_all_terms_are_written_and_read() -> None:
    assert from_json(to_json(tiny(*ALL))) == tiny(*ALL)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("kl.beta_steps=-1", "beta_steps is -1"),
        ("kl.beta_start=1.5", "beta_start is 1.5"),
        ("kl.free_nats=-0.1", "free_nats is -0.1"),
        ("kl.balance=true", "beta_steps is 0"),
    ],
)
def test_values_that_make_no_sense_are_refused(change: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        tiny(change)
