"""Properties of the comparison: PSNR and MS-SSIM, files, and the search over quality."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from mrvae.evaluation import LOSSY, PNG, ImageCodec, around, available, comparable, psnr, written
from mrvae.evaluation.quality.distortion import ms_ssim
from mrvae.evaluation.rate_distortion.codecs import JPEG
from mrvae.papers.kuzina2023.cifar import made_up

HERE = [codec for codec in LOSSY if available(codec)]


def noisy(side: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    picture = made_up(side).pixels.double()
    return (picture + 8 * torch.randn(picture.shape, generator=stream)).clamp(0, 255).byte()


def test_psnr_is_what_it_is_by_hand() -> None:
    x = torch.tensor([[[10, 250]], [[0, 7]]], dtype=torch.uint8)
    y = torch.tensor([[[13, 246]], [[0, 7]]], dtype=torch.uint8)
    assert psnr(x, y) == pytest.approx(10 * math.log10(255**2 / ((9 + 16) / 4)), rel=1e-7)
    assert psnr(x, y) == psnr(y, x)
    assert psnr(x, x) == math.inf


def test_pictures_that_cannot_be_compared_are_refused() -> None:
    x = torch.zeros(3, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match="expected two of"):
        psnr(x, x[:, 1:])
    with pytest.raises(ValueError, match=r"torch\.float32"):
        ms_ssim(x, x.float())


def literal_ms_ssim(x: Tensor, y: Tensor) -> float:
    """Equation 7 of Wang et al. (2003), with SciPy's filter and only whole windows."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    totals = []
    for a, b in zip(x.double().numpy(), y.double().numpy(), strict=True):
        total = 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            if scale:
                height, width = (side // 2 * 2 for side in a.shape)
                a, b = (
                    z[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
                    for z in (a, b)
                )
            blur = [gaussian_filter(z, 1.5, radius=5) for z in (a, b, a * a, b * b, a * b)]
            ma, mb, aa, bb, ab = (z[5:-5, 5:-5] for z in blur)
            s = (2 * (ab - ma * mb) + c2) / (aa - ma**2 + bb - mb**2 + c2)
            lum = (2 * ma * mb + c1) / (ma**2 + mb**2 + c1)
            total *= float(np.mean(s * lum if scale == 4 else s)) ** weight
        totals.append(total)
    return float(np.mean(totals))


def test_ms_ssim_is_that_of_a_literal_transcription() -> None:
    x, y = noisy(177), made_up(177).pixels
    assert ms_ssim(x, y) == pytest.approx(literal_ms_ssim(x, y), abs=1e-5)
    assert ms_ssim(x[:, :175], y[:, :175]) is None


def test_a_png_file_is_the_picture() -> None:
    picture = noisy(21)
    file = written(PNG(), picture, 0)
    assert torch.equal(file.picture, picture)
    assert file.psnr == math.inf


@pytest.mark.parametrize("codec", HERE, ids=lambda codec: codec.name)
def test_the_rate_is_that_of_the_bytes_pillow_writes(codec: ImageCodec) -> None:
    picture = noisy(48)
    file = written(codec, picture, 20)
    data = codec.write(Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()), 20)
    assert file.size == len(data)
    assert file.bpp == 8 * len(data) / 48**2
    with Image.open(io.BytesIO(data)) as back:
        expected = np.array(back.convert("RGB"))
    np.testing.assert_array_equal(file.picture.permute(1, 2, 0).numpy(), expected)


def test_the_three_jpegs_are_what_they_are_called() -> None:
    default, full, optimised = (
        codec.write(Image.fromarray(noisy(64).permute(1, 2, 0).contiguous().numpy()), 30)
        for codec in LOSSY[:3]
    )
    buffer = io.BytesIO()
    Image.fromarray(noisy(64).permute(1, 2, 0).contiguous().numpy()).save(
        buffer, "JPEG", quality=30
    )
    assert default == buffer.getvalue()
    assert len(optimised) < len(default) < len(full)


@pytest.mark.parametrize("codec", HERE, ids=lambda codec: codec.name)
def test_the_search_ends_between_neighbours(codec: ImageCodec) -> None:
    picture = noisy(48)
    target = written(codec, picture, 10).psnr + 1e-9
    below, above = around(codec, picture, target)
    assert below.psnr < target <= above.psnr
    assert above.quality - below.quality == 1
    nearest = comparable(codec, picture, target)
    assert abs(nearest.psnr - target) == min(abs(f.psnr - target) for f in (below, above))


def test_a_higher_target_takes_no_fewer_bytes() -> None:
    codec = JPEG("JPEG", "4:4:4")
    found = [around(codec, noisy(64), target)[1] for target in (20.0, 24.0, 28.0, 32.0)]
    assert [file.size for file in found] == sorted(file.size for file in found)
    assert [file.quality for file in found] == sorted(file.quality for file in found)


def test_what_is_out_of_reach_is_met_by_the_nearest_end() -> None:
    codec = JPEG("JPEG", "4:2:0", qualities=range(10, 21))
    assert [file.quality for file in around(codec, noisy(32), 1.0)] == [10, 10]
    assert [file.quality for file in around(codec, noisy(32), 99.0)] == [20, 20]
    with pytest.raises(ValueError, match=r"quality is 9; JPEG has 10 … 20"):
        written(codec, noisy(8), 9)
