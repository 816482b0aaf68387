"""Small models of colour images for the Kodak experiment of Kuzina & Tomczak (2023).

The published ones, of 21 million parameters, take days on a large GPU. These have the same shape of
an experiment, a hierarchy with and without a context of 6 × 6 frequencies, at what one core can
train in ten minutes. Three contexts stand above one hierarchy: the published one, 32 levels of red,
green and blue under a diffusion of 40 steps; the same levels under an explicit prior, so that their
rate is that of a file; and, ours, luminance and chrominance in steps of 64 grey levels of an
orthonormal transform, zero among them, as JPEG has it.
"""

from __future__ import annotations

from msgspec.structs import replace

from mrvae.recipes.context import (
    AutoregressiveSpec,
    CosineNoise,
    DCTSpec,
    DiffusionSpec,
    MidRiseSpec,
    MidTreadSpec,
)
from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import (
    Cosine,
    LogisticMixturePixels,
    Model,
    Normalise,
    Recipe,
    Training,
)

_STEP = 64 / 255

VDVAE = Recipe(
    name="kuzina2023-cifar10-small-vdvae",
    about="CIFAR-10 without a context, on one core",
    paper="Kuzina & Tomczak 2023",
    row="figure 5, baseline; our own size",
    budget="10 min on 1 core",
    parameters=559_894,
    depth=8,
    data=Data(source="cifar10"),
    model=Model(
        channels=3,
        size=32,
        encoder="32x1,32d2,16x1,16d2,8x1,8d2,4x1,4d4,1x1",
        decoder="1x1,4m1,4x1,8m4,8x1,16m8,16x1,32m16",
        width=(64, 64, 64, 48, 24),
        latent=(8, 8, 8, 4, 2),
        likelihood=LogisticMixturePixels(components=5),
        input=Normalise(mean=120.63838, std=64.16736),
        bottleneck=0.5,
    ),
    training=Training(
        steps=1_500,
        batch=32,
        optimizer=AdamW(rate=2e-3),
        schedule=Cosine(),
        ema=0.99,
        validate_every=500,
        checkpoint_every=500,
    ),
)

_RGB = DCTSpec(
    frequencies=6,
    quantiser=MidRiseSpec(bits=5),
    prior=DiffusionSpec(length=40, noise=CosineNoise(), unet_width=32, unet_blocks=2),
)

_EXPLICIT = AutoregressiveSpec(hidden=256, components=4)


def _with(name: str, about: str, row: str, context: DCTSpec, parameters: int) -> Recipe:
    """Return the model with a context above it."""
    return replace(
        VDVAE,
        name=f"kuzina2023-cifar10-small-{name}",
        about=about,
        row=row,
        parameters=parameters,
        depth=9,
        model=replace(VDVAE.hierarchy, context=context),
    )


CIFAR_SMALL = (
    VDVAE,
    _with(
        "dct",
        "CIFAR-10 under its lowest frequencies, with a diffusion prior, on one core",
        "figure 5, context only; our own size",
        _RGB,
        754_076,
    ),
    _with(
        "dct-explicit",
        "the same context with an explicit prior, whose rate a file has",
        "not in the paper",
        replace(_RGB, prior=_EXPLICIT),
        992_518,
    ),
    _with(
        "dct-ycbcr",
        "luminance and chrominance in even steps, with an explicit prior",
        "not in the paper",
        DCTSpec(frequencies=6, quantiser=MidTreadSpec(_STEP), prior=_EXPLICIT, ycbcr=True),
        992_518,
    ),
)
