"""What a recipe may say of the top of a hierarchy: a context, its levels, and its prior.

Kuzina & Tomczak (2023) put a fixed, discrete function of the image above all latents. Here are the
choices that this leaves: which function, how it is rounded, what law it has. With no context, the
hierarchy begins at its coarsest latent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mrvae.recipes.validation import LATER, WIDEST, bounded, positive, require

# ------------------------------------------------------------------------------------- quantisers


@dataclass(frozen=True)
class MidRise:
    """2^bits levels for every coefficient, none of them zero, as published."""

    bits: int = 2

    def __post_init__(self) -> None:
        bounded(self, 16, "bits")


@dataclass(frozen=True)
class MidTread:
    """Levels at the multiples of ``step``, in units of the coefficients; zero is one of them."""

    step: float = 0.5

    def __post_init__(self) -> None:
        positive(self, "step")


Quantiser = MidRise | MidTread

# ----------------------------------------------------------------------------------------- priors


@dataclass(frozen=True)
class LinearNoise:
    """β grows linearly; the published rule gives its ends for each length of the chain."""


@dataclass(frozen=True)
class CosineNoise:
    """ᾱ falls along a squared cosine (Nichol & Dhariwal 2021)."""


Noise = LinearNoise | CosineNoise


@dataclass(frozen=True)
class PredictMean:
    """The network writes μ and log σ² of the step back, as published."""


@dataclass(frozen=True)
class PredictStart:
    """The network guesses y_0, where the chain began."""


@dataclass(frozen=True)
class PredictNoise:
    """The network guesses the noise in y_t."""


Prediction = PredictMean | PredictStart | PredictNoise


@dataclass(frozen=True)
class Normal:
    """Independent levels, each a rounded Gaussian."""


@dataclass(frozen=True)
class Autoregressive:
    """Level by level, each a mixture of ``components`` rounded Gaussians given those before it.

    ``hidden`` units stand in each of the two layers of the network.
    """

    hidden: int = 64
    components: int = 4

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "hidden")
        bounded(self, 100, "components")


@dataclass(frozen=True)
class Diffusion:
    """A diffusion of ``length`` steps with a U-Net, as published.

    The U-Net has ``unet_width`` channels, ``unet_scales`` scales, and ``unet_blocks`` residual
    blocks on each.
    """

    length: int = 7
    noise: Noise = field(default_factory=LinearNoise)
    predict: Prediction = field(default_factory=PredictMean)
    unet_width: int = 32
    unet_blocks: int = 3
    unet_scales: int = 1

    def __post_init__(self) -> None:
        bounded(self, 10_000, "length")
        bounded(self, WIDEST, "unet_width")
        bounded(self, 100, "unet_blocks")
        bounded(self, 16, "unet_scales")


Prior = Normal | Autoregressive | Diffusion

# --------------------------------------------------------------------------------------- contexts


@dataclass(frozen=True)
class NoContext:
    """Nothing stands above the coarsest latent."""


@dataclass(frozen=True)
class DCT:
    """The lowest ``frequencies`` × ``frequencies`` of a cosine transform.

    With ``everywhere`` the state of each resolution begins with what the context tells it;
    without, that of the coarsest alone. ``ycbcr`` changes colours to luminance and chrominance, of
    which the latter keeps ``chroma`` × ``chroma`` frequencies; all of them if that is 0.
    """

    frequencies: int = 3
    quantiser: Quantiser = field(default_factory=MidRise)
    prior: Prior = field(default_factory=Diffusion)
    everywhere: bool = True
    ycbcr: bool = False
    chroma: int = field(default=0, metadata=LATER)

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "frequencies")
        fewer = 0 <= self.chroma <= self.frequencies
        require(fewer, f"chroma is {self.chroma}; it must be in 0…{self.frequencies}")
        require(self.ycbcr or not self.chroma, "chroma is of ycbcr alone; set ycbcr=true")


@dataclass(frozen=True)
class Pooled:
    """Averages over blocks of ``factor`` × ``factor`` pixels."""

    factor: int = 2
    quantiser: Quantiser = field(default_factory=MidRise)
    prior: Prior = field(default_factory=Diffusion)
    everywhere: bool = True

    def __post_init__(self) -> None:
        bounded(self, WIDEST, "factor")


@dataclass(frozen=True)
class WaveletTop:
    """The coarse part of a wavelet transform of ``depth`` steps."""

    wavelet: str = "haar"
    depth: int = 1
    quantiser: Quantiser = field(default_factory=MidRise)
    prior: Prior = field(default_factory=Diffusion)
    everywhere: bool = True

    def __post_init__(self) -> None:
        require(bool(self.wavelet), "wavelet is empty; name one, such as haar or db2")
        bounded(self, 16, "depth")


SomeContext = DCT | Pooled | WaveletTop
Context = NoContext | DCT | Pooled | WaveletTop
