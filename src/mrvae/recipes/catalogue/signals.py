"""Signals: models of sound and of an electrocardiogram, by the same cells as those of images.

A signal of T samples is an image of 1 × T, so the blocks are those of Child (2021), with kernels of
1 × 3. A ladder of factors of four is cheap: three quarters of the samples' resolution are its
finest level's.
"""

from __future__ import annotations

from mrvae.recipes.data import Data, LinearSpec, MuLawSpec, SignalSpec
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import (
    Cosine,
    LogisticMixturePixels,
    Model,
    Normalise,
    Recipe,
    Training,
)

FSDD = Recipe(
    name="fsdd-vdvae",
    about="spoken digits, half a second at 8 kHz, in the 256 bins of mu-law",
    paper="Child 2021",
    row="our own size",
    budget="five minutes of a core",
    parameters=319_391,
    depth=8,
    data=Data(source="fsdd", signal=SignalSpec(rate=8_000, stride=1_024, quantiser=MuLawSpec())),
    model=Model(
        channels=1,
        size=(1, 4096),
        encoder="4096d4,1024x1,1024d4,256x1,256d4,64d4,16d4,4x1",
        decoder="4x1,16m4,64m16,256m64,256x1,1024m256,1024x1,4096m1024",
        width=(64, 64, 64, 64, 64, 40),
        latent=(8, 8, 8, 8, 4, 2),
        likelihood=LogisticMixturePixels(components=5),
        input=Normalise(mean=127.5, std=53.0),
        bottleneck=0.5,
        bias_up_to=16,
    ),
    training=Training(
        steps=1_200,
        batch=2,
        optimizer=AdamW(rate=2e-3, beta2=0.99),
        schedule=Cosine(),
        warmup=40,
        clip=20.0,
        ema=0.99,
        validate_every=600,
        checkpoint_every=100,
    ),
)

ECG = Recipe(
    name="ecg-vdvae",
    about="the electrocardiogram that comes with PyWavelets; nothing to download",
    paper="Child 2021",
    row="our own size",
    budget="a minute on 2 cores",
    parameters=57_977,
    depth=5,
    data=Data(
        source="ecg",
        signal=SignalSpec(rate=360, stride=1, quantiser=LinearSpec(lowest=-128.0, highest=256.0)),
    ),
    model=Model(
        channels=1,
        size=(1, 64),
        encoder="64x1,64d4,16x1,16d4,4x1",
        decoder="4x1,16m4,16x1,64m16,64x1",
        width=(32,),
        latent=(4,),
        likelihood=LogisticMixturePixels(bins=128, components=3),
        input=Normalise(mean=26.5, std=16.7),
        bottleneck=0.5,
    ),
    training=Training(
        steps=400,
        batch=16,
        optimizer=AdamW(rate=4e-3),
        schedule=Cosine(),
        clip=10.0,
        ema=0.99,
        validate_every=200,
        checkpoint_every=200,
    ),
)

SIGNALS = (FSDD, ECG)
