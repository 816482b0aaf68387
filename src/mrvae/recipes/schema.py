"""What a recipe may say: every value that decides a run, as frozen data.

A recipe names its data, its model and its training, and nothing else does: a run is a function of
(recipe, seed, steps). Choices among kinds, such as the likelihood, are closed unions of small
structs; in JSON each carries its ``kind``. Values that a field's type cannot refuse are
refused in ``__post_init__``, so that a recipe that exists is a recipe that makes sense. The block
strings are the papers' own notation; they are stored as they were published, and read by
:mod:`mrvae.models.hierarchy.level` only.
"""

from __future__ import annotations

import math
from typing import Literal

from mrvae.recipes.context import Context, NoContextSpec
from mrvae.recipes.context_only import ContextOnly
from mrvae.recipes.data import Data, MuLawSpec, SignalSpec
from mrvae.recipes.kl_term import KlTerm
from mrvae.recipes.optimizers import AdamW, Optimizer
from mrvae.recipes.validation import (
    LONGEST,
    WIDEST,
    Choice,
    ImageModel,
    Spec,
    bounded,
    positive,
    real,
    require,
    shown,
    within,
)
from mrvae.recipes.wavelet import VAE, Sparse, WaveletVAE
from mrvae.sizes import size_text

_MU_LAW_BINS = 256

# ------------------------------------------------------------------------------------ likelihoods


class BernoulliPixels(Choice, frozen=True, tag="bernoulli"):
    """Binary pixels, one logit per channel."""

    @property
    def bins(self) -> int:
        """Number of values a pixel can take."""
        return 2


class CategoricalPixels(Choice, frozen=True, tag="categorical"):
    """A free probability for each of a few grey levels."""

    bins: int = 17

    def __post_init__(self) -> None:
        within(self, 2, 256, "bins")


class LogisticMixturePixels(Choice, frozen=True, tag="logistic_mixture"):
    """A mixture of discretised logistics over ``bins`` values a channel."""

    bins: int = 256
    components: int = 10
    autoregressive: bool = True

    def __post_init__(self) -> None:
        within(self, 2, 256, "bins")
        bounded(self, 1000, "components")


Likelihood = BernoulliPixels | CategoricalPixels | LogisticMixturePixels

# --------------------------------------------------------------------------------- scales of z


class RawScaleSpec(Choice, frozen=True, tag="raw"):
    """The network's output is log σ itself, as published by Child (2021)."""


class SoftplusScaleSpec(Choice, frozen=True, tag="softplus"):
    """σ = softplus(β·raw)/β; with β = ln 2 a raw value of 0 means σ = 1 (Hazami et al. 2022)."""

    beta: float = math.log(2.0)

    def __post_init__(self) -> None:
        positive(self, "beta")


class BoundedScaleSpec(Choice, frozen=True, tag="bounded"):
    """log σ² is log softplus(β·raw)/β, held in lowest … highest (Kuzina & Tomczak 2023)."""

    beta: float = 0.7
    lowest: float = -5.0
    highest: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "beta")
        real(self, "lowest", "highest")
        ordered = self.lowest < self.highest
        require(ordered, f"lowest is {self.lowest}; it must be less than highest, {self.highest}")


Scale = RawScaleSpec | SoftplusScaleSpec | BoundedScaleSpec

# ----------------------------------------------------------------------------------------- cells


class VDVAE(Choice, frozen=True, tag="vdvae"):
    """The cell of Child (2021): the state carries on, and every latent is added to it."""


class NVAE(Choice, frozen=True, tag="nvae"):
    """The cell of Vahdat & Kautz (2020): the latent is mixed in by concatenation only."""


class Markov(Choice, frozen=True, tag="markov"):
    """The cell of the ladder VAE: the next state is a function of the latent only."""


class Plain(Choice, frozen=True, tag="plain"):
    """The networks of VDVAE without its residual connections."""


