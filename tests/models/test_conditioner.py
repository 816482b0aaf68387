"""A hierarchy with a context: one more term in the bound, and a conditioned decoder."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from model_tools import noise, randomise
from msgspec.structs import replace
from torch import Tensor

import mrvae
from helpers.narrow import gaussian
from mrvae.data import images_for
from mrvae.models import HVAE, Observation
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.objectives import importance_bound
from mrvae.recipes import override
from mrvae.recipes.context import (
    AutoregressiveSpec,
    Context,
    DCTSpec,
    DiffusionSpec,
    FactorisedSpec,
    MidRiseSpec,
    MidTreadSpec,
    NoContextSpec,
    PooledSpec,
    WaveletSpec,
)

TIGHT = 1e-10
SMALL_DIFFUSION = DiffusionSpec(unet_width=16, unet_blocks=1)
CONTEXTS: tuple[Context, ...] = (
    DCTSpec(3, MidRiseSpec(2), SMALL_DIFFUSION),
    DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2)),
    PooledSpec(2, MidRiseSpec(3), FactorisedSpec()),
    WaveletSpec("db2", 1, MidRiseSpec(2), SMALL_DIFFUSION, everywhere=False),
)
SHAPE = ("encoder=8x1,8d2,4x1", "decoder=4x1,8m4,8x1", "width=8", "latent=2", "bottleneck=0.5")


@cache
def pictures() -> Tensor:
    return images_for(mrvae.recipe("digits-vdvae"), "train").take(torch.arange(200))


@cache
def make(context: Context) -> HVAE:
    """Build a small model in float64 with random weights, its context fitted."""
    recipe = override(mrvae.recipe("digits-vdvae"), SHAPE)
    recipe = replace(recipe, model=replace(recipe.hierarchy, context=context))
    model = mrvae.build(recipe).double()
    randomise(model, seed=3)
    model.context.fit(pictures())
    return model


def all_noise(model: HVAE, *shape: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, model.noise_size, generator=stream, dtype=torch.float64)


def conditioner(model: HVAE) -> ContextConditioner:
    assert isinstance(model.context, ContextConditioner)
    return model.context


# Every transform, every kind of prior, and both kinds of conditioning.
each_context = pytest.mark.parametrize("context", CONTEXTS[1:], ids=lambda c: type(c).__name__)


# ---------------------------------------------------------------------------------- the bound


@each_context
@torch.no_grad()
def test_the_first_column_is_minus_the_bound_of_the_prior(context: Context) -> None:
    model, x = make(context), pictures()[:5]
    drawn = all_noise(model, 5)
    elbo = model.elbo(x, drawn)
    prior, latents = conditioner(model).prior, model.latent_noise_size
    shape = (5, prior.draws, *conditioner(model).transform.shape)
    expected = prior.bound(conditioner(model).transform.encode(x), drawn[:, latents:].view(shape))
    torch.testing.assert_close(elbo.kl[:, 0], -expected, rtol=TIGHT, atol=TIGHT)
    assert elbo.kl.shape[1] == model.stochastic_depth == len(model.shapes) == len(model.encode(x))
    # What is left is a bound on log p(x | c): another noise of the prior does not move it.
    other = model.elbo(x, torch.cat([drawn[:, :latents], -drawn[:, latents:]], dim=1))
    assert torch.equal(other.kl[:, 1:], elbo.kl[:, 1:])
    assert torch.equal(other.log_likelihood, elbo.log_likelihood)


@pytest.mark.parametrize("context", [CONTEXTS[0], CONTEXTS[3]], ids=["DCT", "WaveletTop"])
@torch.no_grad()
def test_the_mean_of_the_training_estimate_over_its_terms_is_the_bound(context: Context) -> None:
    model, x = make(context), pictures()[:4]
    drawn = all_noise(model, 4)
    bound = model.elbo(x, drawn)
    terms = [torch.full((4,), t) for t in range(1, model.context.terms + 1)]
    assert len(terms) == 7
    likelihoods, columns = zip(*(model(x, drawn, term) for term in terms), strict=True)
    mean = torch.stack(columns).mean(dim=0)
    torch.testing.assert_close(mean, bound.kl, rtol=TIGHT, atol=TIGHT)
    assert not torch.allclose(columns[0][:, 0], columns[3][:, 0], rtol=0.01)
    assert all(torch.equal(each, bound.log_likelihood) for each in likelihoods)


@torch.no_grad()
def test_an_estimate_takes_for_each_image_its_own_term() -> None:
    model, x = make(CONTEXTS[0]), pictures()[:3]
    drawn, terms = all_noise(model, 3), torch.tensor([7, 1, 4])
    _, whole = model(x, drawn, terms)
    for i in range(3):
        one = slice(i, i + 1)
        _, alone = model(x[one], drawn[one], terms[one])
        torch.testing.assert_close(alone, whole[one], rtol=TIGHT, atol=TIGHT)


@each_context
@torch.no_grad()
def test_the_context_stands_outside_the_mean_over_samples(context: Context) -> None:
    """One number for each image: weights less it are those of log p(x | c), whatever the noise."""
    model, x = make(context), pictures()[:2]
    drawn = all_noise(model, 6, 2)
    weights, latents = model.log_weights(x, 6, drawn), model.latent_noise_size
    log_likelihood, trace = model.importance_draws(model.observe(x), x, drawn[..., :latents])
    inner = (log_likelihood + trace.log_ratio()).view(6, 2)
    gap = weights - inner
    torch.testing.assert_close(gap, gap[:1].expand(6, -1), rtol=TIGHT, atol=TIGHT)
    torch.testing.assert_close(-gap[0], model.elbo(x, drawn[0]).kl[:, 0], rtol=TIGHT, atol=TIGHT)
    total = importance_bound(weights)
    torch.testing.assert_close(total, importance_bound(inner) + gap[0], rtol=TIGHT, atol=TIGHT)
    for k in range(6):
        one = model.log_weights(x, 1, torch.cat([drawn[k : k + 1, :, :latents],
                                                 drawn[:1, :, latents:]], dim=-1))  # fmt: skip
        torch.testing.assert_close(one[0], weights[k], rtol=TIGHT, atol=TIGHT)


@torch.no_grad()
def test_the_importance_bound_grows_with_its_samples() -> None:
    """With log p(c) itself: means over K draws are ordered, and none is below the ELBO's mean."""
    model, x = make(CONTEXTS[1]), pictures()[:1]
    weights = model.log_weights(x, 512, all_noise(model, 512, 1))
    mean = {
        k: float(importance_bound(weights.view(k, -1)).mean()) for k in (1, 4, 32, 512)
    }  # fmt: skip
    assert mean[1] < mean[4] < mean[32] < mean[512]
    elbos = model.elbo(x.expand(512, -1, -1, -1), all_noise(model, 512, seed=1)).value
    error = float((elbos.var() / 512 + weights.var() / 512).sqrt())
    assert abs(float(elbos.mean()) - mean[1]) < 4 * error


