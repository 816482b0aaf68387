"""The chain on images and latents: its limit is the posterior that an exhaustive sum gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.members import for_all
from helpers.tiny_vdvae import tiny_vdvae
from mrvae.distributions import Categorical, DiscretizedLogisticMixture, PixelDistribution
from mrvae.models import HVAE, ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.models.hierarchy.walk import from_prior
from mrvae.recipes.schema import BernoulliPixels
from mrvae.restoration import KnownPixels, MarkovChain, NoisyPixels, denoise, inpaint
from mrvae.restoration.chain import ChainState, _move, _stream, states

NODES = 8
IMAGES = torch.cartesian_prod(*[torch.arange(2)] * 4).view(16, 1, 2, 2).to(torch.uint8)
TOP = torch.tensor([[True, True], [False, False]])
SIGMA = 0.7


def tiny_model(seed: int) -> HVAE:
    """A hierarchy of five latent values over binary images of 2 × 2, its weights random."""
    levels = parse_levels("2x1,2d2,1x1", "1x1,2m1", (4,), (1,))
    frame = ImageFrame(1, 2, 2, 0.5, 0.5, 2)
    model = hierarchy(levels, frame, BernoulliPixels(), bottleneck=0.5).double()
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
            fan = parameter[0].numel() if parameter.dim() == 4 and parameter.shape[0] > 1 else 9
            parameter.copy_(1.05 * values * fan**-0.5)
    return model


@torch.inference_mode()
def evidence(model: HVAE) -> Tensor:
    """p(x) of all 16 images, by Gauss-Hermite quadrature over the five latent values."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    count = model.latent_noise_size
    noise = torch.cartesian_prod(*[torch.from_numpy(nodes)] * count)
    weight = torch.cartesian_prod(*[torch.from_numpy(weights / weights.sum())] * count).prod(dim=1)
    pixels = model.trace(model.condition(()), from_prior(), noise).likelihood
    each = [pixels.log_prob(x.expand(len(noise), -1, -1, -1)).exp() for x in IMAGES]
    return torch.stack(each) @ weight


def numbers(x: Tensor) -> Tensor:
    """The index in IMAGES of each image."""
    return (x.flatten(1).long() * torch.tensor([8, 4, 2, 1])).sum(dim=1)


def frequencies(chain: Iterator[ChainState], warmup: int, rows: int) -> Tensor:
    """How often each row of a chain was each image, (rows, 16)."""
    counts, steps = torch.zeros(rows, 16, dtype=torch.float64), 0
    for state in islice(chain, warmup, None):
        counts[torch.arange(rows), numbers(state.x)] += 1
        steps += 1
    return counts / steps


def deviation(found: Tensor, expected: Tensor) -> float:
    """The largest distance from the expected probabilities in standard errors over the chains."""
    error = found.std(dim=0) / len(found) ** 0.5
    return float(((found.mean(dim=0) - expected).abs() / error.clamp(min=1e-9)).max())


@pytest.mark.slow
@torch.inference_mode()
def test_missing_and_noisy_pixels_have_the_summed_posterior() -> None:
    """With the correction within 4 standard errors; without it the same chain is far off."""
    model, rows = tiny_model(seed=1), 250
    p = evidence(model)
    y = torch.tensor([[[0.2, 0.9], [0.4, 0.6]]], dtype=torch.float64).unsqueeze(0)
    misfit = (-0.5 * ((IMAGES - y) / SIGMA).square()).sum(dim=(1, 2, 3)).exp()
    agrees = (IMAGES[:, 0, 0] == torch.tensor([0, 1])).all(dim=1)
    cases = (
        (KnownPixels(torch.tensor([[[[0, 1], [0, 0]]]], dtype=torch.uint8), TOP, 2), agrees * p),
        (NoisyPixels(y, SIGMA, 2), misfit * p),
    )
    for conditional, joint in cases:
        expected = joint / joint.sum()
        distances = []
        for corrected in (True, False):
            chain = states(
                model, conditional.repeat(rows), MarkovChain(90, 15, 3, corrected), seed=0
            )
            distances.append(deviation(frequencies(chain, 15, rows), expected))
        assert distances[0] < 4, distances
        assert distances[1] > 6, distances