class TopDown(Choice, frozen=True, tag="top_down"):
    """The cell, encoder and head of Kuzina & Tomczak (2023).

    ``shortcut`` gives the networks of posterior and prior their skip, β S x with β = 0 at the
    start; the released code builds it and never adds it. ``top_latent_skip`` adds the first latent
    to the state of every level, as the released baseline for CIFAR-10 does. With ``weight_norm``
    direction and length of most weights are learnt apart.
    """

    shortcut: bool = True
    top_latent_skip: bool = False
    weight_norm: bool = False


Cell = VDVAE | NVAE | Markov | Plain | TopDown

# ----------------------------------------------------------------------------------------- model


class Normalise(Spec, frozen=True):
    """The network's input is (x - mean) / std, in units of pixel values.

    The probability of a binary pixel begins at ``mean``.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        real(self, "mean")
        positive(self, "std")


class Model(ImageModel, frozen=True, tag="hierarchy"):
    """A top-down hierarchical VAE, in the papers' block notation.

    ``width`` and ``latent`` hold one value for all resolutions, or one for each, coarse to fine.
    ``size`` is that of the image; the finest resolution of the blocks may be larger, and then the
    image is padded for the network and scored on its own pixels. The blocks of a rectangle name the
    longer side of each resolution, and a signal of T samples is an image of 1 × T. Besides
    ``cell``, by which the encoder and the head are chosen too, ``bias_up_to`` is the largest
    resolution whose state begins with a learned bias.

    The next five are the variations of Falck et al. (2022). ``cell`` is the step that is repeated.
    ``normalise`` divides the state by its norm after every block, on both ways. ``fourier`` holds
    exponents n: the network also sees sin and cos of 2ⁿπ times the image on [-1, 1]. With
    ``synchronous`` a cell reads the encoder's state at its own place, not the level's last.
    ``wavelet`` names the orthogonal wavelet by whose projection and embedding the state changes its
    level: haar averages pixels and repeats them.

    ``context`` is what stands above the coarsest latent (Kuzina & Tomczak 2023).
    """

    encoder: str
    decoder: str
    width: tuple[int, ...]
    latent: tuple[int, ...]
    likelihood: Likelihood
    input: Normalise
    bottleneck: float = 0.25
    scale: Scale = RawScaleSpec()
    bias_up_to: int = 64
    cell: Cell = VDVAE()
    normalise: bool = False
    fourier: tuple[int, ...] = ()
    synchronous: bool = False
    wavelet: str = "haar"
    context: Context = NoContextSpec()

    def __post_init__(self) -> None:
        ImageModel.__post_init__(self)
        bounded(self, 16, "bottleneck")
        for name in ("width", "latent"):
            values = getattr(self, name)
            require(len(values) > 0, f"{name} is empty; give one value, or one per resolution")
            good = min(values) > 0 and max(values) <= WIDEST
            require(good, f"{name} is {shown(values)}; every value must be in 1…{WIDEST}")
        within(self, 0, LONGEST, "bias_up_to")
        echoes = isinstance(self.cell, TopDown) and self.cell.top_latent_skip
        require(
            not echoes or isinstance(self.context, NoContextSpec),
            "the cell's echo is for models without a context, which tells every level already; "
            "set model.cell.top_latent_skip=false",
        )
        few = len(self.fourier) <= 16 and all(0 <= n <= 16 for n in self.fourier)
        require(few, f"fourier is {shown(self.fourier)}; give at most 16 exponents in 0…16")


Network = Model | WaveletVAE | VAE | ContextOnly

# -------------------------------------------------------------------------------------- training


class Constant(Choice, frozen=True, tag="constant"):
    """The rate stays where the warm-up leaves it."""


class Cosine(Choice, frozen=True, tag="cosine"):
    """After the warm-up the rate falls along half a cosine to ``final`` times its peak."""

    final: float = 0.0

    def __post_init__(self) -> None:
        within(self, 0, 1, "final")


Schedule = Constant | Cosine


class SkipRule(Spec, frozen=True):
    """When an update is left out: its gradient norm exceeds ``factor`` times a running quantile.

    The quantile is taken over the last ``window`` finite norms, skipped ones included, so the
    threshold follows the run; after ``in_a_row`` skips for size the next update is made whatever
    its (clipped) norm, because a fixed threshold can freeze a run for ever. A loss or gradient
    that is not finite is always skipped; after ``broken_in_a_row`` of those the run stops.
    """

    quantile: float = 0.9
    factor: float = 4.0
    window: int = 200
    in_a_row: int = 10
    broken_in_a_row: int = 25

    def __post_init__(self) -> None:
        require(0 < self.quantile <= 1, f"quantile is {self.quantile}; it must be in (0, 1]")
        real(self, "factor")
        require(self.factor > 1, f"factor is {self.factor}; it must be more than 1")
        bounded(self, 1_000_000, "window", "in_a_row", "broken_in_a_row")


Precision = Literal["auto", "float32", "bfloat16"]


class Training(Spec, frozen=True):
    """How the weights are found. ``batch`` is the global batch, whatever the number of devices.

    ``precision`` is that of the layers; ``auto`` takes bfloat16 where the device of the run
    computes it natively, and float32 elsewhere. ``activation_checkpointing`` stores no activation
    inside a block or a cell, and computes them again in the backward pass: a third more operations
    for a fraction of the memory. A run is refused if its predicted peak of memory is more than
    ``overcommit`` times what is free.
    """

    steps: int
    batch: int
    optimizer: Optimizer = AdamW()
    schedule: Schedule = Constant()
    warmup: int = 100
    clip: float = 200.0
    skip: SkipRule = SkipRule()
    ema: float = 0.999
    accumulate: int = 1
    precision: Precision = "float32"
    compile: bool = False
    activation_checkpointing: bool = False
    overcommit: float = 1.0
    kl: KlTerm = KlTerm()
    validate_every: int = 1000
    checkpoint_every: int = 1000
    keep: int = 2

    def __post_init__(self) -> None:
        positive(self, "clip", "overcommit")
        bounded(self, WIDEST, "batch", "accumulate")
        bounded(self, LONGEST, "steps", "validate_every", "checkpoint_every", "keep")
        within(self, 0, LONGEST, "warmup")
        require(0 <= self.ema < 1, f"ema is {self.ema}; it must be in [0, 1)")
        require(
            self.batch % self.accumulate == 0,
            f"batch {self.batch} cannot be split into {self.accumulate} equal parts",
        )


# ---------------------------------------------------------------------------------------- recipe


class Recipe(Spec, frozen=True):
    """One named run: data, model and training, and what is known of the result.

    ``parameters`` and ``depth`` are stored beside the recipe so that listing needs no torch; a
    test holds them against the model that is built.
    """

    name: str
    about: str
    paper: str
    row: str
    budget: str
    parameters: int
    depth: int
    data: Data
    model: Network
    training: Training

    @property
    def hierarchy(self) -> Model:
        """The model, where it is a hierarchy in block notation.

        Raises:
            ValueError: if it is of another kind.
        """
        if isinstance(self.model, Model):
            return self.model
        raise ValueError(f"{shown(self.name)} has no hierarchy of blocks; choose another recipe")

    def __post_init__(self) -> None:
        within(self, 0, LONGEST, "parameters", "depth")
        bins = 2 if self.data.binary else self.model.likelihood.bins
        require(
            bins == self.model.likelihood.bins,
            f"binary images need a likelihood of 2 bins, not {self.model.likelihood.bins}",
        )
        if isinstance(self.data.signal, SignalSpec):
            self._check_signal(self.data.signal)
        sparse = isinstance(self.model, WaveletVAE) and isinstance(self.model.loss, Sparse)
        weighed = sparse and self.training.kl != KlTerm()
        require(
            not weighed, f"{self.training.kl} weighs a KL, and loss=sparse has none; leave kl out"
        )

    def _check_signal(self, signal: SignalSpec) -> None:
        """Refuse a model of pictures for signals, and bins that the quantiser does not have."""
        height = self.model.sides[0]
        require(
            height == 1,
            f"model.size is {size_text(self.model.size)}; windows of T samples are 1xT, as in 1x64",
        )
        bins = self.model.likelihood.bins
        require(
            bins == _MU_LAW_BINS or not isinstance(signal.quantiser, MuLawSpec),
            f"mu_law has {_MU_LAW_BINS} bins and the likelihood {bins}; make them equal, or set "
            "data.signal.quantiser=linear",
        )
