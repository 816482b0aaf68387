"""A diffusion over integers: a prior that bounds log p(c), every term of the bound counted.

Let y_0 be the values, on [-1, 1], of the codes c. Noise is added to them by the chain of
:mod:`mrvae.models.context.priors.schedule`, and a network learns the reverse chain (Kuzina &
Tomczak 2023, appendix C):

    p(c, y_1, …, y_T) = N(y_T; 0, 1) Π_{t=2}^T N(y_{t-1}; μ(y_t, t), σ²(y_t, t)) · N̄(c; μ, σ)(y_1),

where N̄ is a Gaussian rounded to the codes. The bound has T + 1 terms (equation 13),

    log p(c) ≥ -(L_0 + L_1 + … + L_T),
    L_0     = -E log N̄(c; μ(y_1, 1), σ(y_1, 1)),
    L_{t-1} = E KL(q(y_{t-1} | y_t, y_0) ‖ N(μ(y_t, t), σ²(y_t, t))),      t = 2 … T,
    L_T     = KL(q(y_T | y_0) ‖ N(0, 1)),

all in nats, summed over an example's codes. L_T is no small constant: with the published chain of
seven steps a sixth of the signal's variance is left at its end. The code released with the paper
leaves L_T out, and so states no bound.

One network evaluation at a random t gives T L_{t-1} + L_T, whose mean is the sum. A drawn
trajectory gives log p(c, y) - log q(y | c), of which the mean is the bound too, and of which the
log-mean-exp over several is a tighter one (Burda et al. 2016); the log-mean-exp of bounds is none.

What the network writes becomes μ and σ by value: :class:`PredictMean`, :class:`PredictStart`,
:class:`PredictNoise`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mrvae.distributions import DiscretizedGaussian, Gaussian
from mrvae.distributions.pixels import widen
from mrvae.models.context.priors.base import Lattice, standard_normal
from mrvae.models.context.priors.schedule import Chain, Schedule, StepCoefficients


@dataclass(frozen=True)
class PredictMean:
    """The network writes μ and log σ² themselves, as published."""

    def reverse(self, out: Tensor, y: Tensor, at: StepCoefficients) -> Gaussian:
        """Return p(y_{t-1} | y_t) from the network's output (B, 2C, h, w) at y_t (B, C, h, w)."""
        mean, log_variance = widen(out).chunk(2, dim=1)
        return Gaussian(mean, log_variance / 2)


@dataclass(frozen=True)
class PredictStart:
    """The network writes its guess of y_0, and log σ² - log β̃_t: μ = A_t ŷ_0 + B_t y_t."""

    def reverse(self, out: Tensor, y: Tensor, at: StepCoefficients) -> Gaussian:
        """Return p(y_{t-1} | y_t) from the network's output (B, 2C, h, w) at y_t (B, C, h, w)."""
        start, log_ratio = widen(out).chunk(2, dim=1)
        return _reverse_from_start(start, log_ratio, y, at)


@dataclass(frozen=True)
class PredictNoise:
    """The network writes its guess of the noise in y_t, and log σ² - log β̃_t.

    With y_t = √ᾱ_t y_0 + √(1 - ᾱ_t) ε this is a guess of y_0, used as in :class:`PredictStart`.
    """

    def reverse(self, out: Tensor, y: Tensor, at: StepCoefficients) -> Gaussian:
        """Return p(y_{t-1} | y_t) from the network's output (B, 2C, h, w) at y_t (B, C, h, w)."""
        noise, log_ratio = widen(out).chunk(2, dim=1)
        return _reverse_from_start((y - at.sigma_t * noise) / at.alpha_t, log_ratio, y, at)


Prediction = PredictMean | PredictStart | PredictNoise


class Terms(NamedTuple):
    """The terms of the bound, in nats: its negative is their sum.

    Attributes:
        reconstruction: L_0, of shape (B,).
        steps: L_1 … L_{T-1}, of shape (B, T - 1).
        end: L_T, of shape (B,).
    """

    reconstruction: Tensor
    steps: Tensor
    end: Tensor

    @property
    def bound(self) -> Tensor:
        """-(L_0 + … + L_T), of shape (B,)."""
        return -(self.reconstruction + self.steps.sum(1) + self.end)


