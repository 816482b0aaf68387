"""Diagonal Gaussians, the family of every latent, and how a network writes their scale.

With mean μ and log-scale s = log σ, elementwise and in nats,

    log N(z; μ, σ) = -½ ((z - μ) e^{-s})² - s - ½ log 2π,
    KL(q ‖ p) = ½ (e^{2r} - 1) - r + ½ ((μ_q - μ_p) e^{-s_p})²,    r = s_q - s_p,

the first term of which is an ``expm1``, so that the divergence keeps its digits where q ≈ p, which
is where most latents of a deep hierarchy are.

A network's output becomes a log-scale by value: :class:`RawScale` takes it as it is (Child 2021),
:class:`SoftplusScale` as σ = softplus(β·raw)/β (Hazami et al. 2022, section 4), whose gradient in
raw is bounded for large scales and whose σ is 1 at raw = 0 when β = log 2, and
:class:`BoundedScale` makes a variance of that softplus and holds it between two bounds
(Kuzina & Tomczak 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from mrvae.distributions.pixels import widen


class Gaussian(NamedTuple):
    """A Gaussian for each element, by mean and log standard deviation of one shape.

    Example:
        >>> prior = Gaussian(torch.zeros(2), torch.zeros(2))
        >>> Gaussian(torch.ones(2), torch.zeros(2)).kl(prior)
        tensor([0.5000, 0.5000])
    """

    mean: Tensor
    log_scale: Tensor

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log N(z; μ, σ) in nats for each element."""
        log_scale = widen(self.log_scale)
        standard = (z - widen(self.mean)) * torch.exp(-log_scale)
        return -0.5 * standard.square() - log_scale - 0.5 * math.log(2 * math.pi)

    def kl(self, other: Gaussian) -> Tensor:
        """Return KL(self ‖ other) in nats for each element."""
        parameters = (*map(widen, self), *map(widen, other))
        if torch.compiler.is_compiling():
            return _divergence(*parameters)[0]
        divergence: Tensor = _Divergence.apply(*parameters)  # type: ignore[no-untyped-call]
        return divergence

    @property
    def exact_kl(self) -> bool:
        """Whether :meth:`kl_from` is in closed form: it is."""
        return True

    def kl_from(self, posterior: Gaussian, z: Tensor) -> Tensor:
        """Return KL(posterior ‖ self) in nats for each element; the draw z is not looked at."""
        return posterior.kl(self)

    def sample(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """Return μ + σ·temperature·noise, a draw if ``noise`` is standard normal."""
        scale = torch.exp(widen(self.log_scale))
        spread = (
            scale if isinstance(temperature, float) and temperature == 1 else scale * temperature
        )
        return widen(self.mean) + spread * noise


def _divergence(
    mean: Tensor, log_scale: Tensor, other_mean: Tensor, other_log_scale: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return KL(q ‖ p), and what its gradient needs: e^{-s_p}, the shift by it, and e^{2r} - 1."""
    precision = torch.exp(-other_log_scale)
    shift = (mean - other_mean) * precision
    ratio = log_scale - other_log_scale
    growth = torch.expm1(2 * ratio)
    return 0.5 * (growth + shift.square()) - ratio, precision, shift, growth


class _Divergence(torch.autograd.Function):
    """KL(q ‖ p) of means and log-scales, and its gradient in six passes.

    With d = (μ_q - μ_p) e^{-s_p},

        ∂μ_q = d e^{-s_p} = -∂μ_p,    ∂s_q = e^{2r} - 1,    ∂s_p = -(e^{2r} - 1 + d²).
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, mean: Tensor, log_scale: Tensor, other_mean: Tensor, other_scale: Tensor
    ) -> Tensor:
        """Return the divergence of each element."""
        value, *saved = _divergence(mean, log_scale, other_mean, other_scale)
        ctx.save_for_backward(*saved)
        # The four may be broadcast to one shape.
        ctx.shapes = [  # type: ignore[attr-defined]
            each.shape for each in (mean, log_scale, other_mean, other_scale)
        ]
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the four parameters."""
        precision, shift, growth = ctx.saved_tensors  # type: ignore[attr-defined]
        weighted = gradient * shift
        of_mean, of_scale = weighted * precision, gradient * growth
        of_other_scale = torch.addcmul(of_scale, weighted, shift).neg_()
        slopes = (of_mean, of_scale, -of_mean, of_other_scale)
        shapes: list[torch.Size] = ctx.shapes  # type: ignore[attr-defined]
        return tuple(s.sum_to_size(shape) for s, shape in zip(slopes, shapes, strict=True))


@dataclass(frozen=True)
class RawScale:
    """The network's output is log σ itself."""

    def __call__(self, raw: Tensor) -> Tensor:
        """Return ``raw``."""
        return raw


# Below this, softplus(y) = e^y and above its negative softplus(y) = y, to float64's last digit.
_LINEAR = 40.0


@dataclass(frozen=True)
class SoftplusScale:
    """σ = softplus(β·raw)/β, computed as log σ without leaving the floating-point range.

    For y = β·raw below t = -40, log softplus(y) = y to the last digit, so that
    log softplus(y) = log softplus(max(y, t)) - max(t - y, 0), exact in value and in gradient.

    Raises:
        ValueError: if ``beta`` is not positive.

    Example:
        >>> SoftplusScale()(torch.tensor([-1e4, 0.0])).round()
        tensor([-6931.,     0.])
    """

    beta: float = math.log(2.0)

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; it must be positive")

    def __call__(self, raw: Tensor) -> Tensor:
        """Return log σ for a network's output of any shape."""
        y = self.beta * widen(raw)
        softplus = functional.softplus(y.clamp(min=-_LINEAR), threshold=_LINEAR)
        # A rectifier, not a difference: its slope is 0 or 1, and cancels no digit of the other's.
        beyond = functional.relu(-_LINEAR - y)
        return softplus.log() - beyond - math.log(self.beta)


@dataclass(frozen=True)
class BoundedScale:
    """σ² = softplus(β·raw)/β, but no less than e^lowest and no more than e^highest.

    With the released β = 0.7, lowest -5 and highest 0 the variance is in [e⁻⁵, 1], and a raw value
    of 0 means σ² = log(2)/0.7 = 0.99.

    Raises:
        ValueError: if ``beta`` is not positive or the bounds are not in order.

    Source: Kuzina & Tomczak 2023, the released code.

    Example:
        >>> BoundedScale()(torch.tensor([-1e4, 1e4]))
        tensor([-2.5000,  0.0000])
    """

    beta: float = 0.7
    lowest: float = -5.0
    highest: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; it must be positive")
        if not self.lowest < self.highest:
            raise ValueError(f"lowest is {self.lowest}; it must be less than {self.highest}")

    def __call__(self, raw: Tensor) -> Tensor:
        """Return log σ for a network's output of any shape."""
        return 0.5 * SoftplusScale(self.beta)(raw).clamp(self.lowest, self.highest)


Scale = RawScale | SoftplusScale | BoundedScale
