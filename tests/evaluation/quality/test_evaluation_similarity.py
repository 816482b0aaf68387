"""Properties of image similarity: against the formulas written out in NumPy, pixel by pixel."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from mrvae.evaluation.quality.similarity import (
    PSNR,
    SSIM,
    PaperMSSSIM,
    Similarity,
    SmallMSSSIM,
    fitting,
)

FOUR = fitting(28)
each = pytest.mark.parametrize("measure", FOUR, ids=lambda m: m.name)
PAPER = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALL = (0.2096, 0.4659, 0.3245)
Array = np.ndarray


def pairs(side: int, channels: int = 1, count: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Smooth images, and the same with noise, more in each."""
    stream = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=stream, dtype=torch.float64)
    x = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    noise = torch.randn(x.shape, generator=stream, dtype=torch.float64)
    amount = torch.linspace(0.02, 0.5, count, dtype=torch.float64).view(-1, 1, 1, 1)
    return x, (x + amount * noise).clamp(0, 1)


def gauss(taps: int, sigma: float) -> Array:
    weight = np.exp(-((np.arange(taps) - taps // 2) ** 2) / (2 * sigma**2))
    return np.asarray(weight / weight.sum())


def local(image: Array, window: Array) -> Array:
    """Return Gaussian means at every pixel, the borders mirrored at the outermost pixel."""
    for axis in (0, 1):
        image = correlate1d(image, window, axis=axis, mode="mirror")
    return image


def valid(image: Array, window: Array) -> Array:
    """Return Gaussian means over windows inside of the image, by a sum over windows."""
    views = np.lib.stride_tricks.sliding_window_view(image, (len(window), len(window)))
    return np.asarray(np.einsum("hwij,i,j->hw", views, window, window))


def terms(x: Array, y: Array, mean: Array, cross: Array, square: Array) -> tuple[Array, Array]:
    """Return l and cs of equation 7 from the local means of (x, y), xy, and (x², y²)."""
    c1, c2 = 0.0001, 0.0009
    luminance = (2 * mean[0] * mean[1] + c1) / (mean[0] ** 2 + mean[1] ** 2 + c1)
    variances = square[0] - mean[0] ** 2 + square[1] - mean[1] ** 2
    return luminance, (2 * (cross - mean[0] * mean[1]) + c2) / (variances + c2)


def compare(x: Array, y: Array, window: Array, inside: bool) -> tuple[Array, Array]:
    at = valid if inside else local
    mean = np.stack([at(x, window), at(y, window)])
    return terms(x, y, mean, at(x * y, window), np.stack([at(x * x, window), at(y * y, window)]))


def halved(image: Array) -> Array:
    h, w = (side - side % 2 for side in image.shape)
    return np.asarray(image[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3)))


def by_hand(measure: str, x: Array, y: Array) -> float:
    """One image (C, H, W) in float64."""
    if measure == "psnr":
        return -10 * math.log10(float(np.square(x - y).mean()))
    if measure == "ssim":
        found = [compare(a, b, gauss(11, 1.5), inside=False) for a, b in zip(x, y, strict=True)]
        return float(np.mean([li * cs for li, cs in found]))
    paper = measure == "ms_ssim_paper"
    weights = PAPER if paper else SMALL
    similarities, contrasts = [], []
    for _ in weights:
        side = min(x.shape[1:])
        window = gauss(min(14, side), 1.5) if paper else gauss(7, 0.9)
        pair = list(zip(x, y, strict=True))
        inner = [compare(a, b, window, inside=True) for a, b in pair]
        outer = inner if paper else [compare(a, b, window, inside=False) for a, b in pair]
        contrasts.append(max(0.0, float(np.mean([cs for _, cs in inner]))))
        similarities.append(max(0.0, float(np.mean([li * cs for li, cs in outer]))))
        x, y = (np.stack([halved(channel) for channel in image]) for image in (x, y))
    last = float(similarities[-1] ** weights[-1])
    factors = [contrast**weight for contrast, weight in zip(contrasts, weights, strict=True)][:-1]
    return float(last ** (len(factors) if paper else 1) * math.prod(factors))


@each
def test_a_measure_is_its_formula(measure: Similarity) -> None:
    for side, channels in [(28, 1), (32, 3), (45, 1)]:
        x, y = pairs(side, channels)
        found = measure(x, y)
        expected = [by_hand(measure.name, a, b) for a, b in zip(x.numpy(), y.numpy(), strict=True)]
        assert found.dtype == torch.float64
        assert found.tolist() == pytest.approx(expected, rel=2e-7)
        assert expected[0] > expected[1] > expected[3]


@each
def test_equal_images_are_as_alike_as_can_be(measure: Similarity) -> None:
    x, _ = pairs(28)
    expected = math.inf if measure.name == "psnr" else 1.0
    assert measure(x, x).tolist() == pytest.approx([expected] * len(x), abs=1e-12)
    flat = torch.zeros_like(x)
    assert measure(flat, flat).tolist() == pytest.approx([expected] * len(x), abs=1e-12)


@each
def test_a_measure_is_symmetric_and_looks_at_one_pair_at_a_time(measure: Similarity) -> None:
    x, y = pairs(28, channels=3)
    together = measure(x, y)
    assert torch.allclose(together, measure(y, x), rtol=1e-12)
    alone = torch.cat([measure(x[i : i + 1], y[i : i + 1]) for i in (3, 0, 2, 1)])
    assert torch.allclose(together[[3, 0, 2, 1]], alone, rtol=1e-12)


@each
def test_bytes_are_read_as_0_to_255(measure: Similarity) -> None:
    x, y = ((image * 255).round().to(torch.uint8) for image in pairs(28))
    assert torch.allclose(measure(x, y), measure(x / 255, y / 255))


@each
def test_anticorrelated_images_are_not_negative_powers(measure: Similarity) -> None:
    """A negative mean is cut off at 0 before it is raised to a power that is no integer."""
    x, _ = pairs(28)
    found = measure(x, 1 - x)
    assert not found.isnan().any()
    if measure.name.startswith("ms_ssim"):
        assert (found == 0).any()


@pytest.mark.parametrize("measure", [PaperMSSSIM(), SmallMSSSIM(), SSIM()], ids=lambda m: m.name)
def test_the_smallest_images_are_the_smallest_ones(measure: Similarity) -> None:
    x, y = pairs(measure.least)
    assert measure(x, y).isfinite().all()
    smaller = x[..., 1:, 1:]
    with pytest.raises(ValueError, match=f"needs {measure.least} pixels"):
        measure(smaller, smaller)
    assert measure.name not in [other.name for other in fitting(measure.least - 1)]
    assert measure.name in [other.name for other in fitting(measure.least)]


def test_what_is_no_pair_of_images_is_refused() -> None:
    x = torch.zeros(2, 1, 28, 28)
    for y, message in (
        (x[:1], "give both"),
        (x.double(), "torch.float64"),
        (x.to(torch.int64), "torch.int64"),
        (x + 16, "0 … 1"),
        (x - 0.01, "0 … 1"),
        (x * math.nan, "0 … 1"),
    ):
        with pytest.raises(ValueError, match=message):
            PSNR()(x, y)


@pytest.mark.slow
def test_torchmetrics_is_not_imported_unasked() -> None:
    code = "import mrvae.evaluation, sys; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