class DiffusionPrior(nn.Module):
    """A diffusion whose y_0 are the codes of a lattice.

    Args:
        lattice: the context's transform, or another lattice.
        network: from y_t (B, C, h, w) and t, int64 (B,) from 1 to T, to (B, 2C, h, w).
        schedule: how much noise each step adds.
        prediction: what the network's output means.

    Source: Kuzina & Tomczak 2023, appendix C, with L_T and bins that touch.

    Example:
        >>> from mrvae.distributions import Grid
        >>> from mrvae.models.context.priors.base import FixedLattice
        >>> from mrvae.models.context.priors.schedule import LinearSchedule
        >>> class Zero(nn.Module):
        ...     def forward(self, y: Tensor, t: Tensor) -> Tensor:
        ...         return torch.cat((0 * y, 0 * y), dim=1)
        >>> lattice = FixedLattice((1, 1, 2), Grid.unit(4))
        >>> prior = DiffusionPrior(lattice, Zero(), LinearSchedule.scaled(7), PredictStart())
        >>> c = prior.sample(5, torch.Generator().manual_seed(0))
        >>> terms = prior.terms(c, torch.zeros(5, prior.draws, 1, 1, 2))
        >>> terms.steps.shape, bool((terms.end > 0).all())
        (torch.Size([5, 6]), True)
    """

    def __init__(
        self, lattice: Lattice, network: nn.Module, schedule: Schedule, prediction: Prediction
    ) -> None:
        super().__init__()
        self.lattice, self.network, self.prediction = lattice, network, prediction
        self.chain = Chain(schedule.betas)

    @property
    def draws(self) -> int:
        """T: one noise for each step."""
        return len(self.chain.betas)

    # ------------------------------------------------------------------------------ the bound

    def bound(self, c: Tensor, noise: Tensor) -> Tensor:
        """Return the bound in nats, of shape (B,), all of its steps evaluated.

        Args:
            c: codes, int64 (B, C, h, w).
            noise: standard normal, (B, T, C, h, w); noise t - 1 makes y_t.
        """
        return self.terms(c, noise).bound

    def terms(self, c: Tensor, noise: Tensor) -> Terms:
        """Return all terms of the bound; the arguments are those of :meth:`bound`."""
        self._check_noise(noise, self.draws)
        t = torch.arange(1, self.draws + 1, device=c.device).repeat(len(c))
        each = self._term(c.repeat_interleave(self.draws, 0), t, noise.flatten(0, 1))
        each = each.view(len(c), self.draws)
        return Terms(each[:, 0], each[:, 1:], self.end(c, noise.dtype))

    def estimate(self, c: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return -(T L_{t-1} + L_T), of shape (B,): for uniform t, the bound in the mean.

        Args:
            c: codes, int64 (B, C, h, w).
            t: 1 … T, int64 (B,).
            noise: standard normal, (B, C, h, w).
        """
        return -(self.draws * self._term(c, t, noise) + self.end(c, noise.dtype))

    def end(self, c: Tensor, dtype: torch.dtype) -> Tensor:
        """Return L_T, of shape (B,), which needs no network and no noise."""
        start = self.lattice.grid.value(c, dtype)
        at = self.chain.at(_steps(self.draws, start), start)
        last = Gaussian(at.alpha_t * start, at.sigma_t.log().expand_as(start))
        zero = torch.zeros_like(start)
        return _sum(last.kl(Gaussian(zero, zero)))

    def _term(self, c: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return L_{t-1}, of shape (B,), at y_t made of ``noise``."""
        start = self.lattice.grid.value(c, noise.dtype)
        at = self.chain.at(t, noise)
        y = at.alpha_t * start + at.sigma_t * noise
        reverse = self._reverse(y, t)
        posterior = Gaussian(at.start * start + at.state * y, at.log_variance / 2)
        return torch.where(
            t == 1, -_sum(self._rounded(reverse).log_prob(c)), _sum(posterior.kl(reverse))
        )

    # --------------------------------------------------------------------------- trajectories

    def log_weight(self, c: Tensor, noise: Tensor) -> Tensor:
        """Return log p(c, y_1 … y_T) - log q(y_1 … y_T | c) at a drawn trajectory, (B,).

        Its mean is the bound. The log-mean-exp of several for the same c is a tighter bound.

        Args:
            c: codes, int64 (B, C, h, w).
            noise: standard normal, (B, T, C, h, w), the ε_t of y_t = √(1 - β_t) y_{t-1} + √β_t ε_t.

        Source: Burda et al. 2016, equation 8, for the chain.
        """
        self._check_noise(noise, self.draws)
        y, log_weight = self.lattice.grid.value(c, noise.dtype), noise.new_zeros(len(c))
        for step, beta in enumerate(self.chain.betas):
            move = Gaussian((1 - beta) ** 0.5 * y, torch.full_like(y, beta).log() / 2)
            before, y = y, move.sample(noise[:, step])
            reverse = self._reverse(y, _steps(step + 1, y))
            back = self._rounded(reverse).log_prob(c) if step == 0 else reverse.log_prob(before)
            log_weight = log_weight + _sum(back - move.log_prob(y))
        zero = torch.zeros_like(y)
        return log_weight + _sum(Gaussian(zero, zero).log_prob(y))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw n contexts, int64 (n, C, h, w).

        Raises:
            ValueError: if n is not positive.
        """
        like = next(self.network.parameters(), torch.zeros(()))
        shape = (n, self.draws + 1, *self.lattice.shape)
        return self.sample_from(standard_normal(shape, like, generator))

    def sample_from(self, noise: Tensor) -> Tensor:
        """Return the contexts, int64 (B, C, h, w), that noise (B, T + 1, C, h, w) becomes.

        Its first part is y_T, its last makes the codes; a draw of p(c), if it is normal.
        """
        self._check_noise(noise, self.draws + 1)
        y, *middle, last = noise.unbind(1)
        for t, eps in zip(range(self.draws, 1, -1), middle, strict=True):
            y = self._reverse(y, _steps(t, y)).sample(eps)
        return self._rounded(self._reverse(y, _steps(1, y))).sample(last)

    # ---------------------------------------------------------------------------------- parts

    def _reverse(self, y: Tensor, t: Tensor) -> Gaussian:
        """Return p(y_{t-1} | y_t); at t = 1, before it is rounded to the codes."""
        return self.prediction.reverse(self.network(y, t), y, self.chain.at(t, y))

    def _rounded(self, reverse: Gaussian) -> DiscretizedGaussian:
        """Return p(c | y_1)."""
        return DiscretizedGaussian(reverse.mean, reverse.log_scale.exp(), self.lattice.grid)

    def _check_noise(self, noise: Tensor, draws: int) -> None:
        """Refuse noise that is not (B, draws, C, h, w)."""
        if noise.shape[1:] != (draws, *self.lattice.shape):
            raise ValueError(
                f"noise has shape {tuple(noise.shape)}; expected"
                f" (B, {draws}, {', '.join(map(str, self.lattice.shape))})"
            )


def _reverse_from_start(
    start: Tensor, log_ratio: Tensor, y: Tensor, at: StepCoefficients
) -> Gaussian:
    """Return q(y_{t-1} | y_t, y_0) at a guess of y_0, with its variance times e^{log_ratio}."""
    return Gaussian(at.start * start + at.state * y, (at.log_variance + log_ratio) / 2)


def _steps(t: int, y: Tensor) -> Tensor:
    """Return one step number for each example."""
    return torch.full((len(y),), t, device=y.device)


def _sum(x: Tensor) -> Tensor:
    """Return the sums (B,) over each example's elements."""
    return x.flatten(1).sum(1)
