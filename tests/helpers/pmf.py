"""Laws of every distribution over images: each helper fails if its law does."""

from __future__ import annotations

import itertools

import torch
from scipy import stats
from torch import Tensor

from mrvae.distributions import PixelDistribution


def check_normalised(pmf: Tensor, tolerance: float = 1e-10) -> None:
    """Probabilities lie in [0, 1] and sum to one over the last axis."""
    assert torch.isfinite(pmf).all()
    assert pmf.min() >= 0
    assert (pmf.sum(-1) - 1).abs().max() <= tolerance


def check_chain_rule(distribution: PixelDistribution, x: Tensor, tolerance: float = 1e-9) -> None:
    """The logarithms of the conditional probabilities of ``x`` add up to log_prob."""
    chosen = distribution.pmf(x).gather(-1, x.long().unsqueeze(-1)).squeeze(-1)
    total = chosen.log().sum(dim=(1, 2, 3))
    torch.testing.assert_close(distribution.log_prob(x), total, rtol=tolerance, atol=tolerance)


def check_causal(distribution: PixelDistribution, x: Tensor, other: Tensor) -> None:
    """A channel's pmf is the same to the last bit whatever it and the later channels hold."""
    expected = distribution.pmf(x)
    for channel in range(x.shape[1]):
        mixed = torch.cat((x[:, :channel], other[:, channel:]), dim=1)
        assert torch.equal(distribution.pmf(mixed)[:, channel], expected[:, channel])


def check_mean(mean: Tensor, pmf: Tensor, tolerance: float = 1e-9) -> None:
    """The mean is Σ v p(v)."""
    values = torch.arange(pmf.shape[-1], dtype=pmf.dtype)
    torch.testing.assert_close(mean, pmf @ values, rtol=tolerance, atol=tolerance)


def check_total(pixel: PixelDistribution, channels: int, bins: int) -> Tensor:
    """The probabilities of all images of one pixel sum to one; they are returned in order."""
    images = itertools.product(range(bins), repeat=channels)
    probabilities = torch.cat(
        [
            pixel.log_prob(torch.tensor(image, dtype=torch.uint8).view(1, channels, 1, 1)).exp()
            for image in images
        ]
    )
    assert abs(probabilities.sum().item() - 1) < 1e-10
    return probabilities


def check_samples(probabilities: Tensor, samples: Tensor, bins: int) -> None:
    """The pixels of ``samples`` (B, C, H, W) pass a χ² test for the joint law of their channels."""
    channels = samples.shape[1]
    place = bins ** torch.arange(channels - 1, -1, -1)
    cells = (samples.movedim(1, -1).reshape(-1, channels).long() * place).sum(-1)
    observed = torch.bincount(cells, minlength=bins**channels).double()
    expected = probabilities * observed.sum()
    common = expected >= 5
    pairs = [(observed[common], expected[common]), (observed[~common], expected[~common])]
    merged = [torch.cat((part, rest.sum().view(1))) for part, rest in zip(*pairs, strict=True)]
    if expected[~common].sum() < 5:
        assert merged[0][-1] <= 20
        merged = [pairs[0][0], pairs[0][1] * pairs[0][0].sum() / pairs[0][1].sum()]
    assert stats.chisquare(merged[0].numpy(), merged[1].numpy()).pvalue > 1e-3
