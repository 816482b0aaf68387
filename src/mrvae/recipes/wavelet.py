"""What a recipe may say of a model whose latents are wavelet coefficients, and of its baseline.

Kiruluta (2025) takes the coefficients of an image as the latents of a VAE. Here are the choices
that this leaves: which wavelet and how many levels, what finds the coefficients and what is made
of them, how large their noise is, what law they have, and which loss is followed. Images are on
[0, 1], so that coefficients, noise and λ have the units of the paper; λ weighs magnitudes against
the *sum* of squared errors of an image, and is one number or one for each level, coarse to fine.
"""

from __future__ import annotations

import msgspec

from mrvae.recipes.validation import (
    WIDEST,
    Choice,
    ImageModel,
    bounded,
    positive,
    require,
    shown,
    within,
)
from mrvae.sizes import ImageSize, can_halve, halved, sides, simplest, size_text

# ------------------------------------------------------------------------------------ likelihoods


class LogisticImage(Choice, frozen=True, tag="logistic_image"):
    """A logistic around the decoder's image, rounded to ``bins``; a learnt scale a channel.

    With two bins it is a Bernoulli.
    """

    bins: int = 256

    def __post_init__(self) -> None:
        within(self, 2, 256, "bins")


class GaussianImage(Choice, frozen=True, tag="gaussian_image"):
    """A Gaussian around the decoder's image, rounded to ``bins``; a learnt scale a channel."""

    bins: int = 256

    def __post_init__(self) -> None:
        within(self, 2, 256, "bins")


ImageLikelihood = LogisticImage | GaussianImage

# ----------------------------------------------------------------------------------------- losses


class Squared(Choice, frozen=True, tag="squared"):
    """The sum of squared errors of an image on [0, 1]."""


class CrossEntropy(Choice, frozen=True, tag="cross_entropy"):
    """The sum of binary cross-entropies of an image on [0, 1]; the decoder's image is squashed."""


Reconstruction = Squared | CrossEntropy


class Bound(Choice, frozen=True, tag="bound"):
    """-ELBO itself."""


class Weighted(Choice, frozen=True, tag="weighted"):
    """Equation 14: a reconstruction error and ``beta`` times the divergence from the prior."""

    reconstruction: Reconstruction = Squared()
    beta: float = 1.0

    def __post_init__(self) -> None:
        positive(self, "beta")


class Sparse(Choice, frozen=True, tag="sparse"):
    """Equation 22: a reconstruction error and λ times the magnitudes of the details.

    ``weights`` is λ: one for all levels, or one for each, coarse to fine.
    """

    reconstruction: Reconstruction = Squared()
    weights: tuple[float, ...] = (0.01,)

    def __post_init__(self) -> None:
        good = len(self.weights) > 0 and all(0 <= weight <= WIDEST for weight in self.weights)
        require(good, f"weights are {shown(self.weights)}; give one or more numbers in 0…{WIDEST}")


Loss = Bound | Weighted
WaveletLoss = Bound | Weighted | Sparse

# ---------------------------------------------------------------------------------------- encoder


class Transform(Choice, frozen=True, tag="transform"):
    """The coefficients are those of the image itself, with nothing to learn."""


class Pyramid(Choice, frozen=True, tag="pyramid"):
    """A residual network over the levels of the transform, which the coefficients are read from.

    It begins at half the image's side, with the ``width`` channels of its state, and has ``blocks``
    bottlenecks a level. With ``residual`` it says what is added to the image's own coefficients,
    and begins with nothing; without, it has to find them.
    """

    width: int = 64
    blocks: int = 2
    bottleneck: float = 0.5
    residual: bool = True

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "width")
        bounded(self, 100, "blocks")
        bounded(self, 16, "bottleneck")


Encoder = Transform | Pyramid

# ------------------------------------------------------------------------------------------ noise


class GlobalNoise(Choice, frozen=True, tag="global"):
    """One scale s for all coefficients."""

    initial: float = 0.1
    learnt: bool = True

    def __post_init__(self) -> None:
        positive(self, "initial")


class NoisePerKind(Choice, frozen=True, tag="kind"):
    """One scale for the approximation and one for all details."""

    approximation: float = 0.1
    detail: float = 0.1
    learnt: bool = True

    def __post_init__(self) -> None:
        positive(self, "approximation", "detail")


class NoisePerLevel(Choice, frozen=True, tag="level"):
    """One scale for the approximation and one for the details of each level."""

    initial: float = 0.1
    learnt: bool = True

    def __post_init__(self) -> None:
        positive(self, "initial")


class NoisePerCoefficient(Choice, frozen=True, tag="coefficient"):
    """A scale for every coefficient, the same for all images."""

    initial: float = 0.1
    learnt: bool = True

    def __post_init__(self) -> None:
        positive(self, "initial")


class NoiseFromImage(Choice, frozen=True, tag="image"):
    """A learnt scale for each level, times what the encoder says for every coefficient of x."""

    initial: float = 0.1

    def __post_init__(self) -> None:
        positive(self, "initial")


Noise = GlobalNoise | NoisePerKind | NoisePerLevel | NoisePerCoefficient | NoiseFromImage

