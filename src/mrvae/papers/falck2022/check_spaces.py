"""Definition 1 and theorem 2, checked: the spaces are nested and dense, and pooling is a crop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mrvae.papers.checks import Check
from mrvae.papers.falck2022.checks import Stuffing, Subsampling
from mrvae.papers.falck2022.orders import slope
from mrvae.resolution import Basis, Wavelet, WaveletPooling, conjugacy_residual

WAVELETS = ("haar", "db2", "db4")
_EXACT = 1e-12
_SIDE = 32
_LEVELS = 5

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
    order = 1 if name == "haar" else int(name[2:])
    return Check(
        about="definition 1, A1",
        check="order in 2^-j of the error of a smooth function",
        at=name,
        left=slope(approximation_errors(wavelet, WaveletPooling(wavelet).embed)),
        right=float(order),
        wrong="embedding by zeros between pixels",
        wrong_left=slope(approximation_errors(wavelet, Stuffing(dims=1).embed)),
        within=0.1 * order,
    )


def _nested(name: str) -> Check:
    """V_2 ⊂ V_3: what lies in the coarser space is left unchanged by the finer one's projection."""
    pooling, x = WaveletPooling(Wavelet(name)), _images()
    coarse = pooling.embed(pooling.project(x, 3), 3)
    left = pooling.embed(pooling.project(coarse, 2), 2) - coarse
    wrong = Stuffing(dims=2).embed(pooling.project(coarse, 2), 2) - coarse
    return Check(
        about="definition 1",
        check="V_2 ⊂ V_3: largest change by the projection onto V_3",
        at=name,
        left=float(left.abs().max()),
        right=_EXACT,
        wrong="embedding by zeros between pixels",
        wrong_left=float(wrong.abs().max()),
    )


def _conjugacy(name: str, level: int) -> Check:
    wavelet, depth, x = Wavelet(name), _LEVELS - level + 1, _images()
    # On a circle of two pixels every low-pass filter is their average, so it is not wrong.
    averages = name != "haar" and level > 1
    wrong = WaveletPooling(Wavelet("haar")) if averages else Subsampling(dims=2)
    return Check(
        about="theorem 2",
        check="largest |π_{j-1} pool x - proj π_j x|",
        at=f"{name}, level {level}",
        left=float(conjugacy_residual(x, wavelet, depth)),
        right=_EXACT,
        wrong="pooling by averages" if averages else "every other pixel",
        wrong_left=float(conjugacy_residual(x, wavelet, depth, wrong)),
    )


def _images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, _SIDE, _SIDE, generator=generator, dtype=torch.float64)
