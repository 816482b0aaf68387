r"""Similarity of two images: PSNR, SSIM, and two forms of MS-SSIM, per image.

All take images on [0, 1], of shape (B, C, H, W), and return one number for each, shape (B,). No
number depends on the other images of the batch. uint8 is read as 0 … 255.

With μ, σ², σ₁₂ the means, variances and covariance of the two images in a Gaussian window around a
pixel, and C₁ = 0.01², C₂ = 0.03² (Wang et al. 2003, *Multi-scale structural similarity for image
quality assessment*),

    l = (2 μ₁ μ₂ + C₁)/(μ₁² + μ₂² + C₁),   cs = (2 σ₁₂ + C₂)/(σ₁² + σ₂² + C₂),

SSIM is the mean of l·cs over pixels and channels. MS-SSIM halves the images by 2×2 averages M - 1
times, and with positive parts of the means at scale j, and w the weights of the scales,

    MS-SSIM = SSIM_M^{w_M} Π_{j<M} cs_j^{w_j}.

It was made for photographs: five scales of a window of 11 need 176 pixels a side (``MSSSIM``). For
smaller ones there are two forms here.

* ``SmallMSSSIM``, the definition with smaller numbers: σ = 0.9, so that the window has 7 taps, and
  3 scales. It needs 28 pixels a side. This and SSIM are those of torchmetrics, in which l·cs is
  averaged over all pixels, the borders reflected, and cs over those whose window lies inside.
* ``PaperMSSSIM``, what Kuzina & Tomczak's (2023) figures are made with, as far as is known: the
  formula of a widely used implementation, in which the window shrinks to the image, min(14, H, W),
  and lies inside of it, and in which the last factor stands under the product,

      Π_{j<5} (cs_j^{w_j} SSIM_5^{w_5}),

  and so counts four times. This is no MS-SSIM, and is larger or smaller by no fixed amount; it is
  for comparison with the paper. There the means at each scale are taken over a batch, so that the
  number depends on its size; here they are per image. It needs 16 pixels a side; at the coarsest of
  its scales 28×28 images have one pixel, where cs = 1 and SSIM = l.

torchmetrics takes seconds to import and is imported when it is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.sizes import ImageSize, sides

_C1, _C2 = 0.01**2, 0.03**2
_SIGMA = 1.5
_FIVE = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_IMAGE = (1, 2, 3)


class Similarity(Protocol):
    """A function of two batches of images that grows with their similarity."""

    @property
    def name(self) -> str:
        """What its numbers are called in tables and JSON."""
        ...

    @property
    def least(self) -> int:
        """Side of the smallest images that it is defined for."""
        ...

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return one number for each pair of images, (B, C, H, W) → (B,)."""
        ...


@dataclass(frozen=True)
class PSNR:
    """Peak signal-to-noise ratio, -10 log₁₀ of the mean squared error, in decibels.

    Equal images have an infinite one.

    Raises:
        ValueError: if the images differ in shape or type, or leave [0, 1].

    Example:
        >>> x = torch.zeros(1, 1, 4, 4)
        >>> round(float(PSNR()(x, x + 0.1)), 3)
        20.0
    """

    name: str = "psnr"
    least: int = 1

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return decibels, (B,)."""
        from torchmetrics.functional.image import peak_signal_noise_ratio

        x, y = image_pair(x, y, self.least)
        values: Tensor = peak_signal_noise_ratio(y, x, data_range=1.0, reduction="none", dim=_IMAGE)
        return values


@dataclass(frozen=True)
class SSIM:
    """Structural similarity with the usual window: σ = 1.5, 11 taps.

    Raises:
        ValueError: if the images differ in shape or type, leave [0, 1], or are below 6 pixels.

    Source: Wang et al. 2004, *Image quality assessment: from error visibility to structural
    similarity*.

    Example:
        >>> x = torch.eye(8)[None, None]
        >>> round(float(SSIM()(x, x)), 6), bool(SSIM()(x, x.flip(3)) < 0.5)
        (1.0, True)
    """

    name: str = "ssim"
    least: int = 6

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return numbers of at most 1, (B,)."""
        from torchmetrics.functional.image import structural_similarity_index_measure

        x, y = image_pair(x, y, self.least)
        similarity = structural_similarity_index_measure(
            y, x, sigma=_SIGMA, kernel_size=11, reduction="none", data_range=1.0
        )
        return _similarity(similarity)


