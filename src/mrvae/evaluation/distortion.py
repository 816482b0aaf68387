"""How far a decoded picture is from its original: PSNR and MS-SSIM of whole RGB pictures.

With values 0 … 255 over all channels and pixels,

    PSNR = 10 log₁₀(255² / mean (x - y)²)  dB,

and structural similarity over five scales (Wang, Simoncelli & Bovik 2003), averages over windows of
11 × 11 pixels with Gaussian weights of σ = 1.5, inside the picture:

    l = (2 μ_x μ_y + C₁)/(μ_x² + μ_y² + C₁),     s_m = (2 σ_xy + C₂)/(σ_x² + σ_y² + C₂) at scale m,
    MS-SSIM = mean over channels of  (mean l s_M)^{w_M} Π_{m<M} (mean s_m)^{w_m},

C₁ = (0.01·255)², C₂ = (0.03·255)², each scale half as large as the one before, by averages over
2 × 2 pixels. The fifth scale needs 11 pixels a side, and so a picture 16 · 11.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SMALLEST = 176
"""Pixels that a side must have for five scales."""


def psnr(x: Tensor, y: Tensor) -> float:
    """Return the PSNR in dB of two uint8 pictures of one shape; infinite if they are equal.

    Raises:
        ValueError: if their types or shapes are others.

    Example:
        >>> black = torch.zeros(3, 4, 4, dtype=torch.uint8)
        >>> psnr(black, black + 255), psnr(black, black)
        (0.0, inf)
    """
    _check(x, y)
    error = float((x.double() - y.double()).square().mean())
    return 10 * math.log10(255**2 / error) if error else math.inf


def ms_ssim(x: Tensor, y: Tensor) -> float | None:
    """Return the MS-SSIM of two uint8 pictures (C, H, W); None if a side is under 176 pixels.

    Raises:
        ValueError: if their types or shapes are others.

    Source: Wang, Simoncelli & Bovik 2003, *Multi-scale structural similarity*, equation 7.

    Example:
        >>> black = torch.zeros(3, 176, 180, dtype=torch.uint8)
        >>> ms_ssim(black, black), ms_ssim(black[:, 1:], black[:, 1:])
        (1.0, None)
    """
    _check(x, y)
    if min(x.shape[1:]) < SMALLEST:
        return None
    a, b = (each.float().unsqueeze(1) for each in (x, y))
    value = torch.ones(len(x))
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            a, b = (functional.avg_pool2d(each, 2) for each in (a, b))
        luminance, structure = _terms(a, b)
        last = scale == len(_WEIGHTS) - 1
        term = luminance * structure if last else structure
        value = value * term.mean(dim=(1, 2, 3)).clamp_min(0) ** weight
    return float(value.mean())


def _check(x: Tensor, y: Tensor) -> None:
    if x.dtype != torch.uint8 or y.dtype != torch.uint8 or x.shape != y.shape:
        raise ValueError(
            f"pictures are {x.dtype} of {tuple(x.shape)} and {y.dtype} of {tuple(y.shape)};"
            " expected two of torch.uint8 and one shape"
        )


def _terms(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return l and s at every window, of pictures (C, 1, H, W)."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    square = mean_a**2 + mean_b**2
    variance = _blurred(a**2 + b**2) - square
    covariance = _blurred(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (square + _C1)
    return luminance, (2 * covariance + _C2) / (variance + _C2)


def _blurred(x: Tensor) -> Tensor:
    """Return the weighted averages over windows that lie inside."""
    place = torch.arange(_TAPS) - _TAPS // 2
    taps = torch.exp(-(place**2) / (2 * _SIGMA**2))
    taps = taps / taps.sum()
    return functional.conv2d(functional.conv2d(x, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
