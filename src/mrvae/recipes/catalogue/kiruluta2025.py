"""Kiruluta (2025), *Wavelet-based Variational Autoencoders for High-Resolution Image Generation*.

The paper gives no sizes, no rates, no λ and no number of levels; all of these are ours. At each
size of image there are five recipes, of equal encoders and equal training:

    vae                      the baseline: MSE + KL (equation 14), as many parameters within 5 %
    wavelet                  the paper's: MSE + λ‖details‖₁ (equation 22), one learnt noise scale
    wavelet-fixed-noise      the same with the noise fixed at 0.01 (section 4.5)
    wavelet-elbo             the bound: Laplace details, scales of noise from the image
    wavelet-coarse-to-fine   the bound, with a prior that sees what is coarser, down to one pixel

The approximation has 4×4 pixels in the first ones. Whatever a model is trained by, its value is its
bound, so that all are compared in bits per dimension.

The set ``celebahq`` is a folder of pictures, or a ``.npy`` file named by ``data=PATH``, in the data
directory; pictures of any size are fitted to the model's.
"""

from __future__ import annotations

from msgspec.structs import replace

from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import Cosine, Network, Recipe, Training
from mrvae.recipes.wavelet import (
    VAE,
    CoarseToFine,
    GlobalNoise,
    LogisticImage,
    NoiseFromImage,
    Pyramid,
    Sparse,
    WaveletVAE,
    Weighted,
)

_PAPER = "Kiruluta 2025"
_OURS = "our own size"

_CPU = Training(
    steps=3_000,
    batch=32,
    optimizer=AdamW(rate=1e-3, beta2=0.99),
    schedule=Cosine(),
    ema=0.999,
    validate_every=500,
    checkpoint_every=500,
)
_GPU = replace(_CPU, steps=100_000, warmup=1_000, validate_every=5_000, checkpoint_every=5_000)

_Counts = tuple[int, int, int, int]
_ABOUT = (
    ("vae", "a convolutional VAE trained by MSE and KL", "Table 1, VAE"),
    ("wavelet", "wavelet coefficients trained by MSE and an L1 penalty", "Table 1, Wavelet-VAE"),
    ("wavelet-fixed-noise", "the Wavelet-VAE with noise of 0.01", "section 4.5"),
    ("wavelet-elbo", "the Wavelet-VAE trained by a bound, Laplace details", _OURS),
    ("wavelet-coarse-to-fine", "the bound, with a prior that sees the coarser levels", _OURS),
)


def _recipes(
    name: str, data: Data, training: Training, budget: str, baseline: VAE, counts: _Counts
) -> tuple[Recipe, ...]:
    """Return the recipes of one kind of image; fixed noise has a parameter less than learnt."""
    size = baseline.sides[0]
    levels, all_levels = (size // 4).bit_length() - 1, size.bit_length() - 1
    paper = WaveletVAE(
        channels=3,
        size=size,
        depth=levels,
        likelihood=LogisticImage(),
        encoder=Pyramid(width=64, blocks=2),
        noise=GlobalNoise(initial=0.1),
        loss=Sparse(weights=(0.01,)),
    )
    bound = WaveletVAE(
        channels=3,
        size=size,
        depth=levels,
        likelihood=LogisticImage(),
        encoder=paper.encoder,
        noise=NoiseFromImage(initial=0.02),
    )
    prior = CoarseToFine(width=64, blocks=2)
    models: tuple[tuple[Network, int, int], ...] = (
        (baseline, counts[0], 1),
        (paper, counts[1], levels + 1),
        (replace(paper, noise=GlobalNoise(initial=0.01, learnt=False)), counts[1] - 1, levels + 1),
        (bound, counts[2], levels + 1),
        (replace(bound, depth=all_levels, prior=prior), counts[3], all_levels + 1),
    )
    return tuple(
        Recipe(
            name=f"kiruluta2025-{name}-{kind}",
            about=f"{data.source} at {size} x {size}: {about}",
            paper=_PAPER,
            row=row,
            budget=budget,
            parameters=parameters,
            depth=depth,
            data=data,
            model=model,
            training=training,
        )
        for (kind, about, row), (model, parameters, depth) in zip(_ABOUT, models, strict=True)
    )


def _baseline(size: int, width: int) -> VAE:
    """Return the baseline for images of this size."""
    return VAE(
        channels=3,
        size=size,
        coarse=4,
        latent=16,
        likelihood=LogisticImage(),
        width=width,
        loss=Weighted(),
    )


_CELEBAHQ = Data(source="celebahq", fit=True)
_COUNTS128 = (345_341, 352_449, 380_150, 703_314)

KIRULUTA2025 = (
    *_recipes(
        "cifar10-32",
        Data(source="cifar10"),
        _CPU,
        "20 min on 2 cores",
        _baseline(32, width=54),
        (204_293, 205_917, 223_230, 449_718),
    ),
    *_recipes(
        "cifar10-128",
        Data(source="cifar10", fit=True),
        _GPU,
        "1 GPU",
        _baseline(128, width=58),
        _COUNTS128,
    ),
    *_recipes("celebahq-128", _CELEBAHQ, _GPU, "1 GPU", _baseline(128, width=58), _COUNTS128),
    *_recipes(
        "celebahq-256",
        _CELEBAHQ,
        _GPU,
        "1 GPU",
        _baseline(256, width=60),
        (428_318, 425_715, 458_610, 830_112),
    ),
)
