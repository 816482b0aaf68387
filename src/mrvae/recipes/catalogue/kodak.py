"""Models of a context and its learnt prior only, for files of few bytes.

The context has luminance and chrominance of 32 × 32 pixels, 7 × 7 frequencies of the one and 4 × 4
of the other, in steps of 96 grey levels of an orthonormal transform: of several such choices the
one with the least entropy on the photographs of Kodak, at the quality of 6 × 6 of both in steps of
64.

One prior is learnt from half of the photographs, so that the other half can be coded by it, and the
other way round with ``data.cut.fold=1``; another one from CIFAR-10.
"""

from __future__ import annotations

from msgspec.structs import replace

from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, MidTreadSpec
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.cut import Patches
from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import Cosine, Recipe, Training

_STEP = 96 / 255

PHOTOGRAPHS = Recipe(
    name="kodak-context",
    about="photographs of a folder from their lowest frequencies only, for files of 0.1 bpp",
    paper="Kuzina & Tomczak 2023",
    row="figure 5, context only; our own",
    budget="a minute on 1 core",
    parameters=206_126,
    depth=1,
    data=Data(source="kodak", cut=Patches(stride=16, folds=2)),
    model=ContextOnly(
        channels=3,
        size=32,
        context=DCTSpec(
            frequencies=7,
            quantiser=MidTreadSpec(_STEP),
            prior=AutoregressiveSpec(hidden=128, components=3),
            ycbcr=True,
            chroma=4,
        ),
    ),
    training=Training(
        steps=800,
        batch=64,
        optimizer=AdamW(rate=4e-3),
        schedule=Cosine(),
        ema=0.99,
        validate_every=400,
        checkpoint_every=800,
    ),
)

SMALL_IMAGES = replace(
    PHOTOGRAPHS,
    name="cifar10-context",
    about="CIFAR-10 from its lowest frequencies only, whose prior can code photographs too",
    data=Data(source="cifar10"),
)

KODAK = (PHOTOGRAPHS, SMALL_IMAGES)