@torch.inference_mode()
def test_a_posterior_that_is_far_off_changes_nothing_in_the_limit() -> None:
    """Begun with exact draws of (x, z), the chain keeps p(x); without correction it does not."""
    model, rows = tiny_model(seed=2), 6000
    p = evidence(model)
    random = torch.Generator().manual_seed(0)
    trace = model.trace(model.condition(()), from_prior(), model.noise(rows, random))
    for corrected, low, high in ((True, 0.0, 37.7), (False, 100.0, float("inf"))):
        latents, state = trace.latents, trace.state
        x = model.pixels(state).sample(random)
        for step in range(4):
            stream = _stream(model, 5, step)
            x = KnownPixels(x, TOP, 2).draw(model.pixels(state), x, stream)
            now = _move(model, x, latents, corrected, stream)
            latents, state = now.latents, now.state
        x = KnownPixels(x, TOP, 2).draw(model.pixels(state), x, stream)
        counts = torch.bincount(numbers(x), minlength=16)
        # Chi-square of 15 degrees of freedom: 37.7 is passed once in a thousand.
        assert low <= float(((counts - rows * p).square() / (rows * p)).sum()) < high


def test_noisy_pixels_are_drawn_from_the_sum_over_bins() -> None:
    """Of grey and of dependent colours, against all values of one pixel."""
    random, rows = torch.Generator().manual_seed(0), 6000
    grey = Categorical(torch.randn(1, 5, 1, 1, generator=random).expand(rows, -1, -1, -1), 1, 5)
    raw = 2 * torch.randn(1, 20, 1, 1, generator=random).expand(rows, -1, -1, -1)
    for pixels, channels, bins in ((grey, 1, 5), (DiscretizedLogisticMixture(raw, 3, 3), 3, 3)):
        every = torch.cartesian_prod(*[torch.arange(bins)] * channels).view(-1, channels, 1, 1)
        y = torch.full((1, channels, 1, 1), 1.3)
        exact = (
            _probabilities(pixels, every, rows)
            * (-0.5 * ((every - y) / SIGMA).square()).sum(dim=(1, 2, 3)).exp()
        )
        noisy = NoisyPixels(y.expand(rows, -1, -1, -1), SIGMA, bins)
        x = noisy.first()
        for _ in range(1 if channels == 1 else 12):
            x = noisy.draw(pixels, x, random)
        place = (every.flatten(1).to(torch.uint8)[None] == x.flatten(1)[:, None]).all(dim=-1)
        counts, expected = place.sum(dim=0), rows * exact / exact.sum()
        freedom = len(every) - 1
        chi_square = float(((counts - expected).square() / expected).sum())
        assert chi_square < freedom + 4 * (2 * freedom) ** 0.5
        if channels == 1:
            mean = float((expected * every.flatten()).sum() / rows)
            assert float(noisy.mean(pixels, x)[0]) == pytest.approx(mean, rel=1e-5)


def _probabilities(pixels: PixelDistribution, every: Tensor, rows: int) -> Tensor:
    """p(x) of every value of one pixel."""
    images = [x.to(torch.uint8).expand(rows, -1, -1, -1) for x in every]
    return torch.stack([pixels.log_prob(x)[0].exp() for x in images])


def test_known_pixels_stay_and_steps_are_a_function_of_the_seed() -> None:
    model = tiny_vdvae()
    x = torch.randint(0, 17, (2, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    known = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.5
    hidden = torch.where(known, x, 5)
    first, again, other = (
        inpaint(model, each, known, n=2, chain=MarkovChain(5, 2, 1), seed=seed)
        for each, seed in ((x, 3), (hidden, 3), (x, 4))
    )
    assert torch.equal(first.draws, again.draws)
    assert not torch.equal(first.draws, other.draws)
    assert bool((first.draws == x / 16)[:, known].all())
    assert bool((first.deviation[known] == 0).all())
    assert bool(((first.mean - x / 16)[known].abs() < 1e-12).all())


@for_all(
    ("y", "sigma", "match"),
    [
        (torch.zeros(1, 1, 4, 4), 0.1, "expected real numbers of shape"),
        (torch.zeros(1, 1, 8, 8), 0.0, "sigma is 0.0; it must be a number above 0"),
        (torch.full((1, 1, 8, 8), float("nan")), 0.1, "not finite"),
    ],
)
def test_what_cannot_be_denoised_is_refused(y: Tensor, sigma: float, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        denoise(tiny_vdvae(), y, sigma)


@for_all(
    ("known", "match"),
    [
        (torch.ones(8, 8), "the mask is torch.float32"),
        (torch.ones(4, 8, dtype=torch.bool), "expected torch.bool of"),
        (torch.ones(3, 1, 8, 8, dtype=torch.bool), "one for each image"),
    ],
)
def test_masks_of_another_shape_are_refused(known: Tensor, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        inpaint(tiny_vdvae(), torch.zeros(2, 1, 8, 8, dtype=torch.uint8), known)


def test_chains_have_an_order() -> None:
    with pytest.raises(ValueError, match="expected 0 ≤ gibbs ≤ warmup < steps"):
        MarkovChain(steps=10, warmup=10)
