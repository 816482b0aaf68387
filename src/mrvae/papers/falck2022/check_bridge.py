"""Definition 2 and theorem 1, checked: support, moments, and orders of convergence."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check, Claim
from mrvae.papers.falck2022.checks import Stuffing
from mrvae.papers.falck2022.orders import GeometricProcess, coupled_process, slope
from mrvae.resolution import Basis, Bridge, BridgeStage, Ladder, Wavelet
from mrvae.resolution.bridge import Embedding

TIMES = (0.0, 0.4, 0.7, 1.0)
_LEVELS = len(TIMES) - 1
_STEPS = (8, 16, 32)
_WRONG_DRIFT = 1.2
_SUPPORT = Claim(
    "definition 2",
    "support in V_{j-1} up to t_j: energy in U_{j-1} at t_j",
    "embedding by zeros between pixels",
    1e-24,
)
_STRONG = Claim(
    *("theorem 1", "strong order, multiplicative noise", "drift of Stratonovich's equation"),
    right=0.5,
    within=0.1,
)
_TOO_LARGE = "drift a fifth too large"
_ERROR = f"of a linear SDE, {_STEPS[-1]} steps a level"
_OF_MOMENTS = [
    (
        Claim("theorem 1", f"weak order, {moment} of a linear SDE", _TOO_LARGE, 1.0, 0.2),
        Claim("theorem 1", f"relative error of the {moment} {_ERROR}", _TOO_LARGE, 0.05),
    )
    for moment in ("mean", "covariance")
]


def checks_of_bridge(paths: int) -> Iterator[Check]:
    """Yield the checks of definition 2 and theorem 1, in one and two dimensions.

    Args:
        paths: how many the strong order is taken over.

    Source: Falck et al. 2022, definition 2 and theorem 1.

    Example:
        >>> next(checks_of_bridge(paths=10)).passes
        True
    """
    for dims in (1, 2):
        yield from _support(dims)
        yield from _moments(dims)
        yield _strong(dims, paths)


def entry_energies(embedding: Embedding, dims: int) -> list[float]:
    """Return how much energy of level j there is when a process enters it, for j = 1, 2, 3.

    At t_j the process is still the function that it was in V_{j-1}, so there is none.
    """
    moving = BridgeStage(
        lambda t, z: torch.cos(t + z) + torch.roll(z, 1, -1),
        lambda t, z, xi: (0.5 + t + z.tanh().square()) * xi,
    )
    bridge, start = Bridge(embedding, TIMES, (moving,) * _LEVELS), _start(dims, 8)
    noise = bridge.noise(start, [4] * _LEVELS, torch.Generator().manual_seed(0))
    basis = Basis(Wavelet("haar", dims))
    found: dict[int, float] = {}
    for moment in bridge.trajectory(start, noise):
        if moment.level not in found:
            found[moment.level] = float(basis.energies(moment.state)[-1].max())
    return [found[level] for level in range(1, _LEVELS)]


def _support(dims: int) -> Iterator[Check]:
    right = entry_energies(Ladder(base=1, depth=_LEVELS, dims=dims), dims)
    wrong = entry_energies(Stuffing(dims), dims)
    for level in range(1, _LEVELS):
        yield _SUPPORT.at(f"{dims}-D, level {level}", right[level - 1], wrong[level - 1])


def _moments(dims: int) -> Iterator[Check]:
    """Yield the weak order: mean and covariance against their closed form, level by level."""
    process, start = coupled_process(dims, TIMES), _start(dims, 1)[0] + 2
    right = process.errors(start, _STEPS, process)
    wrong = process.scaled(_WRONG_DRIFT).errors(start, _STEPS, process)
    for level in range(_LEVELS):
        at = f"{dims}-D, level {level}"
        for index, (order, error) in enumerate(_OF_MOMENTS):
            good, bad = right[level][index], wrong[level][index]
            yield order.at(at, slope(good), slope(bad))
            yield error.at(at, good[-1], bad[-1])


def _strong(dims: int, paths: int) -> Check:
    """Return the strong order; Stratonovich's equation has b²/2 more of drift than Itô's."""
    ladder = Ladder(base=1, depth=_LEVELS, dims=dims)
    ito = GeometricProcess(ladder, TIMES, rate=0.6, volatility=0.8)
    other = GeometricProcess(ladder, TIMES, rate=0.6 + 0.8**2 / 2, volatility=0.8)
    factors = (16, 8, 4, 2)
    orders = (slope(process.errors(paths, factors, ito)) for process in (ito, other))
    return _STRONG.at(f"{dims}-D, level {_LEVELS - 1}", *orders)


def _start(dims: int, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(count, *(1,) * dims, generator=generator, dtype=torch.float64)
