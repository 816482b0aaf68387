"""The models of the paper's table and ablation, as entries: a run is made once for all items.

Below the paper's budget they are those of CIFAR-10 at 32 × 32, and see the 8,000 images of
``cifar10_8k.npz`` only. Three of them are also made at the paper's 128 × 128, narrower, for 400
steps of 8 images, and measured on 300: some ten minutes on one core. At ``smoke`` the built-in
digits stand for all of them.

λ weighs magnitudes against the sum of squared errors of an image. The encoder of a model called
``found`` has to find the coefficients, where that of the others corrects those of the image.
"""

from __future__ import annotations

from msgspec.structs import replace

from mrvae.papers.entries import Entry
from mrvae.papers.outcome import Budget, Extent, Extents
from mrvae.papers.workspace import Job
from mrvae.recipes import Recipe, override, recipe
from mrvae.recipes.wavelet import (
    VAE,
    CoarseToFine,
    GlobalNoise,
    Independent,
    LogisticImage,
    NoiseFromImage,
    Pyramid,
    Sparse,
    WaveletVAE,
    Weighted,
)

PART = "data=cifar10_8k.npz"
_CPU = (
    *(PART, "training.steps=1500", "training.batch=16"),
    *("training.validate_every=500", "training.checkpoint_every=500"),
)
_CPU128 = (
    *(PART, "training.steps=400", "training.batch=8", "training.warmup=50"),
    *("training.validate_every=400", "training.checkpoint_every=200"),
)
_PYRAMID128 = ("encoder.width=32", "encoder.blocks=1")
_SMOKE = ("training.steps=2", "training.validate_every=1", "training.batch=100")
_TABLE = ("vae", "wavelet", "wavelet-elbo", "wavelet-coarse-to-fine")

# How many test images are measured, but at 128 × 128 below the paper's budget.
MEASURED: Extents = {"smoke": Extent(images=16), "cpu": Extent(images=2000), "paper": Extent()}
_IMAGES128 = 300

NARROW128: dict[str, tuple[str, ...]] = {
    "vae": ("width=25",),
    "wavelet": _PYRAMID128,
    "wavelet-elbo": _PYRAMID128,
}
"""What is narrower in the models at 128 × 128; as many parameters in the first two within 5 %."""

ABLATION: dict[str, tuple[str, ...]] = {
    "learnt": (),
    "fixed-0.01": ("noise.learnt=false", "noise.initial=0.01"),
    "fixed-0.1": ("noise.learnt=false", "noise.initial=0.1"),
    "learnt-lambda-0.1": ("loss.weights=0.1",),
    "fixed-0.01-lambda-0.1": (*("loss.weights=0.1", "noise.learnt=false", "noise.initial=0.01"),),
    "found-learnt": ("encoder.residual=false",),
    "found-fixed-0.01": (*("encoder.residual=false", "noise.learnt=false", "noise.initial=0.01"),),
}
"""What each entry of the ablation changes in the Wavelet-VAE of equation 22."""


def table(budget: Budget) -> list[Entry]:
    """Return the baseline, the paper's model, and ours with a bound.

    Example:
        >>> [entry.name for entry in table("smoke")]
        ['vae', 'wavelet', 'wavelet-elbo', 'wavelet-coarse-to-fine']
        >>> [entry.name for entry in table("cpu")][4:]
        ['vae-128', 'wavelet-128', 'wavelet-elbo-128']
    """
    entries = [
        Entry(kind, Job(at_budget(kind, budget), variation=_word(budget))) for kind in _TABLE
    ]
    return [*entries, *_enlarged()] if budget == "cpu" else entries


def ablation(budget: Budget) -> list[Entry]:
    """Return the Wavelet-VAE with its noise learnt or fixed, by λ and by encoder.

    Example:
        >>> [entry.name for entry in ablation("smoke")]
        ['learnt', 'fixed-0.01']
    """
    names = ("learnt", "fixed-0.01") if budget == "smoke" else tuple(ABLATION)
    return [Entry(name, _changed(name, budget)) for name in names]


def wavelet_vae(entry: Entry) -> WaveletVAE | None:
    """Return the model of an entry if it has bands."""
    model = entry.job.recipe.model
    return model if isinstance(model, WaveletVAE) else None


def penalty(model: WaveletVAE) -> tuple[float, ...]:
    """Return λ of each level of details, coarse to fine; zeros where the loss is another.

    Example:
        >>> penalty(WaveletVAE(1, 8, 2, LogisticImage(), loss=Sparse(weights=(0.5,))))
        (0.5, 0.5)
    """
    weights = model.loss.weights if isinstance(model.loss, Sparse) else (0.0,)
    return weights * model.depth if len(weights) == 1 else weights


def at_budget(kind: str, budget: Budget) -> Recipe:
    """Return the recipe of a model, ``kiruluta2025-IMAGES-KIND``, at a budget."""
    match budget:
        case "smoke":
            return _digits(kind)
        case "cpu":
            return override(recipe(f"kiruluta2025-cifar10-32-{kind}"), _CPU)
        case "paper":
            return recipe(f"kiruluta2025-cifar10-128-{kind}")


def _changed(name: str, budget: Budget) -> Job:
    """Return the run of an entry of the ablation; the first is the table's own."""
    changes = ABLATION[name]
    whole = at_budget("wavelet", budget)
    word = _word(budget)
    if not changes:
        return Job(whole, variation=word)
    changed = override(whole, [f"model.{change}" for change in changes])
    return Job(changed, variation=f"{word}-{name}" if word else name)


def _enlarged() -> list[Entry]:
    """Return the entries at the paper's size that two cores can make."""
    return [
        Entry(f"{kind}-128", Job(_narrow128(kind), variation="narrow"), images=_IMAGES128)
        for kind in NARROW128
    ]


def _narrow128(kind: str) -> Recipe:
    changes = [f"model.{change}" for change in NARROW128[kind]]
    return override(recipe(f"kiruluta2025-cifar10-128-{kind}"), [*_CPU128, *changes])


def _word(budget: Budget) -> str:
    return "kiruluta2025" if budget == "smoke" else ""


def _digits(kind: str) -> Recipe:
    """Return a narrow model of the digits that stands for one of the paper's."""
    known = override(recipe("digits-wavelet"), _SMOKE)
    pixels = LogisticImage(bins=17)
    paper = WaveletVAE(
        *(1, 8, 2, pixels),
        encoder=Pyramid(width=8, blocks=1),
        noise=GlobalNoise(0.1),
        loss=Sparse(),
    )
    bound = WaveletVAE(1, 8, 2, pixels, encoder=paper.encoder, noise=NoiseFromImage(0.1))
    models: dict[str, VAE | WaveletVAE] = {
        "vae": VAE(1, 8, 4, 2, pixels, width=8, loss=Weighted()),
        "wavelet": paper,
        "wavelet-elbo": replace(bound, prior=Independent()),
        "wavelet-coarse-to-fine": replace(bound, prior=CoarseToFine(width=8, blocks=1)),
    }
    name = f"digits-{kind}"
    return replace(known, name=name, model=models[kind], parameters=0, depth=0)
