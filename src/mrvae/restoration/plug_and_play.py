r"""Plug and play with the hierarchical prior, for y = A x + σ ε with any linear A.

The decoder is taken for a Gaussian around its mean, p(x | z) = N(μ(z), γ²), and two steps alternate
(Prost et al. 2023, algorithm 1):

    z_l = (q's precision · q's mean + λ · p's precision · p's mean)/(the sum of both weights),
                                                 λ = 1/τ² - 1, coarse to fine, with x encoded,
    x   = argmin_x ‖A x - y‖²/(2σ²) + ‖x - μ(z)‖²/(2γ²),        in closed form, see degradations.

At temperature τ = 1 the prior adds nothing and z is q's mean; towards τ = 0 it becomes the prior's
mean. γ² is the mean variance of the likelihood's pixels, measured at every step, not chosen.

That is one image, the fixed point. For draws, z_l is drawn from the product of Gaussians of which
the formula is the mean, and the n chains differ. They have no Metropolis correction, and the
decoder is no Gaussian, so that their spread is a guide to the posterior's and not it: use
:mod:`mrvae.restoration.chain` where it applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Purpose, generator
from mrvae.distributions import Distribution, Gaussian, PixelDistribution
from mrvae.models import HVAE
from mrvae.models.hierarchy.walk import Choose
from mrvae.restoration.degradations import Degradation
from mrvae.restoration.restored import PixelMoments, Progress, Restored, by_chain


@dataclass(frozen=True)
class PlugAndPlay:
    """How the alternation is made.

    Attributes:
        steps: in all.
        warmup: steps at the beginning that do not enter the mean.
        temperature: τ of the prior, in (0, 1], for all latents or for each resolution, coarse to
            fine.
        spread: multiplies the standard deviation with which latents are drawn; 0 for the fixed
            point of the published algorithm.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> PlugAndPlay(temperature=2.0)
        Traceback (most recent call last):
        ValueError: temperature is 2.0; it must be above 0 and at most 1
    """

    steps: int = 60
    warmup: int = 20
    temperature: float | Sequence[float] = 1.0
    spread: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < self.steps:
            raise ValueError(
                f"{self.steps} steps have {self.warmup} of warm-up; expected 0 ≤ warmup < steps"
            )
        for value in self._temperatures:
            if not 0 < value <= 1:
                raise ValueError(f"temperature is {value}; it must be above 0 and at most 1")
        if not 0 <= self.spread < float("inf"):
            raise ValueError(f"spread is {self.spread}; it must be a number of at least 0")

    @property
    def _temperatures(self) -> tuple[float, ...]:
        value = self.temperature
        return (float(value),) if isinstance(value, int | float) else tuple(value)

    def choices(self, model: HVAE) -> list[Choose]:
        """Return how each latent is chosen.

        Raises:
            ValueError: if there is not one temperature for each resolution.
        """
        values = self._temperatures
        if len(values) == 1:
            values = values * len(model.stages)
        if len(values) != len(model.stages):
            raise ValueError(
                f"{len(values)} temperatures for {len(model.stages)} resolutions; give one for all,"
                " or one for each, coarse to fine"
            )
        pairs = zip(model.stages, values, strict=True)
        return [tempered(t, self.spread) for stage, t in pairs for _ in stage.shapes]


@torch.inference_mode()
def restore(
    model: HVAE,
    degradation: Degradation,
    y: Tensor,
    sigma: float,
    n: int,
    method: PlugAndPlay,
    seed: int,
    progress: Progress | None = None,
) -> Restored:
    """Return n restorations of each observation y, and their mean and spread over the steps.

    Every draw is a result of the proximal step: with sigma = 0 it has A x = y up to rounding.

    Args:
        model: the prior.
        degradation: A.
        y: observations on the scale of images on [0, 1], floating point.
        sigma: standard deviation of the noise in y, on the same scale.
        n: draws of each.
        method: number of steps, temperature, spread.
        seed: of the noise of the latents.
        progress: called after every step.

    Raises:
        ValueError: if n is not positive.
    """
    if n < 1:
        raise ValueError(f"n is {n}; draw at least one image")
    weight = next(model.parameters())
    y = y.to(weight.dtype).repeat(n, 1, 1, 1)
    x, moments, choices = degradation.first(y), PixelMoments(n), method.choices(model)
    for index in range(method.steps):
        random = generator(seed, Purpose.RESTORATION, index, device=weight.device)
        observed = model.observe(x.clamp(0, 1) * (model.frame.bins - 1))
        trace = model.trace(observed, choices, model.noise(len(x), random))
        mean, variance = moments_of(trace.likelihood, model.frame.bins)
        x = degradation.prox(mean, y, sigma**2 / variance)
        if progress is not None:
            progress(index + 1)
        if index >= method.warmup:
            moments.add(x, x)
    draws = by_chain(x, n)
    return Restored(draws, moments.mean.to(draws), moments.deviation.to(draws))


def tempered(temperature: float, spread: float = 0.0) -> Choose:
    """Choose z from q · p^λ, λ = 1/τ² - 1: its mean plus ``spread`` standard deviations of noise.

    Of a prior that is no Gaussian only the posterior is used.

    Source: Prost et al. 2023, proposition 1.

    Example:
        >>> q, p = (Gaussian(torch.full((1,), m), torch.zeros(1)) for m in (4.0, 0.0))
        >>> round(float(tempered(0.5**0.5)(p, q, torch.zeros(1))), 4)
        2.0
    """
    strength = 1 / temperature**2 - 1

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("a latent of the posterior needs the encoder's features")
        if not isinstance(prior, Gaussian) or not strength:
            return posterior.sample(noise, spread)
        precision = torch.exp(-2 * posterior.log_scale)
        other = strength * torch.exp(-2 * prior.log_scale)
        total = precision + other
        mean = (precision * posterior.mean + other * prior.mean) / total
        return mean + spread * total.rsqrt() * noise

    return choose


def moments_of(pixels: PixelDistribution, bins: int) -> tuple[Tensor, Tensor]:
    """Return the mean of the pixels on [0, 1], and the mean of their variances, (B, 1, 1, 1)."""
    mean = pixels.mean()
    p = pixels.pmf(mean.round().clamp(0, bins - 1).to(torch.uint8))
    values = torch.arange(bins, dtype=p.dtype, device=p.device)
    first = (p * values).sum(dim=-1)
    variance = ((p * values.square()).sum(dim=-1) - first.square()).clamp(min=0)
    # A likelihood that is certain would ignore the observation.
    least = 1e-6 * (bins - 1) ** 2
    average = variance.mean(dim=(1, 2, 3), keepdim=True).clamp(min=least)
    return mean / (bins - 1), average / (bins - 1) ** 2
