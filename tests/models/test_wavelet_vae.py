"""Wavelet coefficients as latents: the transform, its noise, and the bound."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import cast

import pytest
import torch
from model_tools import posterior_trace
from msgspec.structs import replace
from torch import Tensor
from wavelet_tools import PLAIN, SMALL, DensityHead, Free, pictures, small, stirred, stream

from mrvae.distributions import Gaussian, Logistic
from mrvae.models import HVAE, stack, super_resolve, unstack
from mrvae.models.build import make_wavelet_vae
from mrvae.models.build.weights import save_weights
from mrvae.models.hierarchy.walk import given
from mrvae.models.image import unit_image
from mrvae.models.wavelet.bands import (
    BandCell,
    ConditionalPrior,
    SingleCellStage,
    UnconditionalPrior,
)
from mrvae.models.wavelet.encoder import WaveletEncoder
from mrvae.objectives import importance_bound
from mrvae.recipes import wavelet as spec
from mrvae.resolution import Wavelet

WAVELETS = ("haar", "db2", "sym4", "bior2.2", "rbio1.3")


def unit(x: Tensor) -> Tensor:
    return unit_image(x, SMALL.likelihood.bins, torch.float64)


def priors(model: HVAE) -> list[UnconditionalPrior | ConditionalPrior]:
    stages = [cast(SingleCellStage, stage) for stage in model.stages]
    return [
        cast("UnconditionalPrior | ConditionalPrior", cast(BandCell, stage.cell).prior_net)
        for stage in stages
    ]


# --------------------------------------------------------------------------------- the transform


@pytest.mark.parametrize(
    ("name", "depth"),
    [("haar", 1), ("haar", 3), ("db2", 2), ("sym4", 1), ("bior2.2", 2), ("rbio1.3", 3)],
)
def test_the_walk_undoes_the_transform(name: str, depth: int) -> None:
    """Synthesis after analysis is the identity, whatever the priors; so is a reconstruction."""
    model = small(replace(PLAIN, wavelet=name, depth=depth))
    x = pictures(3)
    latents = stack(Wavelet(name).analysis(unit(x), depth))
    choices = [given(z) for z in latents]
    noise = torch.zeros(3, model.latent_noise_size, dtype=torch.float64)
    trace = model.trace(model.condition(()), choices, noise)
    torch.testing.assert_close(trace.state, unit(x), rtol=0, atol=1e-12)
    assert [step.state.shape[-1] for step in trace.steps] == [8 >> d for d in range(depth, -1, -1)][
        :1
    ] + [8 >> d for d in range(depth - 1, -1, -1)]
    for z, found in zip(latents, model.encode(x), strict=True):
        torch.testing.assert_close(found, z, rtol=0, atol=1e-12)
    assert torch.equal(model.reconstruct(x), x)
    assert torch.equal(unstack(latents).details[0].flatten(1, 2), latents[1])


def test_a_residual_encoder_begins_at_the_transform_and_another_does_not() -> None:
    x = pictures(2)
    assert torch.equal(make_wavelet_vae(SMALL).reconstruct(x), x)
    free = replace(SMALL, encoder=spec.Pyramid(width=8, blocks=1, residual=False))
    assert not torch.equal(make_wavelet_vae(free).reconstruct(x), x)


@pytest.mark.parametrize("name", ["haar", "sym4", "bior2.2"])
def test_noise_of_scale_s_adds_s_squared(name: str) -> None:
    """By an orthonormal transform, to the squared error of every draw: s²‖ε‖², no more or less."""
    model = small(replace(PLAIN, wavelet=name, noise=spec.GlobalNoise(0.01, learnt=False)))
    x, noise = pictures(200), model.noise(200, stream())
    h = posterior_trace(model, x, noise).state
    error, expected = (h - unit(x)).square().sum((1, 2, 3)), 1e-4 * noise.square().sum(1)
    ratio = error / expected
    if Wavelet(name).orthogonal:
        torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=1e-6, atol=0)
        assert (h - unit(x)).square().mean().item() == pytest.approx(1e-4, rel=0.05)
    else:
        assert (ratio - 1).abs().max() > 0.05


@pytest.mark.parametrize(
    ("noise", "entries", "scales"),
    [
        (spec.GlobalNoise(0.3), 1, (0.3, 0.3, 0.3)),
        (spec.NoisePerKind(0.3, 0.2), 2, (0.3, 0.2, 0.2)),
        (spec.NoisePerLevel(0.3), 3, (0.3, 0.3, 0.3)),
        (spec.NoisePerCoefficient(0.3), 2 * 64, (0.3, 0.3, 0.3)),
        (spec.NoisePerCoefficient(0.3, learnt=False), 0, (0.3, 0.3, 0.3)),
        (spec.NoisePerKind(0.3, 0.2, learnt=False), 0, (0.3, 0.2, 0.2)),
    ],
)
def test_noise_has_the_scales_that_are_asked_for(
    noise: spec.Noise, entries: int, scales: tuple[float, ...]
) -> None:
    model = make_wavelet_vae(replace(PLAIN, noise=noise)).double()
    assert sum(p.numel() for p in model.encoder.parameters()) == entries
    steps = posterior_trace(model, pictures(1), model.noise(1)).steps
    for step, scale in zip(steps, scales, strict=True):
        assert step.posterior is not None
        found = step.posterior.log_scale.exp()
        torch.testing.assert_close(found, torch.full_like(found, scale), rtol=1e-6, atol=0)


# ------------------------------------------------------------------------------------- the bound


def linear_gaussian(seed: int = 0) -> tuple[HVAE, Tensor, Tensor, float]:
    """Return a model of Gaussians only, with m and b of all coefficients, and σ."""
    model = make_wavelet_vae(replace(PLAIN, prior=spec.Independent(spec.GaussianSpec()))).double()
    model.head = DensityHead(17, 0.3)
    means, scales = [], []
    for prior, shape in zip(priors(model), model.shapes, strict=True):
        with torch.no_grad():
            prior.log_scale.add_(torch.randn(prior.log_scale.shape, generator=stream(seed)))
        means.append(cast(UnconditionalPrior, prior).location.expand(shape).flatten())
        scales.append(prior.log_scale.exp().expand(shape).flatten())
    return model, torch.cat(means).detach(), torch.cat(scales).detach(), 0.3


def flat(latents: list[Tensor]) -> Tensor:
    return torch.cat([z.flatten(1) for z in latents], dim=1)


def test_the_bound_lies_below_a_likelihood_that_is_known() -> None:
    """p(u) is Gaussian, diagonal in the wavelet basis: N(W u; m, b² + σ²)."""
    model, m, b, sigma = linear_gaussian()
    x = pictures(4)
    c = flat(stack(Wavelet("haar").analysis(unit(x), 2)))
    wide = (b.square() + sigma**2).sqrt()
    evidence = Gaussian(m, wide.log()).log_prob(c).sum(1)
    draws = torch.stack([model.elbo(x, model.noise(4, stream(k))).value for k in range(200)])
    error = draws.std(0) / math.sqrt(200)
    # The exact bound: log p minus the divergence of q from the true posterior.
    truth = Gaussian(m + (b / wide).square() * (c - m), (b * sigma / wide).log().expand_as(c))
    q = Gaussian(c, torch.full_like(c, math.log(0.2)))
    exact = evidence - q.kl(truth).sum(1)
    assert ((draws.mean(0) - exact).abs() < 4 * error).all()
    weighted = importance_bound(model.log_weights(x, 50, noise_of(model, 50, 4)))
    assert (exact < evidence - 1).all()
    assert (weighted < evidence).all()
    assert (weighted > exact).all()


def noise_of(model: HVAE, samples: int, batch: int) -> Tensor:
    return model.noise(samples * batch, stream(9)).view(samples, batch, -1)


def test_with_the_true_posterior_every_weight_is_the_likelihood() -> None:
    model, m, b, sigma = linear_gaussian(seed=1)
    x = pictures(1)
    c = flat(stack(Wavelet("haar").analysis(unit(x), 2)))
    wide = (b.square() + sigma**2).sqrt()
    mean, log_scale = m + (b / wide).square() * (c - m), (b * sigma / wide).log()[None]
    sizes = [math.prod(shape) for shape in model.shapes]

    def cut(values: Tensor) -> list[Tensor]:
        parts = torch.split(values, sizes, dim=1)
        return [part.view(1, *shape) for part, shape in zip(parts, model.shapes, strict=True)]

    model.encoder = Free(cut(mean), cut(log_scale))
    evidence = Gaussian(m, wide.log()).log_prob(c).sum(1)
    weights = model.log_weights(x, 5, noise_of(model, 5, 1))
    torch.testing.assert_close(weights, evidence.expand(5, 1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("family", "conditional"),
    [
        (spec.LaplaceSpec(), True),
        (spec.LogisticSpec(), True),
        (spec.GaussianSpec(), True),
        (spec.LaplaceSpec(), False),
    ],
)
def test_the_divergence_is_the_mean_of_the_weights(family: spec.Family, conditional: bool) -> None:
    coarse_to_fine = spec.CoarseToFine(family, width=8, blocks=1)
    prior = coarse_to_fine if conditional else spec.Independent(family)
    model = small(replace(SMALL, prior=prior))
    x, count = pictures(1).repeat(2000, 1, 1, 1), 2000
    with torch.no_grad():
        steps = posterior_trace(model, x, model.noise(count, stream())).steps
        kl = model.elbo(x, model.noise(count, stream())).kl
    ratios = []
    for step in steps:
        assert step.posterior is not None
        ratio = step.posterior.log_prob(step.z) - step.prior.log_prob(step.z)
        ratios.append(ratio.flatten(1).sum(1))
        assert step.prior.exact_kl == (not isinstance(step.prior, Logistic))
    difference = torch.stack(ratios, dim=1) - kl
    error = difference.std(0) / math.sqrt(count)
    assert (difference.mean(0).abs() <= 4 * error + 1e-9).all()
    # In closed form, or the ratio at the draw itself.
    exact = [step.prior.exact_kl for step in steps]
    assert [bool(column.abs().max() > 1e-6) for column in difference.T] == exact


# ------------------------------------------------------------------------------------- the prior


def test_an_unconditional_prior_equals_a_conditional_one_of_zero_networks() -> None:
    """At the start a network's output is zero: both priors have the same bound, draw for draw."""
    unconditional = make_wavelet_vae(replace(PLAIN, prior=spec.Independent())).double()
    conditional = make_wavelet_vae(
        replace(PLAIN, prior=spec.CoarseToFine(width=8, blocks=1))
    ).double()
    x, noise = pictures(3), unconditional.noise(3, stream())
    torch.testing.assert_close(unconditional.elbo(x, noise).kl, conditional.elbo(x, noise).kl)
    moved = stirred(conditional)
    h = torch.rand(2, 2, 2, 2, generator=stream(), dtype=torch.float64)
    visits = [model.stages[1].visits[0] for model in (unconditional, moved)]
    first, second = (visit.prior(h)[0] for visit in visits)
    other, third = (visit.prior(h + 1)[0] for visit in visits)
    z = torch.zeros(2, 6, 2, 2, dtype=torch.float64)
    assert torch.equal(first.log_prob(z), other.log_prob(z))
    assert (second.log_prob(z) - third.log_prob(z)).abs().max() > 1e-3


