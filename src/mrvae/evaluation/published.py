r"""The estimator of the code released with Kuzina & Tomczak (2023), and its four defects.

A bound may be reported beside the number of a paper, each under its own name. The
released code estimates log p(x) of a hierarchy below a context c = f(x) by

    log (1/K) Σ_k exp(log p(x | z_k) - Σ_l KL_l(z_k))  +  log (1/10) Σ_i exp(B_i),

which differs from the bound of :mod:`mrvae.evaluation.likelihood` in four places. Each has a
field of its own here, so that their effects can be measured one by one:

    analytic    D1   closed-form KL inside the mean over z, in the place of log p(z) - log q(z | x);
    averaged    D2   the mean of exp(B_i) over ten Monte-Carlo values B_i of the diffusion's bound,
                     in the place of one;
    open_end    D3   B without L_T = KL(q(y_T | c) ‖ N(0, 1));
    wide_bins   D4   B with bins of half-width 1/(n - 1) for n codes, where the values of mid-rise
                     codes are 2/n apart: the "probabilities" add up to more than one.

By Jensen's inequality D1 and D2 lift the number towards log E exp(·), which may exceed
log p(x); D3 leaves out a non-negative term; D4 never makes a probability smaller. What D1 lifts may
still lie below log p(x), if the posterior is bad enough: the number is a bound neither way. On a
grid with both ends of [-1, 1] bins of half-width 1/(n - 1) touch, and D4 is none.

D2 to D4 are of the diffusion: without a context, or under a prior with an exact log p(c), they
change nothing. The Gaussian's distribution function is exact here; the released code approximates
it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mrvae.distributions import DiscretizedGaussian, Gaussian, Grid
from mrvae.models import DiffusionPrior
from mrvae.models.context.conditioner import Conditioner, ContextConditioner
from mrvae.models.trace import Latents

AVERAGED = 10


@dataclass(frozen=True)
class Defects:
    """Which steps of the published estimator are taken; none of them gives the valid bound.

    Args:
        analytic: D1, closed-form KL inside the mean over importance samples.
        averaged: D2, log-mean-exp over ten values of the context's bound.
        open_end: D3, no L_T.
        wide_bins: D4, overlapping bins.

    Example:
        >>> Defects(open_end=True).needed, KUZINA2023.needed
        (1, 10)
    """

    analytic: bool = False
    averaged: bool = False
    open_end: bool = False
    wide_bins: bool = False

    @property
    def needed(self) -> int:
        """How many Monte-Carlo values of the context's bound it reads."""
        return AVERAGED if self.averaged else 1


KUZINA2023 = Defects(analytic=True, averaged=True, open_end=True, wide_bins=True)


class ContextTerms(NamedTuple):
    """Terms of a context's bound at M noises, in nats, of shape (M, B) each.

    Attributes:
        reconstruction: L_0.
        wide: L_0 with the published bins.
        steps: L_1 + … + L_{T-1}.
        end: L_T.
    """

    reconstruction: Tensor
    wide: Tensor
    steps: Tensor
    end: Tensor

    def nats(self, defects: Defects) -> Tensor:
        """Return minus the context's number with these defects, of shape (B,)."""
        values = -(self.wide if defects.wide_bins else self.reconstruction) - self.steps
        values = values if defects.open_end else values - self.end
        values = values[: defects.needed]
        return math.log(len(values)) - values.logsumexp(dim=0)


def context_terms(context: Conditioner, codes: Latents, noise: Sequence[Tensor]) -> ContextTerms:
    """Return the terms of the context's bound, float64 on the CPU.

    Without a context, or with a prior that is no diffusion, all nats are in the first term.

    Args:
        context: of the model.
        codes: of the images.
        noise: M of them, standard normal, (B, noise_size) each.
    """
    prior: object = context.prior
    if isinstance(context, ContextConditioner) and isinstance(prior, DiffusionPrior):
        parts = [_diffusion(prior, codes[0], context.per_draw(draw)) for draw in noise]
    else:
        parts = [_single_term(context.nats(codes, draw, None).sum(dim=1)) for draw in noise]
    columns = zip(*parts, strict=True)
    return ContextTerms(*(torch.stack(column).cpu().double() for column in columns))


def wide_log_mass(mean: Tensor, scale: Tensor, code: Tensor, grid: Grid) -> Tensor:
    """Return the logarithm of the "mass" of codes' bins of half-width 1/(n - 1), tails folded in.

    Args:
        mean: μ.
        scale: σ, positive, of the shape of ``mean``.
        code: int64, of the shape of ``mean``.
        grid: of n codes.

    Source: the code released with Kuzina & Tomczak 2023, with the exact distribution function.

    Example:
        >>> from mrvae.distributions import MidRise
        >>> grid, zero = MidRise(bits=2).grid(torch.ones(())), torch.zeros(4)
        >>> masses = wide_log_mass(zero, zero + 0.3, torch.arange(4), grid).exp()
        >>> round(float(masses.sum()), 2)
        1.33
    """
    value = grid.value(code, mean.dtype)
    inner = code > 0, code < grid.last(code)
    width = 2 / grid.last(value).clamp(min=1) + torch.zeros_like(value)
    # A grid for each element, on which the wide bin is the bin of one code of at most three.
    below, above = (side.to(value.dtype) for side in inner)
    widened = Grid((1 + below + above).long(), value - width * below, width)
    return DiscretizedGaussian(mean, scale, widened).log_prob(below.long())


def _diffusion(prior: DiffusionPrior, c: Tensor, noise: Tensor) -> ContextTerms:
    """Return the terms (B,) at one noise (B, T, C, h, w)."""
    terms = prior.terms(c, noise)
    grid = prior.lattice.grid
    way_back = _last_step(prior, c, noise[:, 0])
    wide = wide_log_mass(way_back.mean, way_back.log_scale.exp(), c, grid)
    return ContextTerms(
        terms.reconstruction, -wide.flatten(1).sum(1), terms.steps.sum(1), terms.end
    )


def _last_step(prior: DiffusionPrior, c: Tensor, noise: Tensor) -> Gaussian:
    """Return p(y_0 | y_1) before it is rounded, at y_1 made of the noise."""
    t = torch.ones(len(c), dtype=torch.int64, device=c.device)
    at = prior.chain.at(t, noise)
    y = at.alpha_t * prior.lattice.grid.value(c, noise.dtype) + at.sigma_t * noise
    return prior.prediction.reverse(prior.network(y, t), y, at)


def _single_term(nats: Tensor) -> ContextTerms:
    """Return nats that have no parts."""
    zero = torch.zeros_like(nats)
    return ContextTerms(nats, nats, zero, zero)