# -------------------------------------------------------------------------- the conditioning


def states_after(model: HVAE, observed: Observation) -> list[Tensor]:
    """Return the state after each step, at the same noise."""
    steps = model.trace(observed, from_posterior(), noise(model, 2)).steps
    return [step.state for step in steps]


@each_context
@torch.no_grad()
def test_the_projected_picture_conditions_each_resolution(context: Context) -> None:
    model, x = make(context), pictures()[:2]
    observed = model.observe(x)
    enters = conditioner(model).enter
    assert [added is not None for added in observed.conditioning] == [True, len(enters) == 2]
    picture = conditioner(model).transform.decode(observed.context[0]).double()
    coarse = torch.nn.functional.avg_pool2d(picture, 2)
    for added, image, enter in zip(observed.conditioning, (coarse, picture), enters, strict=False):
        assert added is not None
        torch.testing.assert_close(added, enter(image), rtol=1e-6, atol=1e-6)
    plain = states_after(model, observed._replace(conditioning=(None, None)))
    for j in range(len(enters)):
        part = [added if i == j else None for i, added in enumerate(observed.conditioning)]
        moved = states_after(model, observed._replace(conditioning=tuple(part)))
        # The coarse level has one step, and conditioning of finer ones does not move it.
        assert torch.equal(moved[0], plain[0]) == (j == 1)
        assert not torch.allclose(moved[1], plain[1])