@pytest.mark.parametrize("depth", [2, 3])
def test_a_shared_network_is_there_once_and_learns_from_every_level(
    depth: int, tmp_path: Path
) -> None:
    prior = spec.CoarseToFine(width=8, blocks=1, shared=True)
    recipe = replace(SMALL, depth=depth, prior=prior)
    model = small(recipe)
    single = small(replace(recipe, prior=replace(prior, shared=False)))
    own = [name for name in model.state_dict() if "prior_net.network" in name]
    assert own
    assert all("modules_.1." in name for name in own)
    assert len([n for n in single.state_dict() if "prior_net.network" in n]) == depth * len(own)
    x, noise = pictures(2), model.noise(2, stream())
    kl = model.elbo(x, noise).kl
    weight = dict(model.named_parameters())[
        "decoder.modules_.1.cell.prior_net.network.enter.weight"
    ]
    for column in kl[:, 1:].T:
        (slope,) = torch.autograd.grad(column.sum(), weight, retain_graph=True)
        assert slope.abs().max() > 0
    save_weights(tmp_path / "weights.safetensors", model.state_dict())
    copied = copy.deepcopy(model)
    with torch.no_grad():
        dict(copied.named_parameters())[
            "decoder.modules_.1.cell.prior_net.network.leave.bias"
        ].add_(1.0)
    # The copy has one network too: all its levels changed, and none of the model's.
    assert (copied.elbo(x, noise).kl - kl)[:, 1:].abs().min() > 1e-5
    torch.testing.assert_close(model.elbo(x, noise).kl, kl, rtol=0, atol=0)


