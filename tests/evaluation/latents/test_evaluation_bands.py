"""Bands of a wavelet VAE against PyWavelets, Parseval and what the model was built with."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from msgspec.structs import replace

import mrvae
from mrvae.data import Images, load
from mrvae.evaluation import band_report, layout
from mrvae.models.build import make_wavelet_vae
from mrvae.recipes.wavelet import GlobalNoise, LogisticImage, Transform, WaveletVAE
from mrvae.resolution import Wavelet

SPEC = WaveletVAE(
    *(1, 8, 3, LogisticImage(17)), encoder=Transform(), noise=GlobalNoise(0.25, learnt=False)
)


def digits(count: int = 20) -> Images:
    return load("digits", "test").subset(torch.arange(count))


def test_the_layout_is_the_usual_one() -> None:
    """That of PyWavelets' arrays, in magnitudes over 2^depth."""
    x = torch.rand(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    coefficients = pywt.wavedec2(x.numpy(), "db2", mode="periodization", level=2)
    scaled = [coefficients[0] / 4]
    scaled += [
        tuple(b / 2**d for b in bands) for d, bands in ((2, coefficients[1]), (1, coefficients[2]))
    ]
    expected, _ = pywt.coeffs_to_array(scaled)
    np.testing.assert_allclose(layout(Wavelet("db2").analysis(x, 2)), np.abs(expected), atol=1e-12)


@pytest.mark.parametrize("name", ["haar", "db2"])
def test_a_band_switched_off_costs_its_energy(name: str) -> None:
    """The encoder is an orthonormal transform: by Parseval the error is the energy."""
    model = make_wavelet_vae(replace(SPEC, wavelet=name)).double()
    report = band_report(model, digits())
    u = digits().take(torch.arange(20)).double() / 16
    assert report.mse == pytest.approx(0, abs=1e-12)
    assert sum(b.energy for b in report.bands) == pytest.approx(float(u.square().sum()) / 20)
    assert sum(b.share for b in report.bands) == pytest.approx(1)
    assert [b.depth for b in report.bands] == [3, 3, 3, 3, 2, 2, 2, 1, 1, 1]
    for band in report.bands:
        assert band.mse_without == pytest.approx(band.energy / 64)
        assert band.noise == pytest.approx(0.25)
        if band.rate is not None:
            assert band.prior_scale is not None
            assert band.rate == pytest.approx(1 / band.prior_scale)
    assert [band.rate is None for band in report.bands] == [True] + [False] * 9


def test_sparsity_is_one_for_a_spike_and_less_for_its_spread() -> None:
    """One black-white edge in one place makes one coefficient in one band of the finest level."""
    pixels = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    pixels[:, :, 2, 4:6] = 16
    report = band_report(make_wavelet_vae(SPEC).double(), Images(pixels, "edge", "test", 17))
    finest = {band.name: band for band in report.bands[-3:]}
    assert finest["cH"].sparsity == pytest.approx(1)
    assert finest["cH"].energy == pytest.approx(1)
    assert finest["cV"].energy == finest["cD"].energy == 0
    assert report.bands[0].sparsity is None
    striped = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    striped[:, :, ::2] = 16
    even = band_report(make_wavelet_vae(SPEC).double(), Images(striped, "even", "test", 17))
    assert even.bands[-3].sparsity == pytest.approx(0, abs=1e-9)


def test_a_model_without_bands_is_refused() -> None:
    model = mrvae.build(mrvae.recipe("digits-vdvae"))
    with pytest.raises(ValueError, match="has no wavelet bands; inspect one such as"):
        band_report(model, digits(2))
