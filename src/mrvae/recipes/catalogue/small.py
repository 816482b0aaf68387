"""Recipes that learn something worth looking at on two cores, in minutes.

They have the published cell at a size that fits: few resolutions, narrow, and with a rate that
falls to zero, because a short run ends best on small steps.
"""

from __future__ import annotations

from msgspec.structs import replace

from mrvae.recipes.context import DCTSpec, DiffusionSpec
from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW, Muon
from mrvae.recipes.schema import (
    BernoulliPixels,
    CategoricalPixels,
    Cosine,
    LogisticMixturePixels,
    Model,
    Normalise,
    Recipe,
    Training,
)
from mrvae.recipes.wavelet import (
    CoarseToFine,
    GaussianSpec,
    LogisticImage,
    NoiseFromImage,
    Pyramid,
    Refine,
    WaveletVAE,
)

DIGITS = Recipe(
    name="digits-vdvae",
    about="the built-in 8 x 8 handwritten digits; nothing to download",
    paper="Child 2021",
    row="our own size",
    budget="1 to 5 minutes on 1 core",
    parameters=305_169,
    depth=7,
    data=Data(source="digits"),
    model=Model(
        channels=1,
        size=8,
        encoder="8x1,8d2,4x1,4d4,1x1",
        decoder="1x1,4m1,4x2,8m4,8x2",
        width=(48,),
        latent=(4,),
        likelihood=CategoricalPixels(bins=17),
        input=Normalise(mean=8.0, std=8.0),
        bottleneck=0.5,
    ),
    training=Training(
        steps=1_000,
        batch=32,
        optimizer=AdamW(rate=8e-3),
        schedule=Cosine(),
        clip=1.0,
        ema=0.99,
        validate_every=250,
        checkpoint_every=250,
    ),
)

DIGITS_DCT = replace(
    DIGITS,
    name="digits-dct",
    about="the digits with their lowest frequencies as the top latent, under a small diffusion",
    paper="Kuzina & Tomczak 2023",
    parameters=367_059,
    depth=8,
    model=replace(
        DIGITS.hierarchy, context=DCTSpec(frequencies=3, prior=DiffusionSpec(unet_width=16))
    ),
)

DIGITS_WAVELET = Recipe(
    name="digits-wavelet",
    about="the digits by their wavelet coefficients, with a prior from coarse to fine",
    paper="Kiruluta 2025",
    row="our own size",
    budget="1 to 5 minutes on 1 core",
    parameters=138_271,
    depth=4,
    data=Data(source="digits"),
    model=WaveletVAE(
        channels=1,
        size=8,
        depth=3,
        likelihood=LogisticImage(bins=17),
        encoder=Pyramid(width=48, blocks=1),
        noise=NoiseFromImage(initial=0.1),
        prior=CoarseToFine(family=GaussianSpec(), width=48, blocks=2),
        refinement=Refine(),
    ),
    training=replace(DIGITS.training, optimizer=AdamW(rate=8e-3, beta2=0.99)),
)

_BINARY28 = Model(
    channels=1,
    size=28,
    encoder="32d2,16x1,16d2,8x1,8d2,4d4,1x1",
    decoder="1x1,4m1,4x2,8m4,8x2,16m8,16x1,32m16",
    width=(128, 128, 64, 32, 16),
    latent=(16, 8, 4, 2, 1),
    likelihood=BernoulliPixels(),
    input=Normalise(mean=0.5, std=0.5),
    bottleneck=0.5,
)

_SHORT = Training(
    steps=7_000,
    batch=64,
    optimizer=AdamW(rate=2e-3),
    schedule=Cosine(),
    ema=0.999,
    precision="auto",
    validate_every=500,
    checkpoint_every=500,
)

MNIST = Recipe(
    name="mnist-vdvae",
    about="binary MNIST, binarised anew at every step",
    paper="Child 2021",
    row="our own size",
    budget="an hour of a core with bfloat16",
    parameters=1_354_341,
    depth=10,
    data=Data(source="mnist", binary=True),
    model=_BINARY28,
    training=_SHORT,
)

MNIST_FAST = Recipe(
    name="mnist-fast",
    about="binary MNIST in minutes of one core: 4 x 4 pixels are a place, and Muon",
    paper="Child 2021",
    row="our own size",
    budget="a few minutes of a core",
    parameters=364_752,
    depth=4,
    data=Data(source="mnist", binary=True),
    model=Model(
        channels=1,
        size=28,
        encoder="32s4,8x2,8d2,4x1,4d4,1x1",
        decoder="1x1,4m1,8m4,8x1",
        width=(64,),
        latent=(16, 8, 4),
        likelihood=BernoulliPixels(),
        input=Normalise(mean=0.1307, std=0.3081),
        bottleneck=0.5,
    ),
    training=Training(
        steps=500,
        batch=64,
        optimizer=Muon(rate=1.5e-2),
        schedule=Cosine(),
        warmup=20,
        ema=0.97,
        validate_every=50,
        checkpoint_every=250,
    ),
)

OMNIGLOT = Recipe(
    name="omniglot-vdvae",
    about="binary OMNIGLOT, binarised anew at every step",
    paper="Child 2021",
    row="our own size",
    budget="an hour of a core with bfloat16",
    parameters=1_354_341,
    depth=10,
    data=Data(source="omniglot", binary=True),
    model=_BINARY28,
    training=_SHORT,
)

CIFAR10 = Recipe(
    name="cifar10-vdvae-small",
    about="CIFAR-10 on a laptop",
    paper="Child 2021",
    row="our own size",
    budget="an hour of a core with bfloat16",
    parameters=434_786,
    depth=13,
    data=Data(source="cifar10"),
    model=Model(
        channels=3,
        size=32,
        encoder="32x1,32d2,16x2,16d2,8x2,8d2,4x2,4d4,1x1",
        decoder="1x1,4m1,4x2,8m4,8x3,16m8,16x3,32m16",
        width=(64,),
        latent=(8,),
        likelihood=LogisticMixturePixels(components=5),
        input=Normalise(mean=120.63838, std=64.16736),
    ),
    training=Training(
        steps=3_000,
        batch=32,
        optimizer=AdamW(rate=1e-3),
        schedule=Cosine(),
        ema=0.999,
        validate_every=500,
        checkpoint_every=500,
    ),
)

SMALL = (DIGITS, DIGITS_DCT, DIGITS_WAVELET, MNIST, MNIST_FAST, OMNIGLOT, CIFAR10)