def test_a_refinement_begins_as_nothing_and_is_read_by_the_likelihood() -> None:
    x = pictures(2)
    model = make_wavelet_vae(replace(SMALL, refinement=spec.Refine(width=16, blocks=1, scales=2)))
    assert torch.equal(model.reconstruct(x), x)
    assert not torch.equal(stirred(model).reconstruct(x), x)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_a_coarse_image_is_what_remains_of_the_fine_one(side: int) -> None:
    """For Haar, averages over blocks of the result are the coarse pixels, up to rounding."""
    recipe = replace(SMALL, likelihood=spec.LogisticImage(bins=256))
    model = make_wavelet_vae(recipe).double()
    with torch.no_grad():
        cast(Tensor, model.head.log_scale).fill_(-9.0)
    coarse = torch.randint(90, 160, (3, 2, side, side), generator=stream()).byte()
    fine = super_resolve(model, coarse, temperature=[1.0, 0.4, 0.4], generator=stream(1))
    averages = torch.nn.functional.avg_pool2d(fine.double(), 8 // side)
    assert (averages - coarse).abs().max() <= 0.5
    other = super_resolve(model, coarse, temperature=0.4, generator=stream(2))
    assert torch.equal(fine, other) == (side == 8)
    frozen = super_resolve(model, coarse, temperature=[1.0, 0.0, 0.0])
    smooth = coarse.repeat_interleave(8 // side, 2).repeat_interleave(8 // side, 3)
    assert (frozen.double() - smooth.double()).abs().max() <= 1


def test_a_coarse_image_of_no_level_is_refused() -> None:
    model = small()
    with pytest.raises(ValueError, match="coarse has 3×3 pixels; expected one of 8, 4, 2"):
        super_resolve(model, torch.zeros(1, 2, 3, 3, dtype=torch.uint8))
    assert isinstance(model.encoder, WaveletEncoder)
    model.encoder = Free([], [])
    with pytest.raises(ValueError, match="Free encodes no wavelets"):
        super_resolve(model, torch.zeros(1, 2, 4, 4, dtype=torch.uint8))


@pytest.mark.parametrize(
    "recipe",
    [
        SMALL,
        replace(PLAIN, noise=spec.NoisePerLevel()),
        replace(SMALL, prior=spec.Independent(), noise=spec.NoisePerCoefficient()),
        replace(SMALL, loss=spec.Sparse()),
        replace(SMALL, loss=spec.Weighted(spec.CrossEntropy())),
        replace(SMALL, refinement=spec.Refine(scales=1)),
        replace(SMALL, likelihood=spec.GaussianImage(17)),
    ],
)
def test_every_parameter_learns(recipe: spec.WaveletVAE) -> None:
    model = small(recipe)
    model.elbo(pictures(4), model.noise(4, stream())).nats.sum().backward()  # type: ignore[no-untyped-call]
    still = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert {name for name in still if not name.endswith("embed.0.weight")} == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": 4}, "depth is 4; 8 pixels a side cannot be halved so often"),
        ({"wavelet": ""}, "wavelet is empty"),
        ({"encoder": spec.Transform()}, "noise from the image needs a network"),
        ({"loss": spec.Sparse(weights=(1.0, 2.0, 3.0))}, "3 weights for 2 levels of details"),
    ],
)
def test_what_makes_no_model_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)
