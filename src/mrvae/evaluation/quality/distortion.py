"""Distortion of a decoded picture: PSNR and MS-SSIM of whole uint8 pictures (C, H, W)."""

from __future__ import annotations

import torch
from torch import Tensor

from mrvae.evaluation.quality.similarity import MSSSIM, PSNR


def psnr(x: Tensor, y: Tensor) -> float:
    """Return the PSNR in dB of two uint8 pictures of one shape; infinite if they are equal.

    Raises:
        ValueError: if their types or shapes are others.

    Example:
        >>> black = torch.zeros(3, 4, 4, dtype=torch.uint8)
        >>> psnr(black, black + 255), psnr(black, black)
        (0.0, inf)
    """
    return float(PSNR()(*_batch(x, y)))


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
    measure, pictures = MSSSIM(), _batch(x, y)
    return float(measure(*pictures)) if min(x.shape[1:]) >= measure.least else None


def _batch(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return both on [0, 1], each as a batch of one."""
    for picture in (x, y):
        if picture.dtype != torch.uint8 or picture.shape != x.shape:
            raise ValueError(
                f"pictures are {x.dtype} of {tuple(x.shape)} and {y.dtype} of {tuple(y.shape)};"
                " expected two of torch.uint8 and one shape"
            )
    return x.unsqueeze(0).double() / 255, y.unsqueeze(0).double() / 255