@dataclass(frozen=True)
class SmallMSSSIM:
    """MS-SSIM for images from 28 pixels on: 3 scales, σ = 0.9, 7 taps.

    The weights are those in use for three scales; they sum to 1.

    Raises:
        ValueError: if the images differ in shape or type, leave [0, 1], or are below 28 pixels.

    Source: Wang et al. 2003, equation 7.

    Example:
        >>> x = torch.eye(28)[None, None]
        >>> round(float(SmallMSSSIM()(x, x)), 6), bool(SmallMSSSIM()(x, x.flip(3)) < 0.5)
        (1.0, True)
    """

    name: str = "ms_ssim"
    least: int = 28
    weights: tuple[float, ...] = (0.2096, 0.4659, 0.3245)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return numbers in 0 … 1, (B,)."""
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

        x, y = image_pair(x, y, self.least)
        similarity: Tensor = multiscale_structural_similarity_index_measure(
            y,
            x,
            sigma=0.9,
            kernel_size=7,
            reduction="none",
            data_range=1.0,
            betas=self.weights,
            normalize="relu",
        )
        return similarity


@dataclass(frozen=True)
class MSSSIM:
    """MS-SSIM as it was made for photographs: 5 scales, σ = 1.5, 11 taps, the mean over channels.

    All windows lie inside the image.

    Raises:
        ValueError: if the images differ in shape or type, leave [0, 1], or are below 176 pixels.

    Source: Wang et al. 2003, equation 7.

    Example:
        >>> x = torch.eye(176)[None, None]
        >>> round(float(MSSSIM()(x, x)), 6), bool(MSSSIM()(x, x.flip(3)) < 0.9)
        (1.0, True)
    """

    name: str = "ms_ssim_photograph"
    least: int = 176
    weights: tuple[float, ...] = _FIVE

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return numbers in 0 … 1, (B,)."""
        x, y = image_pair(x, y, self.least)
        channels = x.shape[:2]
        x, y = (image.flatten(0, 1)[:, None] for image in (x, y))
        product = x.new_ones(len(x))
        for weight in self.weights[:-1]:
            _, contrast = _inside(x, y, 11)
            product = product * contrast.relu() ** weight
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
        similarity, _ = _inside(x, y, 11)
        product = product * similarity.relu() ** self.weights[-1]
        return product.view(channels).mean(dim=1)


