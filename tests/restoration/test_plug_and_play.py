"""Plug and play, and enlarging by a context."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import mrvae
from helpers.members import for_all
from helpers.tiny_vdvae import tiny_vdvae
from mrvae.data import load
from mrvae.distributions import Gaussian, Laplace, MidTread
from mrvae.models import (
    HVAE,
    DCTContext,
    FactorisedPrior,
    ImageFrame,
    Level,
    PooledContext,
    WaveletContext,
)
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.resolution import DCT, Ladder
from mrvae.restoration import (
    Averages,
    MarkovChain,
    PlugAndPlay,
    context_of,
    deblur,
    denoise,
    enlarge,
    gaussian_kernel,
    inpaint,
    upscale,
)
from mrvae.restoration.plug_and_play import moments_of, tempered

RANDOM = torch.Generator().manual_seed(0)
LEVELS = (Level(4, 8, 2, 1, 1), Level(8, 8, 2, 1, 1))
FRAME = ImageFrame(1, 8, 8, 8.0, 8.0, 17)
CONTEXTS = (
    PooledContext((1, 8, 8), 2, MidTread(1 / 16), bins=17),
    WaveletContext((1, 8, 8), "haar", 1, MidTread(1 / 16), bins=17),
    WaveletContext((1, 8, 8), "db2", 2, MidTread(1 / 16), bins=17),
    DCTContext((1, 8, 8), 4, MidTread(1 / 16), bins=17),
)


def images(count: int) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 17, (count, 1, 8, 8), generator=random).to(torch.uint8)


def test_latents_are_at_the_mode_of_posterior_times_tempered_prior() -> None:
    """The gradient of log q + (1/τ² - 1) log p is zero at the choice, for every element."""
    q = Gaussian(*torch.randn(2, 50, generator=RANDOM, dtype=torch.float64).unbind())
    p = Gaussian(*torch.randn(2, 50, generator=RANDOM, dtype=torch.float64).unbind())
    for temperature in (1.0, 0.8, 0.3):
        z = tempered(temperature)(p, q, torch.ones(50, dtype=torch.float64)).requires_grad_()
        density = q.log_prob(z) + (1 / temperature**2 - 1) * p.log_prob(z)
        (slope,) = torch.autograd.grad(density.sum(), z)
        curvature = 1 / q.log_scale.exp() ** 2
        assert float((slope / curvature).abs().max()) < 1e-9
    flat = Laplace(torch.zeros(50), torch.zeros(50))
    assert torch.equal(tempered(0.3)(flat, q, torch.ones(50)), q.sample(torch.ones(50), 0.0))


def test_the_variance_of_a_decoder_is_that_of_its_pixels() -> None:
    model = tiny_vdvae()
    pixels = model.draw(2, generator=torch.Generator().manual_seed(0))
    mean, variance = moments_of(pixels, 17)
    random = torch.Generator().manual_seed(0)
    draws = torch.stack([pixels.sample(random) for _ in range(3000)]).double() / 16
    torch.testing.assert_close(draws.mean(dim=0), mean, rtol=0, atol=0.03)
    expected = draws.var(dim=0).mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(variance, expected, rtol=0.02, atol=0)


@for_all("wavelet", ["haar", "db2"])
def test_every_enlarged_image_has_the_averages_of_the_small_one(wavelet: str) -> None:
    model, small = tiny_vdvae(), torch.rand(2, 1, 4, 4, generator=RANDOM, dtype=torch.float64)
    made = upscale(model, small, 2, wavelet=wavelet, n=3, method=PlugAndPlay(3, 1))
    for image in (*made.draws, made.mean):
        torch.testing.assert_close(Averages(1, wavelet).apply(image), small)
    assert not torch.equal(made.draws[0], made.draws[1])
    fixed = upscale(model, small, 2, n=2, method=PlugAndPlay(3, 1, spread=0.0))
    assert torch.equal(fixed.draws[0], fixed.draws[1])


@for_all("context", CONTEXTS)
def test_a_small_picture_gives_the_context_of_the_whole_image(
    context: PooledContext | WaveletContext | DCTContext,
) -> None:
    x = images(40)
    if not context.fitted:
        context.fit(x)
    model = with_context(context)
    u = x.double() / 16
    match context:
        case PooledContext(factor=factor):
            small = Ladder(1, 3).project(u, factor[0].bit_length() - 1)
        case WaveletContext(steps=steps):
            small = Averages(steps, context.wavelet.name).apply(u)
        case DCTContext():
            low = DCT(4).analysis(u)
            small = DCT(4).synthesis(low * 4 / 8, 4, 4)
    codes = context_of(model, small)
    # A coefficient in the middle between two codes may fall to either side.
    assert float((codes == context.encode(x)).double().mean()) > 0.99
    made = enlarge(model, small[:2], n=2)
    assert made.draws.shape == (2, 2, 1, 8, 8)
    with pytest.raises(ValueError, match="the context of this model is computed from"):
        context_of(model, u)
    with pytest.raises(ValueError, match="this model has a context"):
        inpaint(model, x, torch.ones(8, 8, dtype=torch.bool))


def with_context(context: PooledContext | WaveletContext | DCTContext) -> HVAE:
    """The tiny model of digits with a context above it."""
    torch.manual_seed(0)
    plain = mrvae.build(mrvae.recipe("digits-vdvae"))
    levels = [stage.level for stage in plain.stages]
    ladder = Ladder(levels[0].size, 3)
    conditioner = ContextConditioner(FactorisedPrior(context), levels, plain.frame, ladder, True)
    return HVAE(plain.encoder, plain.decoder, plain.head, plain.frame, conditioner)


@pytest.mark.slow
def test_denoising_beats_the_observation_on_digits() -> None:
    """The shipped model: less than half of the squared error, by either way."""
    model, x = mrvae.load("digits-vdvae"), load("digits", "test").first(6).tensor() / 16
    y = x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    exact = denoise(model, y, 0.3, n=1, chain=MarkovChain(24, 10, 6))
    assert float((exact.mean - x).square().mean()) < 0.5 * 0.3**2
    blurred = deblur(model, y, gaussian_kernel(0.05), 0.3, n=1, method=PlugAndPlay(12, 4))
    assert float((blurred.mean - x).square().mean()) < 0.5 * 0.3**2


@for_all(
    ("factor", "match"),
    [(3, "give 2, 4, 8"), (1, "give 2, 4, 8"), (16, "must divide the model's 8×8 pixels")],
)
def test_factors_that_do_not_fit_are_refused(factor: int, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        upscale(tiny_vdvae(), torch.zeros(1, 1, 4, 4), factor)


def test_temperatures_are_one_or_one_for_each_resolution() -> None:
    model, small = tiny_vdvae(), torch.rand(1, 1, 4, 4, generator=RANDOM)
    method = PlugAndPlay(2, 1, temperature=(0.5, 0.9, 1.0))
    assert upscale(model, small, 2, n=1, method=method).draws.isfinite().all()
    with pytest.raises(ValueError, match="2 temperatures for 3 resolutions"):
        upscale(model, small, 2, method=replace(method, temperature=(0.5, 1.0)))
