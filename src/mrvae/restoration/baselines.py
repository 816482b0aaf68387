"""Restorations without a model, from scikit-image: what a prior of a data set must beat.

scikit-image is the extra ``[restore]``; it is imported when a baseline is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrvae.restoration.degradations import Blur

_Image = NDArray[np.float64]


def bicubic(y: Tensor, factor: int) -> Tensor:
    """Return images (B, C, h, w) on [0, 1] enlarged by bicubic interpolation, clipped to [0, 1].

    Example:
        >>> bicubic(torch.full((1, 1, 2, 2), 0.5), 2).shape
        torch.Size([1, 1, 4, 4])
    """
    wide = torch.nn.functional.interpolate(
        y.double(), scale_factor=float(factor), mode="bicubic", align_corners=False
    )
    return wide.clamp(0, 1)


def biharmonic(x: Tensor, known: Tensor) -> Tensor:
    """Return images on [0, 1] with missing pixels filled in by a biharmonic surface.

    Source: Damelin & Hoang 2018, by ``skimage.restoration.inpaint_biharmonic``.

    Raises:
        ModuleNotFoundError: if scikit-image is not installed.
    """
    _require()
    from skimage.restoration import inpaint_biharmonic

    missing = ~known.expand_as(x)
    if not bool(missing.any()):
        return x.double()
    planes = zip(_planes(x), missing.flatten(0, 1).cpu().numpy(), strict=True)
    return _images([np.clip(inpaint_biharmonic(a, m), 0, 1) for a, m in planes], x)


def total_variation(y: Tensor, weight: float) -> Tensor:
    """Return images on [0, 1] with little total variation near noisy ones.

    Source: Chambolle 2004, by ``skimage.restoration.denoise_tv_chambolle``.

    Raises:
        ModuleNotFoundError: if scikit-image is not installed.
    """
    _require()
    from skimage.restoration import denoise_tv_chambolle

    def restored(plane: _Image) -> _Image:
        made: _Image = denoise_tv_chambolle(plane, weight=weight)  # type: ignore[no-untyped-call]
        return made

    return _filtered(y, restored)


def wiener(y: Tensor, blur: Blur, balance: float) -> Tensor:
    """Return images on [0, 1] deblurred by Wiener's filter with a Laplacian prior.

    Source: Orieux et al. 2010, by ``skimage.restoration.wiener``.

    Raises:
        ModuleNotFoundError: if scikit-image is not installed.
    """
    _require()
    from skimage.restoration import wiener as filtered

    kernel = (blur.kernel / blur.kernel.sum()).double().cpu().numpy()

    def restored(plane: _Image) -> _Image:
        made: _Image = filtered(plane, kernel, balance, clip=False)  # type: ignore[no-untyped-call]
        return made

    return _filtered(y, restored)


def _require() -> None:
    """Refuse to go on without scikit-image."""
    from importlib.util import find_spec

    if find_spec("skimage") is None:
        raise ModuleNotFoundError(
            "baselines need scikit-image, which is not installed: pip install 'mrvae[restore]'"
        )


def _filtered(y: Tensor, plane: Callable[[_Image], _Image]) -> Tensor:
    """Apply a function to every channel of images, and clip to [0, 1]."""
    return _images([np.clip(plane(each), 0, 1) for each in _planes(y)], y)


def _planes(x: Tensor) -> list[_Image]:
    return list(x.double().flatten(0, 1).cpu().numpy())


def _images(planes: Sequence[_Image], like: Tensor) -> Tensor:
    stacked = torch.from_numpy(np.stack(planes))
    return stacked.view(*like.shape[:2], *stacked.shape[1:]).to(like.device)
