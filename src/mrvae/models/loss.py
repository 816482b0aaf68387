"""What is followed in training: the bound, or a loss that is none.

The value of a model is always its bound. A loss that is no bound lends it its slope alone: with
V the bound's term and R what is to fall in its place,

    V' = stop(V) + (R - stop(R)),        stop(a) being a without its gradient,

has the value V and the gradient of R. So a run is followed, validated and compared in one unit,
whatever it is trained by. Kiruluta (2025) has two such losses. With r the reconstruction error,

    equation 14    r(x, x̂) + β KL(q ‖ p),
    equation 22    r(x, x̂) + Σ_s λ_s ‖μ_s‖₁,     μ_s the encoder's details of level s, before noise,

r being the sum over an image on [0, 1] of squared errors or of binary cross-entropies. Neither says
anything of a likelihood's scale, and equation 22 nothing of a prior. These are fitted beside it:
their parameters follow the bound, with all that the loss is about held fixed, and pull at nothing.

With x̂ = W⁻¹ c of an orthonormal W, squared errors and free coefficients, equation 22 comes apart
into (c_i - (W x)_i)² + λ|c_i|, and its minimum is the soft threshold of W x at λ/2
(Donoho & Johnstone 1994): :func:`soft_threshold`. Noise of scale s adds s² for each coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.distributions import Bins, Gaussian
from mrvae.models.elbo import sum_per_image
from mrvae.models.walk import Step
from mrvae.resolution import Coefficients, Wavelet


class Loss(Protocol):
    """What a model is trained by."""

    def lend(
        self, x: Tensor, h: Tensor, steps: Sequence[Step], log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the bound's terms, (B,) and (B, layers), with the slope that is followed.

        Args:
            x: uint8 images.
            h: the last state of the walk.
            steps: of the walk, coarse to fine.
            log_likelihood: log p(x | z).
            kl: a column for each layer.
        """
        ...


