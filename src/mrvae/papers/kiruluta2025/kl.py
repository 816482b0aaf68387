r"""Section 3.3.2: the divergence that "does not have a simple closed form", and how exact ours is.

The form of :mod:`mrvae.distributions.laplace` is compared with quadrature and with Monte Carlo, for
t = |μ|/s from 0 to 10⁶ and λ s from 10⁻⁸ to 10⁸. By u = (z - μ)/s,

    KL(N(μ, s²) ‖ Laplace(0, 1/λ)) = ∫ φ(u) [-u²/2 - ½ log 2π - log s - log(λ/2) + λ s |t + u|] du,

whose integrals, of φ, φ u² and φ |t + u|, are taken by Gauss and Legendre's rule in 50 digits, cut
at the kink u = -t and into pieces of length 3 on [-18, 18], beyond which there is less than 10⁻⁷⁰.
The formula is asked at numbers of float64 and of float32, and quadrature at the very same numbers,
so that what differs is the formula's own rounding. Monte Carlo takes log q - log p at draws of q by
the two densities that the model has.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from mpmath import log, mpf, npdf, pi, quad, workdps
from torch import Tensor

from mrvae.distributions import Gaussian, Laplace, gaussian_laplace_kl
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry
from mrvae.papers.outcome import Budget, Outcome, Row, number
from mrvae.papers.workspace import Workspace

DRAWS: dict[Budget, int] = {"smoke": 1_000, "cpu": 100_000, "paper": 1_000_000}
SHIFTS = (0.0, 1e-3, 0.1, 1.0, 3.0, 10.0, 39.0, 41.0, 1e3, 1e6)
RATES = (1e-8, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e8)
_SCALE = 0.01
_DIGITS, _END, _PIECE = 50, 18, 3


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Compare the three on the grid."""
    draws = DRAWS[workspace.budget]
    workspace.log(f"{len(SHIFTS) * len(RATES)} divergences, {draws:,} draws each")
    grid = [(shift, rate) for shift in SHIFTS for rate in RATES]
    rows = [_row(*place, draws, seed) for seed, place in enumerate(grid)]
    return Outcome(rows, findings(rows, draws))


def _row(shift: float, rate: float, draws: int, seed: int) -> Row:
    exact, closed, away, relative = _errors(shift, rate, torch.float64)
    *_, away32, relative32 = _errors(shift, rate, torch.float32)
    mean, error = monte_carlo(shift, rate, draws, seed)
    return {
        "shift": shift,
        "rate": rate,
        "quadrature": exact,
        "closed": closed,
        "error_float64": away,
        "relative_float64": relative,
        "error_float32": away32,
        "relative_float32": relative32,
        "monte_carlo": mean,
        "monte_carlo_se": error,
        # Draws that all cost the same, as far as float64 knows, have no spread.
        "off_by_se": abs(mean - closed) / error if error > 1e-12 * abs(closed) else 0.0,
    }


def _errors(shift: float, rate: float, dtype: torch.dtype) -> tuple[float, float, float, float]:
    """Return the quadrature, the closed form, and its absolute and relative error in a type."""
    mean, scale, slope = numbers = _numbers(shift, rate, dtype)
    closed = gaussian_laplace_kl(mean, scale, slope).item()
    with workdps(_DIGITS):
        exact = quadrature(*(number.item() for number in numbers))
        away = abs(closed - exact)
        return float(exact), closed, float(away), float(away / exact)


def _numbers(shift: float, rate: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Return μ, s and λ of a place of the grid, rounded to a type."""
    values = (shift * _SCALE, _SCALE, rate / _SCALE)
    mean, scale, slope = (torch.tensor(value, dtype=dtype) for value in values)
    return mean, scale, slope


def quadrature(mean: float, scale: float, rate: float) -> mpf:
    """Return KL(N(μ, s²) ‖ Laplace(0, 1/λ)) in nats by quadrature, in mpmath's precision.

    Example:
        >>> round(float(quadrature(0.0, 1.0, 1.0)), 4)
        0.0721
    """
    s, slope = mpf(scale), mpf(rate)
    one, square, size = _integrals(abs(mpf(mean)) / s)
    constant = -log(2 * pi) / 2 - log(s) - log(slope / 2)
    return constant * one - square / 2 + slope * s * size


@cache
def _integrals(t: mpf) -> tuple[mpf, mpf, mpf]:
    """Return the integrals of φ, φ u² and φ |t + u|."""
    inside = {-t} if t < _END else set()
    cuts = sorted({mpf(cut) for cut in range(-_END, _END + 1, _PIECE)} | inside)
    with workdps(_DIGITS):
        one, square, size = (
            quad(lambda u, of=of: npdf(u) * of(u), cuts, method="gauss-legendre")
            for of in (lambda u: 1, lambda u: u * u, lambda u: abs(t + u))
        )
    return one, square, size


def monte_carlo(shift: float, rate: float, draws: int, seed: int) -> tuple[float, float]:
    """Return the mean and standard error of log q - log p at so many draws of q, in float64."""
    mean, scale, slope = _numbers(shift, rate, torch.float64)
    q, p = Gaussian(mean, scale.log()), Laplace(torch.zeros_like(mean), -slope.log())
    noise = torch.randn(draws, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    z = q.sample(noise)
    values = q.log_prob(z) - p.log_prob(z)
    return float(values.mean()), float(values.std() / draws**0.5)


def findings(rows: Sequence[Row], draws: int) -> list[str]:
    """Return how large the errors get, and where.

    Example:
        >>> row = {"shift": 1.0, "rate": 0.1, "off_by_se": 1.5}
        >>> row = {**row, "relative_float64": 1e-16, "relative_float32": 1e-7}
        >>> findings([row], 1000)[0]
        'float64: the relative error is 1.0e-16 at most, at |μ|/s = 1, λ s = 0.1'
    """
    sentences = []
    for kind in ("float64", "float32"):
        most, worst = max((number(row, f"relative_{kind}"), i) for i, row in enumerate(rows))
        at = f"|μ|/s = {number(rows[worst], 'shift'):g}, λ s = {number(rows[worst], 'rate'):g}"
        sentences.append(f"{kind}: the relative error is {most:.1e} at most, at {at}")
    off = [number(row, "off_by_se") for row in rows]
    usual = (sum(value**2 for value in off) / len(off)) ** 0.5
    sentences.append(
        f"Monte Carlo of {draws:,} draws: at {len(rows)} places {usual:.2f} standard errors from "
        f"the closed form in root mean square, where 1 is expected, and {max(off):.1f} at most"
    )
    return sentences


ITEM = Item("kl", make)
