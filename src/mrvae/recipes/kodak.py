"""Models that are a context and its learnt prior alone, for files of few bytes.

The context is that which came out best of several on the photographs of Kodak: luminance and
chrominance of 32 × 32 pixels, 6 × 6 frequencies of each, in steps of 64 grey levels of an orthonormal
transform. One prior is learnt from half of the photographs, so that the other half can be coded by
it, and the other way round with ``data.cut.fold=1``; another one from CIFAR-10.
"""

from __future__ import annotations

from dataclasses import replace

from mrvae.recipes.alone import ContextAlone
from mrvae.recipes.context import DCT, Autoregressive, MidTread
from mrvae.recipes.cut import Patches
from mrvae.recipes.schema import AdamW, Cosine, Data, Recipe, Training

_STEP = 64 / 255

PHOTOGRAPHS = Recipe(
    name="kodak-context",
    about="photographs of a folder by their lowest frequencies alone, for files of 0.1 bpp",
    paper="Kuzina & Tomczak 2023",
    row="figure 5, context alone; our own",
    budget="2 min on 1 core",
    parameters=306_795,
    depth=1,
    data=Data(source="kodak", cut=Patches(stride=16, folds=2)),
    model=ContextAlone(
        channels=3,
        size=32,
        context=DCT(
            frequencies=6,
            quantiser=MidTread(_STEP),
            prior=Autoregressive(hidden=192, components=3),
            ycbcr=True,
        ),
    ),
    training=Training(
        steps=1_500,
        batch=128,
        optimizer=AdamW(rate=4e-3),
        schedule=Cosine(),
        ema=0.99,
        validate_every=500,
        checkpoint_every=1_500,
    ),
)

SMALL_IMAGES = replace(
    PHOTOGRAPHS,
    name="cifar10-context",
    about="CIFAR-10 by its lowest frequencies alone, whose prior can code photographs too",
    data=Data(source="cifar10"),
)

KODAK = (PHOTOGRAPHS, SMALL_IMAGES)
