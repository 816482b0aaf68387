"""A Gaussian rounded to a grid: the distribution of an ordered discrete variable.

Φ is the normal distribution function. Rounded to the nearest code, a variable of mean μ and scale
σ is at code v, whose bin is [l, r], with probability (Kuzina & Tomczak 2023, equations 14 and 15)

    P(v) = Φ(b) - Φ(a),    a = (l - μ)/σ,  b = (r - μ)/σ,

the first bin reaching to -∞ and the last to ∞. The sum telescopes to one for every μ and σ, if
the bins touch. In the code released with the paper they overlap: codes are 2/2^n apart and half
a bin is 1/(2^n - 1) wide. There is no tolerance here, and no floor for the probability.

The logarithm is taken in one of two ways. The bin is first mirrored to the right of μ, so that
its middle m = (a + b)/2 is not negative; let d = b - a and Q = 1 - Φ. If the bin is wide,

    log P = log Q(a) + log(1 - e^{-D}),    D = log Q(a) - log Q(b),

where D is at least d m, and large enough to keep its digits. If it is narrow, d ≤ 1 and d m ≤ 2,
the integral of the density is summed by Gauss and Legendre's rule of eight nodes ξ, exact here to
the last digit of float64:

    log P = -m²/2 - ½ log 2π + log d + log ½ Σ w e^{-(d/2)ξ m - (dξ)²/8}.

Both are computed from the same a and b, so masses sum to one in float32 too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.special import erfcx

from mrvae.distributions.grid import Grid
from mrvae.distributions.pixels import widen

# The positive half of the eight nodes on [-1, 1], and their weights.
_NODES = (0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363)
_WEIGHTS = (0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763)


class DiscretizedGaussian:
    """A Gaussian for each element, rounded to the codes of a grid.

    Args:
        mean: μ, of any shape.
        scale: σ, positive, broadcasting with ``mean``.
        bins: how many, equally spaced on [-1, 1] with both ends included; or a :class:`Grid`.

    Raises:
        ValueError: if there is no code.

    Source: Kuzina & Tomczak 2023, equations 14 and 15, with bins that touch.

    Example:
        >>> three = DiscretizedGaussian(torch.zeros(1), torch.ones(1), bins=3)
        >>> three.pmf()
        tensor([[0.3085, 0.3829, 0.3085]])
        >>> three.log_prob(torch.tensor([1]))
        tensor([-0.9599])
    """

    def __init__(self, mean: Tensor, scale: Tensor, bins: int | Grid) -> None:
        self.mean, self.scale = widen(mean), widen(scale)
        self.grid = bins if isinstance(bins, Grid) else Grid.unit(bins)

    def log_prob(self, code: Tensor) -> Tensor:
        """Return log P(code) in nats, for integers 0 … count-1 that broadcast with the mean.

        Codes outside that range are not checked here; ``grid.check`` refuses them.
        """
        return _log_mass(code, self.mean, self.scale, self.grid)

    def pmf(self) -> Tensor:
        """Return the probabilities, of shape (…, n), n being the largest number of codes.

        Where an element has fewer codes than another, the rest of its row is zero.
        """
        codes = torch.arange(self.grid.most, device=self.mean.device)
        codes = codes.view(-1, *[1] * max(self.mean.dim(), self.scale.dim()))
        inside = codes <= self.grid.last(codes)
        mass = _log_mass(codes, self.mean, self.scale, self.grid).exp()
        return torch.where(inside, mass, torch.zeros_like(mass)).movedim(0, -1)

    def sample(self, noise: Tensor) -> Tensor:
        """Return the code nearest to μ + σ·noise: a draw, if ``noise`` is standard normal."""
        return self.grid.code(self.mean + self.scale * noise)


def _log_mass(code: Tensor, mean: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """Return the logarithm of the mass of codes' bins, the tails folded in."""
    lower = (grid.edge(code, mean.dtype) - mean) / scale
    upper = (grid.edge(code + 1, mean.dtype) - mean) / scale
    width = torch.as_tensor(grid.spacing, dtype=mean.dtype, device=mean.device) / scale
    first, last = code <= 0, code >= grid.last(code)
    # An outermost bin has one edge, and its mass is one function of that edge, mirrored or not.
    outer = _log_phi(torch.where(first, upper, -lower))
    inner = _log_between(lower, upper, width)
    mass = torch.where(first | last, outer, inner)
    return torch.where(first & last, torch.zeros_like(mass), mass)


def _log_between(lower: Tensor, upper: Tensor, width: Tensor) -> Tensor:
    """Return log(Φ(b) - Φ(a)), where b - a has lost its digits if it is far from ``width``."""
    right = lower + upper >= 0
    a = torch.where(right, lower, -upper)
    b = torch.where(right, upper, -lower)
    middle, d = (a + b) / 2, torch.maximum(b - a, width / 2)
    narrow = (d <= 1) & (d * middle <= 2)
    # Each way is kept inside its own domain, or its unused slope could be no number.
    zero = torch.zeros_like(d)
    wide = _log_wide(torch.where(narrow, zero, a), torch.where(narrow, zero + 2, b), d * middle)
    inside = _log_narrow(torch.where(narrow, middle, zero), torch.where(narrow, d, zero + 1))
    return torch.where(narrow, inside, wide)


def _log_phi(z: Tensor) -> Tensor:
    """Return log Φ(z), whose slope holds to the ends; that of torch's own is 0 or ∞ there."""
    left = z < -1
    near = torch.where(left, torch.zeros_like(z), z)
    far = torch.where(left, z, -torch.ones_like(z))
    # Φ(z) = ½ erfc(-z/√2), and erfcx(x) = e^{x²} erfc(x).
    tail = torch.log(erfcx(far * -math.sqrt(0.5)) / 2) - far.square() / 2
    return torch.where(left, tail, torch.log1p(torch.erfc(near * math.sqrt(0.5)) / -2))


def _log_wide(a: Tensor, b: Tensor, least: Tensor) -> Tensor:
    """Return log(Q(a) - Q(b)); the fall of log Q is no less than ``least``, but for rounding."""
    above_a = _log_phi(-a)
    fall = torch.maximum(above_a - _log_phi(-b), least / 2)
    return above_a + torch.log(-torch.expm1(-fall))


def _log_narrow(middle: Tensor, d: Tensor) -> Tensor:
    """Return the logarithm of the integral of the density over a bin of width d ≤ 1."""
    total = torch.zeros_like(d)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        s = d * (node / 2)
        total = total + weight * torch.cosh(middle * s) * torch.exp(-s.square() / 2)
    return (total * d).log() - middle.square() / 2 - 0.5 * math.log(2 * math.pi)
