"""The four models of Child (2021), *Very Deep VAEs*, with the exact published shapes.

Block strings, widths, rates, averages and global batches (images per GPU times GPUs) are those of
the published code, and the parameter counts are equal to the last digit. Two things differ on
purpose. The published code leaves out an update whose gradient norm exceeds a fixed threshold,
which can freeze a run for ever; ours is relative to the run's own norms. And the images of FFHQ
are reduced to 5 bits before anything sees them, so that the encoder, too, sees what is scored; the
published encoder saw all 8 bits. The published mean and deviation of the 8-bit values are divided
by 8 accordingly (dropping bits also lowers the mean by 3.5 / 8 of a level, which the input's
normalisation can leave to the first bias).

ImageNet and FFHQ cannot be fetched freely: put ``imagenet32.npz``, ``imagenet64.npz`` or
``ffhq256.npz``, with the uint8 arrays ``x_train`` and ``x_test``, into the data directory, or name
another file with ``data=PATH``.
"""

from __future__ import annotations

from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import LogisticMixturePixels, Model, Normalise, Recipe, Training

_PAPER = "Child 2021"

CIFAR10 = Recipe(
    name="vdvae-cifar10",
    about="VDVAE on CIFAR-10, 45 layers deep in the paper's count",
    paper=_PAPER,
    row="CIFAR-10: 2.87 bits/dim",
    budget="2 GPUs",
    parameters=39_145_700,
    depth=43,
    data=Data(source="cifar10"),
    model=Model(
        channels=3,
        size=32,
        encoder="32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3",
        decoder="1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21",
        width=(384,),
        latent=(16,),
        likelihood=LogisticMixturePixels(),
        input=Normalise(mean=120.63838, std=64.16736),
    ),
    training=Training(
        steps=1_050_000,
        batch=32,
        optimizer=AdamW(rate=2e-4),
        ema=0.9999,
        validate_every=10_000,
        checkpoint_every=10_000,
    ),
)

IMAGENET32 = Recipe(
    name="vdvae-imagenet32",
    about="VDVAE on ImageNet at 32 x 32",
    paper=_PAPER,
    row="ImageNet-32: 3.80 bits/dim",
    budget="32 GPUs, 2.5 weeks",
    parameters=119_280_868,
    depth=78,
    data=Data(source="imagenet32.npz"),
    model=Model(
        channels=3,
        size=32,
        encoder="32x15,32d2,16x9,16d2,8x8,8d2,4x6,4d4,1x6",
        decoder="1x2,4m1,4x4,8m4,8x9,16m8,16x19,32m16,32x40",
        width=(512,),
        latent=(16,),
        likelihood=LogisticMixturePixels(),
        input=Normalise(mean=116.2373, std=69.37404),
    ),
    training=Training(
        steps=1_700_000,
        batch=256,
        optimizer=AdamW(rate=1.5e-4),
        validate_every=10_000,
        checkpoint_every=10_000,
    ),
)

IMAGENET64 = Recipe(
    name="vdvae-imagenet64",
    about="VDVAE on ImageNet at 64 x 64",
    paper=_PAPER,
    row="ImageNet-64: 3.52 bits/dim",
    budget="32 GPUs",
    parameters=125_005_860,
    depth=75,
    data=Data(source="imagenet64.npz"),
    model=Model(
        channels=3,
        size=64,
        encoder="64x11,64d2,32x20,32d2,16x9,16d2,8x8,8d2,4x7,4d4,1x5",
        decoder="1x2,4m1,4x3,8m4,8x7,16m8,16x15,32m16,32x31,64m32,64x12",
        width=(512,),
        latent=(16,),
        likelihood=LogisticMixturePixels(),
        input=Normalise(mean=115.92961967, std=69.37404),
    ),
    training=Training(
        steps=1_600_000,
        batch=128,
        optimizer=AdamW(rate=1.5e-4),
        clip=220.0,
        validate_every=10_000,
        checkpoint_every=10_000,
    ),
)

FFHQ256 = Recipe(
    name="vdvae-ffhq256",
    about="VDVAE on faces at 256 x 256, 5 bits",
    paper=_PAPER,
    row="FFHQ-256, 5 bits: 0.61 bits/dim",
    budget="32 GPUs",
    parameters=114_874_852,
    depth=66,
    data=Data(source="ffhq256.npz", bits=5),
    model=Model(
        channels=3,
        size=256,
        encoder=("256x3,256d2,128x8,128d2,64x12,64d2,32x17,32d2,16x7,16d2,8x5,8d2,4x5,4d4,1x4"),
        decoder=("1x2,4m1,4x3,8m4,8x4,16m8,16x9,32m16,32x21,64m32,64x13,128m64,128x7,256m128"),
        width=(512,),
        latent=(16,),
        likelihood=LogisticMixturePixels(bins=32),
        input=Normalise(mean=112.8666757481 / 8, std=69.84780273 / 8),
    ),
    training=Training(
        steps=1_700_000,
        batch=32,
        optimizer=AdamW(rate=1.5e-4),
        clip=130.0,
        validate_every=10_000,
        checkpoint_every=10_000,
    ),
)

PUBLISHED = (CIFAR10, IMAGENET32, IMAGENET64, FFHQ256)
