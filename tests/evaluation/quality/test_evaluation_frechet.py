"""Errors of images against their definitions, and the Fréchet distance against a closed form."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn

from mrvae.evaluation.quality import frechet
from mrvae.evaluation.quality.frechet import BandFeatures, frechet_distance, inception
from mrvae.evaluation.quality.pixel_errors import cross_entropy, squared_error


class Plain(nn.Module):
    """The pixels themselves as features."""

    num_features = 3

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


def drawn(seed: int, count: int = 40) -> Tensor:
    """Images of three values whose covariance is no multiple of the identity."""
    stream = torch.Generator().manual_seed(seed)
    mix = torch.randn(3, 3, generator=stream, dtype=torch.float64)
    z = torch.randn(count, 3, generator=stream, dtype=torch.float64)
    return (z @ mix + seed).view(count, 3, 1, 1)


def closed(x: Tensor, y: Tensor) -> float:
    """The distance of two Gaussians, by SciPy's square root of a matrix."""
    a, b = (each.flatten(1).numpy() for each in (x, y))
    s, t = (np.cov(each, rowvar=False) for each in (a, b))
    apart = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(apart + np.trace(s + t - 2 * np.real(sqrtm(s @ t))))


def test_the_distance_is_that_of_two_gaussians() -> None:
    """With a square root found otherwise; it is symmetric, and the cut into batches is nothing."""
    for x, y in ((drawn(0), drawn(1)), (drawn(2, 25), drawn(3))):
        found = frechet_distance([x[:7], x[7:]], [y], Plain())
        assert found == pytest.approx(closed(x, y), rel=1e-8)
        assert found == pytest.approx(frechet_distance([y], [x], Plain()), rel=1e-8)
        assert frechet_distance([x], [x], Plain()) == pytest.approx(0, abs=1e-8)
    # One axis: (m - m')² + (s - s')².
    line = torch.tensor([-1.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    only_first = line * torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).view(3, 1, 1)
    assert frechet_distance([only_first], [3 * only_first + 5], Plain()) == pytest.approx(
        3 * 25 + (2 * math.sqrt(2)) ** 2
    )


def test_band_features_are_those_of_the_transform() -> None:
    """Against PyWavelets: mean approximation of each field, magnitudes of each quarter."""
    x = torch.rand(2, 3, 32, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = BandFeatures((3, 32, 16))
    expected = []
    for image in x.numpy():
        row: list[float] = []
        coarse, *details = pywt.wavedec2(image, "haar", mode="periodization", level=3)
        # 4 × 2 coefficients: fields of one row and one column each.
        row += [v for channel in coarse for v in (channel / 8).ravel()]
        for depth, bands in zip((3, 2, 1), details, strict=True):
            for channel in range(3):
                for band in bands:
                    h, w = band.shape[1] // 2, band.shape[2] // 2
                    cut = np.abs(band[channel]).reshape(2, h, 2, w) / 2**depth
                    row += list(cut.mean(axis=(1, 3)).ravel())
        expected.append(row)
    np.testing.assert_allclose(features(x).numpy(), np.array(expected), atol=1e-12)
    assert features.num_features == len(expected[0])
    whole = (255 * x).round().to(torch.uint8)
    torch.testing.assert_close(features(whole), features(whole.double() / 255))


def test_the_proxy_sees_blur_and_layout() -> None:
    x = torch.rand(60, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    other = torch.rand(60, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    blurred = torch.nn.functional.avg_pool2d(x, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    shaded = x * torch.linspace(0.5, 1, 16)
    features = BandFeatures((1, 16, 16))
    near = frechet_distance([x], [other], features)
    assert all(frechet_distance([x], [y], features) > 5 * near for y in (blurred, shaded))


def test_errors_are_those_of_their_definitions() -> None:
    stream = torch.Generator().manual_seed(0)
    x, y = (torch.rand(4, 3, 5, 6, generator=stream, dtype=torch.float64) for _ in "xy")
    y = y.clamp(0.1, 0.9)
    assert squared_error(x, y)[1] == pytest.approx(float(((x[1] - y[1]) ** 2).mean()))
    literal = -(x * y.log() + (1 - x) * (1 - y).log()).mean(dim=(1, 2, 3))
    torch.testing.assert_close(cross_entropy(x, y), literal)
    # Gibbs: no reconstruction is better than the image itself.
    inner = x.clamp(0.01, 0.99)
    assert bool((cross_entropy(inner, inner) < cross_entropy(inner, y)).all())
    # A pixel that is surely wrong costs log 510 and no more.
    black = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    assert float(cross_entropy(black + 1, black)) == pytest.approx(math.log(510))


def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="the sets have 40 and 1 images"):
        frechet_distance([drawn(0)], [drawn(1)[:1]], Plain())
    with pytest.raises(ValueError, match="7×8; their sides must be even"):
        BandFeatures((1, 7, 8))
    (tmp_path / "present").touch()
    extra = r"torch-fidelity \(pip install 'mrvae\[fid\]'\)"
    weights = r"the Inception weights at \S*absent \(weights-inception-2015-12-05-\S*\.pth of .*\)"
    monkeypatch.setattr(frechet, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=f"^the FID needs {extra}$"):
        inception(tmp_path / "present")
    with pytest.raises(ValueError, match=f"^the FID needs {extra} and {weights}$"):
        inception(tmp_path / "absent")
    monkeypatch.setattr(frechet, "find_spec", lambda name: "installed")
    with pytest.raises(ValueError, match=f"^the FID needs {weights}$"):
        inception(tmp_path / "absent")
