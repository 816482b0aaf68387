"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets*: VDVAEs shared in time.

``xN`` models have N independent blocks a resolution beside each pooling and mixing one; ``rN``
models have one that is applied N times, and so the parameters of ``x1``; pooling and mixing blocks
are never shared. The paper's own block strings are not published. Those of the ``xN`` models are
found by their parameter counts: width 32 and 8 latent channels with a Bernoulli likelihood is the
only choice that gives all four published MNIST counts (107k, 140k, 173k, 206k); the ``vdvae``
models have Child's strings. The shared models of Table 1 (``ws``) are constructions of ours that
match the published count and stochastic depth both: the decoder's blocks in about Child's
proportions over the resolutions, all above one pixel (or, for ``mnist-ws``, ``cifar10-ws39`` and
``celeba64-ws``, those of some resolutions) visited equally often, and the encoder's blocks as many
as the count leaves. Of two published sizes that share one depth, both are given that depth.

Rates, batches and lengths of the paper's runs are not known either. The MNIST recipes hold a run
of some ten minutes on two cores, the same for all of them; the others have the published settings
of Child (2021).
"""

from __future__ import annotations

from msgspec.structs import replace

from mrvae.recipes.catalogue.published import CIFAR10, IMAGENET32, IMAGENET64
from mrvae.recipes.data import Data
from mrvae.recipes.optimizers import AdamW
from mrvae.recipes.schema import BernoulliPixels, Cosine, Model, Normalise, Recipe, Training

_CIFAR_ENCODER = CIFAR10.hierarchy.encoder
_CIFAR_DECODER = CIFAR10.hierarchy.decoder


def _same_everywhere(piece: str) -> tuple[str, str]:
    """Return block strings with the same piece, such as ``x2`` or ``r3``, at 32, 16, 8, 4 and 1."""
    p = piece
    return (
        f"32{p},32d2,16{p},16d2,8{p},8d2,4{p},4d4,1{p}",
        f"1{p},4m1,4{p},8m4,8{p},16m8,16{p},32m16,32{p}",
    )


def _mnist(name: str, row: str, blocks: tuple[str, str], parameters: int, depth: int) -> Recipe:
    encoder, decoder = blocks
    return Recipe(
        name=f"falck2022-mnist-{name}",
        about="multi-resolution VDVAE on binary MNIST, padded to 32 x 32",
        paper="Falck et al. 2022",
        row=row,
        budget="CPU: minutes to hours",
        parameters=parameters,
        depth=depth,
        data=Data(source="mnist", binary=True),
        model=Model(
            channels=1,
            size=28,
            encoder=encoder,
            decoder=decoder,
            width=(32,),
            latent=(8,),
            likelihood=BernoulliPixels(),
            input=Normalise(mean=0.5, std=0.5),
        ),
        training=Training(
            steps=5_000,
            batch=32,
            optimizer=AdamW(rate=2e-3),
            schedule=Cosine(),
            ema=0.999,
            compile=True,
        ),
    )


def _colour(
    base: Recipe, name: str, row: str, blocks: tuple[str, str], parameters: int, depth: int
) -> Recipe:
    """Return a published colour recipe with other blocks."""
    encoder, decoder = blocks
    return replace(
        base,
        name=f"falck2022-{name}",
        about="multi-resolution VDVAE with the settings of Child (2021)",
        paper="Falck et al. 2022",
        row=row,
        parameters=parameters,
        depth=depth,
        model=replace(base.hierarchy, encoder=encoder, decoder=decoder),
    )


_MNIST_COUNTS = (("x1", 106_689), ("x2", 139_713), ("x3", 172_737), ("x4", 205_761))
_CIFAR10_COUNTS = (("x1", 8_744_356), ("x2", 13_022_052), ("x3", 17_299_748), ("x4", 21_577_444))
_REPEATS = (2, 3, 5, 10, 20)

_MNIST = (
    *(
        _mnist(piece, f"Figure 5, MNIST {piece}", _same_everywhere(piece), count, 5 * n + 4)
        for n, (piece, count) in enumerate(_MNIST_COUNTS, start=1)
    ),
    *(
        _mnist(f"r{n}", f"Figure 5, MNIST r{n}", _same_everywhere(f"r{n}"), 106_689, 5 * n + 4)
        for n in _REPEATS
    ),
    _mnist("vdvae", "Table 1, MNIST VDVAE*", (_CIFAR_ENCODER, _CIFAR_DECODER), 339_857, 43),
    _mnist(
        "ws",
        "Table 1, MNIST WS-VDVAE (our blocks)",
        (
            "32x10,32d2,16x5,16d2,8x5,8d2,4x3,4d4,1x3",
            "1x1,4m1,4x1,8m4,8x3,16m8,16x5r3,32m16,32x11r3",
        ),
        232_025,
        57,
    ),
)

_CIFAR = (
    *(
        _colour(
            CIFAR10, f"cifar10-{p}", f"Figure 5, CIFAR10 {p}", _same_everywhere(p), c, 5 * n + 4
        )
        for n, (p, c) in enumerate(_CIFAR10_COUNTS, start=1)
    ),
    *(
        _colour(
            CIFAR10,
            f"cifar10-r{n}",
            f"Figure 5, CIFAR10 r{n}",
            _same_everywhere(f"r{n}"),
            8_744_356,
            5 * n + 4,
        )
        for n in _REPEATS
    ),
    _colour(
        CIFAR10,
        "cifar10-vdvae",
        "Table 1, CIFAR10 VDVAE*",
        (_CIFAR_ENCODER, _CIFAR_DECODER),
        39_145_700,
        43,
    ),
    _colour(
        CIFAR10,
        "cifar10-ws25",
        "Table 1, CIFAR10 WS-VDVAE 25m (our blocks)",
        (
            "32x9,32d2,16x5,16d2,8x5,8d2,4x3,4d4,1x3",
            "1x1,4m1,4x1r5,8m4,8x3r5,16m8,16x5r5,32m16,32x11r5",
        ),
        24_986_660,
        105,
    ),
    _colour(
        CIFAR10,
        "cifar10-ws39",
        "Table 1, CIFAR10 WS-VDVAE 39m (our blocks)",
        (_CIFAR_ENCODER, "1x1,4m1,4x2,8m4,8x5,16m8,16x10r3,32m16,32x21r3"),
        39_145_700,
        105,
    ),
)

_CELEBA = replace(IMAGENET64, data=replace(IMAGENET64.data, source="celeba64.npz"))

_LARGE = (
    _colour(
        IMAGENET32,
        "imagenet32-vdvae",
        "Table 1, ImageNet32 VDVAE*",
        (IMAGENET32.hierarchy.encoder, IMAGENET32.hierarchy.decoder),
        119_280_868,
        78,
    ),
    _colour(
        IMAGENET32,
        "imagenet32-ws55",
        "Table 1, ImageNet32 WS-VDVAE 55m (our blocks)",
        (IMAGENET32.hierarchy.encoder, "1x1,4m1,4x1r10,8m4,8x3r10,16m8,16x6r10,32m16,32x13r10"),
        55_212_900,
        235,
    ),
    _colour(
        IMAGENET32,
        "imagenet32-ws85",
        "Table 1, ImageNet32 WS-VDVAE 85m (our blocks)",
        (IMAGENET32.hierarchy.encoder, "1x1,4m1,4x3r5,8m4,8x6r5,16m8,16x12r5,32m16,32x25r5"),
        85_045_924,
        235,
    ),
    _colour(
        IMAGENET64,
        "imagenet64-vdvae",
        "ImageNet64 VDVAE*",
        (IMAGENET64.hierarchy.encoder, IMAGENET64.hierarchy.decoder),
        125_005_860,
        75,
    ),
    _colour(
        _CELEBA,
        "celeba64-vdvae",
        "Table 1, CelebA VDVAE*",
        (IMAGENET64.hierarchy.encoder, IMAGENET64.hierarchy.decoder),
        125_005_860,
        75,
    ),
    _colour(
        _CELEBA,
        "celeba64-ws",
        "Table 1, CelebA WS-VDVAE (our blocks)",
        (
            "64x7,64d2,32x12,32d2,16x5,16d2,8x5,8d2,4x4,4d4,1x3",
            "1x2,4m1,4x2,8m4,8x4r4,16m8,16x8,32m16,32x17r4,64m32,64x6r4",
        ),
        75_075_300,
        125,
    ),
)

FALCK2022 = (*_MNIST, *_CIFAR, *_LARGE)
