"""What a recipe may say of the top of a hierarchy: a context, its levels, and its prior.

Kuzina & Tomczak (2023) put a fixed, discrete function of the image above all latents. Here are the
choices that this leaves: which function, how it is rounded, what law it has. With no context, the
hierarchy begins at its coarsest latent.
"""

from __future__ import annotations

import msgspec

from mrvae.recipes.validation import WIDEST, Choice, bounded, positive, require, within
from mrvae.sizes import ImageSize, sides, simplest

# ------------------------------------------------------------------------------------- quantisers


class MidRiseSpec(Choice, frozen=True, tag="mid_rise"):
    """2^bits levels for every coefficient, none of them zero, as published."""

    bits: int = 2

    def __post_init__(self) -> None:
        bounded(self, 16, "bits")


class MidTreadSpec(Choice, frozen=True, tag="mid_tread"):
    """Levels at the multiples of ``step``, in units of the coefficients; zero is one of them."""

    step: float = 0.5

    def __post_init__(self) -> None:
        positive(self, "step")


Quantiser = MidRiseSpec | MidTreadSpec

# ----------------------------------------------------------------------------------------- priors


class LinearNoise(Choice, frozen=True, tag="linear_noise"):
    """β grows linearly; the published rule gives its ends for each length of the chain."""


class CosineNoise(Choice, frozen=True, tag="cosine_noise"):
    """ᾱ falls along a squared cosine (Nichol & Dhariwal 2021)."""


Noise = LinearNoise | CosineNoise


class PredictMeanSpec(Choice, frozen=True, tag="mean"):
    """The network writes μ and log σ² of the step back, as published."""


class PredictStartSpec(Choice, frozen=True, tag="start"):
    """The network guesses y_0, where the chain began."""


class PredictNoiseSpec(Choice, frozen=True, tag="noise"):
    """The network guesses the noise in y_t."""


Prediction = PredictMeanSpec | PredictStartSpec | PredictNoiseSpec


class FactorisedSpec(Choice, frozen=True, tag="factorised"):
    """Independent levels, each a rounded Gaussian."""


class AutoregressiveSpec(Choice, frozen=True, tag="autoregressive"):
    """Level by level, each a mixture of ``components`` rounded Gaussians given those before it.

    ``hidden`` units stand in each of the two layers of the network.
    """

    hidden: int = 64
    components: int = 4

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "hidden")
        bounded(self, 100, "components")


class DiffusionSpec(Choice, frozen=True, tag="diffusion"):
    """A diffusion of ``length`` steps with a U-Net, as published.

    The U-Net has ``unet_width`` channels, ``unet_scales`` scales, and ``unet_blocks`` residual
    blocks on each.
    """

    length: int = 7
    noise: Noise = LinearNoise()
    predict: Prediction = PredictMeanSpec()
    unet_width: int = 32
    unet_blocks: int = 3
    unet_scales: int = 1

    def __post_init__(self) -> None:
        bounded(self, 10_000, "length")
        bounded(self, WIDEST, "unet_width")
        bounded(self, 100, "unet_blocks")
        bounded(self, 16, "unet_scales")


Prior = FactorisedSpec | AutoregressiveSpec | DiffusionSpec

# --------------------------------------------------------------------------------------- contexts


class NoContextSpec(Choice, frozen=True, tag="none"):
    """No context: the hierarchy begins at its coarsest latent."""


class DCTSpec(Choice, frozen=True, tag="dct"):
    """The lowest ``frequencies`` of a cosine transform along each axis.

    They are one number d for d × d, of a signal 1 × d, or two numbers, (down, across). With
    ``everywhere`` the context conditions the state of each resolution; without, only that of the
    coarsest. ``ycbcr`` changes colours to luminance and chrominance, of
    which the latter keeps ``chroma`` × ``chroma`` frequencies; all of them if that is 0.
    """

    frequencies: ImageSize = 3
    quantiser: Quantiser = MidRiseSpec()
    prior: Prior = DiffusionSpec()
    everywhere: bool = True
    ycbcr: bool = False
    chroma: int = 0

    def __post_init__(self) -> None:
        for count in sides(self.frequencies):
            good = 0 < count <= WIDEST
            require(good, f"frequencies are {self.frequencies}; each must be in 1…{WIDEST}")
        msgspec.structs.force_setattr(self, "frequencies", simplest(self.frequencies))
        within(self, 0, max(sides(self.frequencies)), "chroma")
        require(self.ycbcr or not self.chroma, "chroma belongs to ycbcr; set ycbcr=true")


class PooledSpec(Choice, frozen=True, tag="pooled"):
    """Averages over blocks of ``factor`` × ``factor`` pixels, 1 × ``factor`` of a signal."""

    factor: int = 2
    quantiser: Quantiser = MidRiseSpec()
    prior: Prior = DiffusionSpec()
    everywhere: bool = True

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "factor")


class WaveletSpec(Choice, frozen=True, tag="wavelet"):
    """The coarse part of a wavelet transform of ``depth`` steps."""

    wavelet: str = "haar"
    depth: int = 1
    quantiser: Quantiser = MidRiseSpec()
    prior: Prior = DiffusionSpec()
    everywhere: bool = True

    def __post_init__(self) -> None:
        require(bool(self.wavelet), "wavelet is empty; name one, such as haar or db2")
        bounded(self, 16, "depth")


SomeContext = DCTSpec | PooledSpec | WaveletSpec
Context = NoContextSpec | DCTSpec | PooledSpec | WaveletSpec