@dataclass(frozen=True)
class PaperMSSSIM:
    """The MS-SSIM of the reference's formula, per image: no MS-SSIM in the sense of its authors.

    Args:
        name: what it is called.
        least: smallest side.
        window: taps of the Gaussian window where the image has as many; 14 in the code of Kuzina
            et al. 2022, 11 by that formula's default. An even one has its centre at tap ⌊k/2⌋.
        weights: of the five scales.

    Raises:
        ValueError: if the images differ in shape or type, leave [0, 1], or are below 16 pixels.

    Source: Kuzina & Tomczak 2023, section 5.3.1 and appendix H.

    Example:
        >>> x = torch.eye(28)[None, None]
        >>> round(float(PaperMSSSIM()(x, x)), 6), bool(PaperMSSSIM()(x, x.flip(3)) < 0.5)
        (1.0, True)
    """

    name: str = "ms_ssim_paper"
    least: int = 16
    window: int = 14
    weights: tuple[float, ...] = _FIVE

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return numbers in 0 … 1, (B,)."""
        x, y = image_pair(x, y, self.least)
        *weights, last = self.weights
        product = x.new_ones(len(x))
        for weight in weights:
            _, contrast = _inside(x, y, self.window)
            product = product * contrast.relu() ** weight
            x, y = functional.avg_pool2d(x, 2), functional.avg_pool2d(y, 2)
        similarity, _ = _inside(x, y, self.window)
        return product * similarity.relu() ** (last * len(weights))


def fitting(size: ImageSize) -> tuple[Similarity, ...]:
    """Return those of the four measures that are defined for images of this size.

    Example:
        >>> [measure.name for measure in fitting(28)], [measure.name for measure in fitting(8)]
        (['ms_ssim_paper', 'ms_ssim', 'ssim', 'psnr'], ['ssim', 'psnr'])
    """
    measures: tuple[Similarity, ...] = (PaperMSSSIM(), SmallMSSSIM(), SSIM(), PSNR())
    return tuple(measure for measure in measures if measure.least <= min(sides(size)))


def usual(size: ImageSize) -> Similarity:
    """Return the usual measure for images of a size: MS-SSIM, or SSIM if a side is too small.

    Where SSIM's window does not fit either, as for signals, it is PSNR.

    Example:
        >>> usual(28).name, usual(8).name, usual((1, 64)).name
        ('ms_ssim', 'ssim', 'psnr')
    """
    measures: tuple[Similarity, ...] = (SmallMSSSIM(), SSIM(), PSNR())
    return next(measure for measure in measures if measure.least <= min(sides(size)))


def _inside(x: Tensor, y: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return the means of l·cs and of cs, (B,), over windows that lie inside of the image."""
    taps = min(window, *x.shape[-2:])
    place = torch.arange(taps, dtype=x.dtype, device=x.device) - taps // 2
    kernel = torch.softmax(-place.square() / (2 * _SIGMA**2), dim=0)

    def local(values: Tensor) -> Tensor:
        rows = functional.conv2d(values.flatten(0, 1)[:, None], kernel.view(1, 1, -1, 1))
        return functional.conv2d(rows, kernel.view(1, 1, 1, -1))

    m1, m2 = local(x), local(y)
    v1, v2 = local(x * x) - m1 * m1, local(y * y) - m2 * m2
    contrast = (2 * (local(x * y) - m1 * m2) + _C2) / (v1 + v2 + _C2)
    luminance = (2 * m1 * m2 + _C1) / (m1 * m1 + m2 * m2 + _C1)
    both = luminance * contrast
    return both.view(len(x), -1).mean(dim=1), contrast.view(len(x), -1).mean(dim=1)


def image_pair(x: Tensor, y: Tensor, least: int) -> tuple[Tensor, Tensor]:
    """Return both batches on [0, 1], uint8 divided by 255; refuse what is no such pair.

    Raises:
        ValueError: if the images differ in shape or type, leave [0, 1], or are below ``least``.
    """
    if x.shape != y.shape or x.dim() != 4:
        raise ValueError(
            f"images have shapes {tuple(x.shape)} and {tuple(y.shape)}; give both (B, C, H, W)"
        )
    if min(x.shape[-2:]) < least:
        raise ValueError(
            f"images are {x.shape[-2]}×{x.shape[-1]}; this measure needs {least} pixels a side"
        )
    x, y = (image / 255 if image.dtype == torch.uint8 else image for image in (x, y))
    if x.dtype != y.dtype or not x.is_floating_point():
        raise ValueError(f"images are {x.dtype} and {y.dtype}; give both on [0, 1], or as uint8")
    for image in (x, y):
        if not (image.min() >= 0 and image.max() <= 1):
            raise ValueError(
                f"pixels are in {float(image.min()):g} … {float(image.max()):g}; divide them by "
                "the largest value of a pixel, so that they are in 0 … 1"
            )
    return x, y


def _similarity(result: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Return the similarity, of a function that may return an image of it too."""
    return result if isinstance(result, Tensor) else result[0]