@dataclass(frozen=True)
class Bound:
    """-ELBO, with its own slope."""

    def lend(
        self, x: Tensor, h: Tensor, steps: Sequence[Step], log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the terms as they are."""
        return log_likelihood, kl


class Reconstruction(Protocol):
    """An error r(x, x̂) of the image that is read off a state."""

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """Return r of uint8 images (B, C, H, W) and the state (B, C, H, W): (B,)."""
        ...


@dataclass(frozen=True)
class SquaredError:
    """Σ (x - h)², x on [0, 1].

    Example:
        >>> error = SquaredError(levels=3)
        >>> error(torch.ones(1, 1, 1, 2, dtype=torch.uint8), torch.tensor([[[[0.5, 1.0]]]]))
        tensor([0.2500])
    """

    levels: int

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """Return r of uint8 images (B, C, H, W) and the state (B, C, H, W): (B,)."""
        return sum_per_image((unit_image(x, self.levels, h.dtype) - h).square())


@dataclass(frozen=True)
class CrossEntropyError:
    """Σ -x log x̂ - (1 - x) log(1 - x̂), x on [0, 1] and x̂ = :func:`squash` of h.

    Example:
        >>> error = CrossEntropyError(levels=3)
        >>> error(torch.ones(1, 1, 1, 1, dtype=torch.uint8), torch.tensor([[[[0.5]]]]))
        tensor([0.6931])
    """

    levels: int

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """Return r of uint8 images (B, C, H, W) and the state (B, C, H, W): (B,)."""
        logits = _logits(h)
        u = unit_image(x, self.levels, h.dtype)
        return sum_per_image(functional.softplus(logits) - u * logits)


def squash(h: Tensor) -> Tensor:
    """Return 1/(1 + e^{2 - 4h}), which lies in (0, 1) and leaves 1/2 and its slope as they are.

    Example:
        >>> squash(torch.tensor([0.5, 0.6]))
        tensor([0.5000, 0.5987])
    """
    return torch.sigmoid(_logits(h))


def unit_image(x: Tensor, levels: int, dtype: torch.dtype) -> Tensor:
    """Return uint8 images on [0, 1].

    Example:
        >>> unit_image(torch.tensor([0, 1, 2], dtype=torch.uint8), 3, torch.float32)
        tensor([0.0000, 0.5000, 1.0000])
    """
    return (Bins(levels).to_unit(x, dtype) + 1) / 2


@dataclass(frozen=True)
class WeightedLoss:
    """r + β KL: equation 14, with any prior; equation 19 is the KL of a standard normal one.

    Source: Kiruluta 2025, section 3.3.1.
    """

    reconstruction: Reconstruction
    beta: float

    def lend(
        self, x: Tensor, h: Tensor, steps: Sequence[Step], log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the bound's terms with the slope of the loss."""
        followed = log_likelihood - self.reconstruction(x, h)
        return _lend(log_likelihood, followed), _lend(kl, self.beta * kl)


@dataclass(frozen=True)
class SparseLoss:
    """r + Σ_s λ_s ‖μ_s‖₁: equation 22.

    Args:
        reconstruction: r.
        weights: λ_s of each level of details, coarse to fine.

    Source: Kiruluta 2025, section 3.3.2.
    """

    reconstruction: Reconstruction
    weights: tuple[float, ...]

    def lend(
        self, x: Tensor, h: Tensor, steps: Sequence[Step], log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the bound's terms with the slope of the loss.

        The priors follow their divergence from the posterior held fixed.
        """
        followed = log_likelihood - self.reconstruction(x, h)
        fitted = torch.stack([_held_kl(step) for step in steps], dim=1)
        return _lend(log_likelihood, followed), _lend(kl, fitted + self.penalty(steps))

    def penalty(self, steps: Sequence[Step]) -> Tensor:
        """Return λ_s ‖μ_s‖₁, a column for each layer; the approximation, the first, has none."""
        posteriors = [step.posterior for step in steps if step.posterior is not None]
        columns = [
            weight * sum_per_image(posterior.mean.abs())
            for weight, posterior in zip((0.0, *self.weights), posteriors, strict=True)
        ]
        return torch.stack(columns, dim=1)


def soft_threshold(u: Tensor, wavelet: Wavelet, weights: Sequence[float]) -> Coefficients:
    """Return the coefficients at which equation 22 with squared errors is least.

    Args:
        u: images on [0, 1], (…, H, W).
        wavelet: orthogonal.
        weights: λ_s of each level of details, coarse to fine; as many levels are taken.

    Raises:
        ValueError: if the wavelet is not orthogonal, or the image cannot be halved so often.

    Source: Kiruluta 2025, equation 22; its minimum is the soft threshold of Donoho & Johnstone 1994
    at λ/2.

    Example:
        >>> u = torch.tensor([[0.0, 0.1], [0.0, 1.0]])
        >>> soft_threshold(u, Wavelet("haar"), [0.2]).details[0].flatten()
        tensor([-0.3500, -0.4500,  0.3500])
    """
    if not wavelet.orthogonal:
        raise ValueError(f"{wavelet.name} is not orthogonal; the minimum is no soft threshold")
    coarse, details = wavelet.analysis(u, len(weights))
    cut = [
        torch.sign(each) * functional.relu(each.abs() - weight / 2)
        for each, weight in zip(details, weights, strict=True)
    ]
    return Coefficients(coarse, tuple(cut))


def _logits(h: Tensor) -> Tensor:
    return 4 * h - 2


def _lend(value: Tensor, slope: Tensor) -> Tensor:
    """Return the value of one tensor with the gradient of another."""
    return value.detach() + (slope - slope.detach())


def _held_kl(step: Step) -> Tensor:
    """Return KL(q‖p) of a step, (B,), whose gradient reaches p alone."""
    if step.posterior is None:
        raise ValueError("a divergence needs the encoder's features")
    held = Gaussian(step.posterior.mean.detach(), step.posterior.log_scale.detach())
    return sum_per_image(step.prior.kl_from(held, step.z.detach()))