# ----------------------------------------------------------------------------------------- priors


class LaplaceSpec(Choice, frozen=True, tag="laplace"):
    """Two-sided exponential details, whose divergence is known in closed form."""


class LogisticSpec(Choice, frozen=True, tag="logistic"):
    """Logistic details, whose divergence is estimated at one draw."""


class GaussianSpec(Choice, frozen=True, tag="gaussian"):
    """Gaussian details."""


Family = LaplaceSpec | LogisticSpec | GaussianSpec


class StandardNormal(Choice, frozen=True, tag="standard_normal"):
    """Every coefficient is Normal(0, 1), with nothing to learn (equations 15 to 19)."""


class Independent(Choice, frozen=True, tag="independent"):
    """Details around 0 with a learnt scale for each band; a Gaussian approximation."""

    family: Family = LaplaceSpec()


class CoarseToFine(Choice, frozen=True, tag="coarse_to_fine"):
    """Details whose locations and scales a network reads off the approximation of their level.

    The network has ``blocks`` bottlenecks of ``width`` channels; one for each level, or, with
    ``shared``, one for all, to which each level adds the scales of its bands.
    """

    family: Family = LaplaceSpec()
    width: int = 32
    blocks: int = 2
    shared: bool = False

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "width")
        bounded(self, 100, "blocks")


class Couplings(Choice, frozen=True, tag="couplings"):
    """Details that affine couplings among their bands make of noise, seeing the approximation.

    There are ``steps`` couplings a level, one band after the other, each with a network of
    ``blocks`` bottlenecks of ``width`` channels.
    """

    steps: int = 6
    width: int = 32
    blocks: int = 1

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "width")
        bounded(self, 100, "steps", "blocks")


Prior = StandardNormal | Independent | CoarseToFine | Couplings

# ------------------------------------------------------------------------------------- refinement


class NoRefinement(Choice, frozen=True, tag="unrefined"):
    """The inverse transform is the whole decoder, as published."""


class Refine(Choice, frozen=True, tag="unet"):
    """A U-Net adds to the synthesised image; at the start it adds nothing.

    ``width`` is a multiple of 16, and ``scales`` the number of resolutions.
    """

    width: int = 16
    blocks: int = 1
    scales: int = 2

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "width")
        require(self.width % 16 == 0, f"width is {self.width}; it must be a multiple of 16")
        bounded(self, 100, "blocks")
        bounded(self, 16, "scales")


Refinement = NoRefinement | Refine

# ----------------------------------------------------------------------------------------- models


class WaveletVAE(ImageModel, frozen=True, tag="wavelet_vae"):
    """A VAE whose latents are wavelet coefficients (Kiruluta 2025).

    ``depth`` is the number L of steps of the transform: the approximation has size/2^L pixels a
    side, and that of a signal 1 × T/2^L. Any orthogonal or biorthogonal ``wavelet`` will do.
    """

    depth: int
    likelihood: ImageLikelihood
    wavelet: str = "haar"
    encoder: Encoder = Pyramid()
    noise: Noise = NoisePerLevel()
    prior: Prior = Independent()
    refinement: Refinement = NoRefinement()
    loss: WaveletLoss = Bound()

    def __post_init__(self) -> None:
        ImageModel.__post_init__(self)
        bounded(self, 16, "depth")
        require(bool(self.wavelet), "wavelet is empty; name one, such as haar or db2")
        size = size_text(self.size)
        require(
            can_halve(self.size, self.depth) and self.sides[1] > 1,
            f"depth is {self.depth}; {size} pixels a side cannot be halved so often",
        )
        conditioning = isinstance(self.noise, NoiseFromImage) and isinstance(
            self.encoder, Transform
        )
        require(not conditioning, "noise from the image needs a network; encoder=pyramid has one")
        if isinstance(self.loss, Sparse):
            count = len(self.loss.weights)
            require(
                count in (1, self.depth),
                f"{count} weights for {self.depth} levels of details; give one, or one for each",
            )


class VAE(ImageModel, frozen=True, tag="vae"):
    """A convolutional VAE with one Gaussian latent: the baseline of Kiruluta (2025).

    The latent has ``latent`` channels of ``coarse`` pixels, a size as the image's. Encoder and
    decoder have ``blocks`` bottlenecks at each resolution between it and the image.
    """

    coarse: ImageSize
    latent: int
    likelihood: ImageLikelihood
    width: int = 64
    blocks: int = 1
    bottleneck: float = 0.5
    loss: Loss = Bound()

    def __post_init__(self) -> None:
        ImageModel.__post_init__(self)
        bounded(self, WIDEST, "latent", "width")
        bounded(self, 100, "blocks")
        bounded(self, 16, "bottleneck")
        steps = (max(self.sides) // max(max(sides(self.coarse)), 1)).bit_length() - 1
        reached = steps >= 0 and can_halve(self.size, steps)
        require(
            reached and halved(self.size, steps) == sides(self.coarse),
            f"coarse is {shown(self.coarse)}; it must be {size_text(self.size)} halved some times",
        )
        msgspec.structs.force_setattr(self, "coarse", simplest(self.coarse))