@torch.no_grad()
def test_with_zero_weights_the_rest_is_the_model_without_context() -> None:
    bare = make(NoContextSpec())
    model = mrvae.build(override(mrvae.recipe("digits-dct"), SHAPE)).double()
    model.context.fit(pictures())
    missing = model.load_state_dict(bare.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith("context.") for name in missing.missing_keys)
    for enter in conditioner(model).enter:
        for parameter in enter.parameters():
            parameter.zero_()
    x, drawn = pictures()[:3], all_noise(model, 3)
    found = model.elbo(x, drawn)
    expected = bare.elbo(x, drawn[:, : bare.noise_size])
    assert torch.equal(found.log_likelihood, expected.log_likelihood)
    assert torch.equal(found.kl[:, 1:], expected.kl)


def test_a_model_without_context_has_no_weights_for_one() -> None:
    model = make(NoContextSpec())
    assert model.noise_size == model.latent_noise_size
    assert model.shapes == model.latent_shapes
    assert not [name for name in model.state_dict() if name.startswith("context")]


# ------------------------------------------------------------------------- images and latents


@each_context
@torch.no_grad()
def test_the_context_is_the_first_latent(context: Context) -> None:
    model, x = make(context), pictures()[:3]
    latents = model.encode(x)
    assert torch.equal(latents[0], conditioner(model).transform.encode(x))
    assert torch.equal(model.reconstruct(x), model.decode(latents))
    assert torch.equal(model.reconstruct(x, keep=1), model.decode(latents[:1]))
    observed = model.condition(latents[:1])
    trace = model.trace(observed, lambda prior, _, __: gaussian(prior).mean, noise(model, 3))
    assert torch.equal(model.likelihood(latents[:1]).mean(), trace.likelihood.mean())


@each_context
@torch.no_grad()
def test_a_sample_begins_with_a_context_of_the_prior(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make(context)
    seen: list[Tensor] = []
    conditioning = ContextConditioner.conditioning

    def watch(self: ContextConditioner, context: tuple[Tensor, ...]) -> list[Tensor | None]:
        seen.extend(context)
        return conditioning(self, context)

    monkeypatch.setattr(ContextConditioner, "conditioning", watch)
    for seed in (1, 1, 2):
        model.sample(16, generator=torch.Generator().manual_seed(seed))
    one, again, other = seen
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    drawn = conditioner(model).prior.sample(16, torch.Generator().manual_seed(1))
    assert torch.equal(one, drawn)
    conditioner(model).transform.grid.check(one)


def test_what_is_no_context_is_refused() -> None:
    model, x = make(CONTEXTS[0]), pictures()[:2]
    latents = model.encode(x)
    with pytest.raises(ValueError, match=r"latent 1 is torch\.float64.*codes of a context"):
        model.decode([latents[0].double()])
    with pytest.raises(ValueError, match=r"latent 2 is torch\.int64; give it torch\.float64"):
        model.decode([latents[0], latents[1].long()])
    unfitted = mrvae.build(mrvae.recipe("digits-dct"))
    with pytest.raises(ValueError, match="not fitted; call fit"):
        unfitted.elbo(x)
    with pytest.raises(ValueError, match="fitted already"):
        model.context.fit(x)


def test_a_context_that_does_not_fit_is_refused() -> None:
    recipe = mrvae.recipe("digits-vdvae")
    for context, message in (
        (DCTSpec(9), "size is 9"),
        (PooledSpec(3), "factor is 3"),
        (WaveletSpec("haar", 4), "steps is 4"),
        (WaveletSpec("wavy", 1), "wavy"),
        (DCTSpec(3, prior=DiffusionSpec(unet_scales=2)), "scales is 2"),
        (DCTSpec(3, prior=DiffusionSpec(unet_width=20)), "width is 20"),
    ):
        with pytest.raises(ValueError, match=message):
            mrvae.build(replace(recipe, model=replace(recipe.hierarchy, context=context)))
