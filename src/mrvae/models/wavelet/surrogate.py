"""The losses of Kiruluta (2025), as surrogates whose value is the bound's.

See :mod:`mrvae.models.objective` for how a surrogate replaces only the gradient. With r the
reconstruction error, the paper has two losses,

    equation 14    r(x, x̂) + β KL(q ‖ p),
    equation 22    r(x, x̂) + Σ_s λ_s ‖μ_s‖₁,     μ_s the encoder's details of level s, before noise,

r being the sum over an image on [0, 1] of squared errors or of binary cross-entropies. Neither
contains the likelihood's scale, and equation 22 contains no prior. These are fitted at the same
time: their parameters follow the bound, with everything that the loss trains detached.

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

from mrvae.distributions import Gaussian
from mrvae.models.elbo import sum_per_image
from mrvae.models.heads.image_head import logits_of
from mrvae.models.hierarchy.walk import Step
from mrvae.models.image import unit_image
from mrvae.models.objective import with_gradient_of
from mrvae.models.trace import Trace
from mrvae.resolution import Coefficients, Wavelet


class Reconstruction(Protocol):
    """A reconstruction error r(x, x̂), x̂ a function of the last state."""

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """Return r of uint8 images (B, C, H, W) and the state (B, C, H, W): (B,)."""
        ...


@dataclass(frozen=True)
class SquaredError:
    """Σ (x - h)², x on [0, 1].

    Example:
        >>> error = SquaredError(bins=3)
        >>> error(torch.ones(1, 1, 1, 2, dtype=torch.uint8), torch.tensor([[[[0.5, 1.0]]]]))
        tensor([0.2500])
    """

    bins: int

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """Return r of uint8 images (B, C, H, W) and the state (B, C, H, W): (B,)."""
        return sum_per_image((unit_image(x, self.bins, h.dtype) - h).square())


@dataclass(frozen=True)
class CrossEntropyError:
    """Σ -x log x̂ - (1 - x) log(1 - x̂), x on [0, 1] and x̂ = squash(h).

    Example:
        >>> error = CrossEntropyError(bins=3)
        >>> error(torch.ones(1, 1, 1, 1, dtype=torch.uint8), torch.tensor([[[[0.5]]]]))
        tensor([0.6931])
    """

    bins: int

    def __call__(self, x: Tensor, h: Tensor) -> Tensor:
        """Return r of uint8 images (B, C, H, W) and the state (B, C, H, W): (B,)."""
        logits = logits_of(h)
        u = unit_image(x, self.bins, h.dtype)
        return sum_per_image(functional.softplus(logits) - u * logits)


@dataclass(frozen=True)
class WeightedLoss:
    """r + β KL: equation 14, with any prior; equation 19 is the KL of a standard normal one.

    Source: Kiruluta 2025, section 3.3.1.
    """

    reconstruction: Reconstruction
    beta: float

    def surrogate_terms(
        self, x: Tensor, trace: Trace, log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the bound's terms with the gradient of the loss."""
        followed = log_likelihood - self.reconstruction(x, trace.state)
        weighted = self.beta * kl
        return with_gradient_of(log_likelihood, followed), with_gradient_of(kl, weighted)


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

    def surrogate_terms(
        self, x: Tensor, trace: Trace, log_likelihood: Tensor, kl: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the bound's terms with the gradient of the loss.

        The priors follow their divergence from the detached posterior.
        """
        followed = log_likelihood - self.reconstruction(x, trace.state)
        fitted = torch.stack([_kl_of_prior(step) for step in trace.steps], dim=1)
        penalised = fitted + self.penalty(trace.steps)
        return with_gradient_of(log_likelihood, followed), with_gradient_of(kl, penalised)

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


def _kl_of_prior(step: Step) -> Tensor:
    """Return KL(q‖p) of a step, (B,), with a gradient for p only."""
    if step.posterior is None:
        raise ValueError("a divergence needs the encoder's features")
    detached = Gaussian(step.posterior.mean.detach(), step.posterior.log_scale.detach())
    return sum_per_image(step.prior.kl_from(detached, step.z.detach()))
