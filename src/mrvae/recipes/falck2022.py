"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets*: the smallest MNIST model.

One encoder block and one cell beside each pooling and mixing one, at 32, 16, 8, 4 and 1 pixels a
side. Width 32 and 8 latent channels with a Bernoulli likelihood is the only choice that gives all
four published parameter counts of the MNIST models of Figure 5 (107k, 140k, 173k, 206k). The 28
pixels are padded to 32 for the network and scored on the image's own 784. The paper's own rate and
batch are not known; 5,000 steps of 32 images at a constant rate is a run of twenty minutes on two
cores that can be compared, step by step, with the published code.
"""

from __future__ import annotations

from mrvae.recipes.schema import AdamW, BernoulliPixels, Data, Model, Normalise, Recipe, Training

MNIST_X1 = Recipe(
    name="falck2022-mnist-x1",
    about="the smallest multi-resolution VDVAE on binary MNIST",
    paper="Falck et al. 2022",
    row="Figure 5, MNIST x1",
    budget="20 min on 2 cores",
    parameters=106_689,
    depth=9,
    data=Data(source="mnist", binary=True),
    model=Model(
        channels=1,
        size=28,
        encoder="32x1,32d2,16x1,16d2,8x1,8d2,4x1,4d4,1x1",
        decoder="1x1,4m1,4x1,8m4,8x1,16m8,16x1,32m16,32x1",
        width=(32,),
        latent=(8,),
        likelihood=BernoulliPixels(),
        input=Normalise(mean=0.5, std=0.5),
    ),
    training=Training(steps=5_000, batch=32, optimizer=AdamW(rate=5e-4), ema=0.999),
)

FALCK2022 = (MNIST_X1,)
