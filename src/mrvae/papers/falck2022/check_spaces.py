"""Definition 1 and theorem 2, checked: the spaces are nested and dense, and pooling is a crop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check, Claim
from mrvae.papers.falck2022.checks import Stuffing, Subsampling
from mrvae.papers.falck2022.orders import slope
from mrvae.resolution import Basis, Wavelet, WaveletPooling, conjugacy_residual

WAVELETS = ("haar", "db2", "db4")
_EXACT = 1e-12
_SIDE = 32
_LEVELS = 5
_STUFFING = "embedding by zeros between pixels"
_NESTED = Claim(
    "definition 1", "V_2 ⊂ V_3: largest change by the projection onto V_3", _STUFFING, _EXACT
)

Embed = Callable[[Tensor, int], Tensor]


def checks_of_spaces() -> Iterator[Check]:
    """Yield the checks of definition 1 and theorem 2, which take well under a second.

    Source: Falck et al. 2022, definition 1 and theorem 2.

    Example:
        >>> all(check.passes for check in checks_of_spaces())
        True
    """
    for name in WAVELETS:
        yield _nested(name)
        yield _rate(name)
    for name in WAVELETS:
        for level in range(1, _LEVELS + 1):
            yield _conjugacy(name, level)


def approximation_errors(wavelet: Wavelet, embed: Embed) -> list[float]:
    """Return ‖f - E P f‖ of a smooth periodic function, 2⁸, 2⁷ and 2⁶ pixels being kept of 2¹².

    Args:
        wavelet: one-dimensional; its P is used.
        embed: (x, steps) ↦ E^steps x.
    """
    pooling, basis = WaveletPooling(wavelet), Basis(wavelet)
    s = 2 * math.pi * torch.arange(4096, dtype=torch.float64) / 4096
    x = torch.exp(torch.sin(s)) + 0.3 * torch.cos(2 * s)
    kept = [embed(pooling.project(x, steps), steps) for steps in (6, 5, 4)]
    return [float(basis.norm(x - near)) for near in kept]


def _rate(name: str) -> Check:
    wavelet = Wavelet(name, dims=1)
    order = 1.0 if name == "haar" else float(name[2:])
    embeddings = WaveletPooling(wavelet).embed, Stuffing(dims=1).embed
    orders = (slope(approximation_errors(wavelet, embed)) for embed in embeddings)
    check, wrong = "order in 2^-j of the error of a smooth function", _STUFFING
    return Claim("definition 1, A1", check, wrong, order, 0.1 * order).at(name, *orders)


def _nested(name: str) -> Check:
    """V_2 ⊂ V_3: what lies in the coarser space is left unchanged by the finer one's projection."""
    pooling, x = WaveletPooling(Wavelet(name)), _images()
    coarse = pooling.embed(pooling.project(x, 3), 3)
    left = pooling.embed(pooling.project(coarse, 2), 2) - coarse
    wrong = Stuffing(dims=2).embed(pooling.project(coarse, 2), 2) - coarse
    return _NESTED.at(name, float(left.abs().max()), float(wrong.abs().max()))


def _conjugacy(name: str, level: int) -> Check:
    wavelet, depth, x = Wavelet(name), _LEVELS - level + 1, _images()
    # On a circle of two pixels every low-pass filter is their average, so it is not wrong.
    averages = name != "haar" and level > 1
    wrong = WaveletPooling(Wavelet("haar")) if averages else Subsampling(dims=2)
    operator = "pooling by averages" if averages else "every other pixel"
    residuals = conjugacy_residual(x, wavelet, depth), conjugacy_residual(x, wavelet, depth, wrong)
    claim = Claim("theorem 2", "largest |π_{j-1} pool x - proj π_j x|", operator, _EXACT)
    return claim.at(f"{name}, level {level}", *map(float, residuals))


def _images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, _SIDE, _SIDE, generator=generator, dtype=torch.float64)
