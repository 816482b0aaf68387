"""The VAE whose latents are the wavelet coefficients of the image (Kiruluta 2025).

An L-level transform W turns an image u on [0, 1] into its approximation c_L and 3L bands of details
(equation 8). The encoder finds such coefficients, noise of scale s is added to them (equation 12),
and the inverse transform makes an image of them,

    c̃ = c(x) + s ε,        x̂ = W⁻¹ c̃,

alone, as published, or followed by a small U-Net. It is a hierarchy like every other: its latents
are the approximation and the details of each level, from coarse to fine, its state is an
approximation, and the walk is synthesis (:mod:`mrvae.models.bands`).

The encoder is W itself, or a residual network over the levels of W, whose first step, being
invertible, loses nothing and halves the sides. With ``residual`` it says what is added to W u,

    c(x) = W u + f(x),        f = 0 at the start,

so that it begins where an identity would end: with x̂ = u up to the noise. What a paper's loss
measures from there on is the noise alone, which for an orthonormal W adds s² to the mean squared
error. A bound also counts what the coefficients cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.distributions import Gaussian, Laplace, Logistic
from mrvae.layers import convolution, scale_weight
from mrvae.models.around import AroundImage, Refinement
from mrvae.models.bands import (
    BandCell,
    Begin,
    Family,
    FreeLaw,
    Look,
    OneCellRung,
    SeeingLaw,
    Synthesis,
)
from mrvae.models.coupling import Couplings
from mrvae.models.decoder import Decoder
from mrvae.models.encoder import Encoder
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level
from mrvae.models.loss import (
    Bound,
    CrossEntropyError,
    Loss,
    Reconstruction,
    SparseLoss,
    SquaredError,
    WeightedLoss,
    unit_image,
)
from mrvae.models.noise import NoiseScales, make_noise
from mrvae.models.walk import Shape
from mrvae.recipes import wavelet as spec
from mrvae.resolution import Coefficients, Ladder, Wavelet


class WaveletEncoder(nn.Module):
    """From an image on [-1, 1] to the mean and log-scale of every latent.

    Args:
        wavelet: W.
        depth: L.
        noise: s.
        network: f's features, coarse to fine, from the first step of W; none for W itself.
        heads: from the features to the coefficients, and perhaps their scales; one a level.
        residual: whether W u is added to what the heads say.

    Source: Kiruluta 2025, equations 8, 12 and 13.
    """

    def __init__(
        self,
        wavelet: Wavelet,
        depth: int,
        noise: NoiseScales,
        network: nn.Module | None = None,
        heads: Sequence[nn.Module] = (),
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.depth = depth
        self.noise = noise
        self.network = network
        self.heads = nn.ModuleList(heads)
        self.residual = residual

    def forward(self, v: Tensor) -> tuple[Tensor, ...]:
        """Return [mean, log s] of each latent, coarse to fine: (B, 2c, h, w) for c channels."""
        bands = stack(self.wavelet.analysis((v + 1) / 2, self.depth))
        if self.network is None:
            found = [(band, torch.zeros_like(band)) for band in bands]
        else:
            found = self._found(self.network, v, bands)
        pieces = [
            (mean, (spread + self.noise(index)).expand_as(mean))
            for index, (mean, spread) in enumerate(found)
        ]
        return tuple(torch.cat(piece, dim=1) for piece in pieces)

    def _found(
        self, network: nn.Module, v: Tensor, bands: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return mean and log-scale, less the noise's own, of each latent."""
        coarse, fine = self.wavelet.step.analysis(v)
        features = network(torch.cat((coarse / 2, fine.flatten(1, 2)), dim=1))
        raw = [head(feature) for head, feature in zip(self.heads, features, strict=True)]
        # The coarsest feature speaks of two latents, the approximation and the details beside it.
        split = [bands[0].shape[1], bands[1].shape[1]]
        count = raw[0].shape[1] // sum(split)
        first = torch.split(raw[0], [count * channels for channels in split], dim=1)
        found = []
        for said, band in zip((*first, *raw[1:]), bands, strict=True):
            mean, spread = said.split(band.shape[1], dim=1) if count == 2 else (said, 0 * said)
            found.append((mean + band if self.residual else mean, spread))
        return found


def stack(coefficients: Coefficients) -> list[Tensor]:
    """Return coefficients of (B, C, H, W) as latents: (B, C, h, w), then (B, 3C, h, w) each.

    Example:
        >>> bands = stack(Wavelet("haar").analysis(torch.ones(1, 2, 4, 4), levels=2))
        >>> [tuple(band.shape) for band in bands]
        [(1, 2, 1, 1), (1, 6, 1, 1), (1, 6, 2, 2)]
    """
    coarse, details = coefficients
    return [coarse, *(detail.flatten(1, 2) for detail in details)]


def unstack(latents: Sequence[Tensor]) -> Coefficients:
    """Return latents as the coefficients that they are; the inverse of :func:`stack`."""
    coarse, *details = latents
    return Coefficients(coarse, tuple(torch.unflatten(detail, 1, (-1, 3)) for detail in details))


def super_resolve(
    model: HVAE,
    coarse: Tensor,
    temperature: float | Sequence[float] = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return images at the model's size whose approximation is a coarse image.

    The coarse image fixes the top latents; the details below come from the prior. With k steps
    between the two sizes, its pixels times 2^k are read as scaling coefficients: for Haar, the
    average over each block of the result is then the coarse pixel, up to rounding, noise of the
    pixels and what a refinement adds.

    Args:
        model: a wavelet VAE, as :func:`make_wavelet_vae` makes it.
        coarse: uint8 images (B, C, s, s), s being the model's size, or its half, …, its coarsest.
        temperature: of the details that are drawn.
        generator: of their noise.

    Returns:
        uint8 (B, C, S, S).

    Raises:
        ValueError: if the model is no wavelet VAE, or s no size of its approximations.

    Source: ours.
    """
    encoder, frame = model.encoder, model.frame
    if not isinstance(encoder, WaveletEncoder):
        raise ValueError(f"{type(encoder).__name__} encodes no wavelets; give a wavelet VAE")
    steps = [k for k in range(encoder.depth + 1) if coarse.shape[-1] << k == frame.size]
    if not steps:
        sizes = [frame.size >> k for k in range(encoder.depth + 1)]
        raise ValueError(f"coarse has {coarse.shape[-1]} pixels a side; expected one of {sizes}")
    weight = next(model.parameters())
    u = unit_image(coarse.to(weight.device), frame.levels, weight.dtype)
    top = encoder.wavelet.analysis(u * (1 << steps[0]), encoder.depth - steps[0])
    return model.decode(stack(top), temperature, generator)


def make_wavelet_vae(recipe: spec.WaveletVAE) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    Raises:
        ValueError: if there is no such wavelet, or a width leaves no channel to a bottleneck.

    Source: Kiruluta 2025; the coarse-to-fine prior and the refinement are ours.

    Example:
        >>> likelihood = spec.LogisticAround(levels=17)
        >>> model = make_wavelet_vae(spec.WaveletVAE(1, 8, depth=3, likelihood=likelihood))
        >>> model.shapes
        ((1, 1, 1), (3, 1, 1), (3, 2, 2), (3, 4, 4))
        >>> x = torch.randint(0, 17, (2, 1, 8, 8), dtype=torch.uint8)
        >>> bool(torch.equal(model.reconstruct(x), x))
        True
    """
    frame = image_frame(recipe.channels, recipe.size, recipe.likelihood)
    wavelet, shapes = Wavelet(recipe.wavelet), _shapes(recipe)
    laws = _laws(recipe, shapes)
    held = isinstance(recipe.loss, spec.Sparse)
    rungs = []
    for index, (law, shape) in enumerate(zip(laws, shapes, strict=True)):
        last = index == len(shapes) - 1
        join = Synthesis(wavelet, _finish(recipe) if last else nn.Identity()) if index else Begin()
        size = shape[1] << (index > 0)
        level = Level(size, recipe.channels, shape[0], blocks=0, cells=1)
        rungs.append(OneCellRung(level, shape, BandCell(law, join, held)))
    encoder = _encoder(recipe, wavelet, shapes)
    head = around(frame, recipe.likelihood, recipe.loss)
    loss = make_loss(recipe.loss, frame.levels, recipe.depth)
    return HVAE(encoder, Decoder(rungs), head, frame, loss=loss)


def image_frame(channels: int, size: int, likelihood: spec.Around) -> ImageFrame:
    """Return the frame in which the network sees the image on [-1, 1]."""
    half = (likelihood.levels - 1) / 2
    return ImageFrame(channels, size, size, half, half, likelihood.levels)


def around(frame: ImageFrame, likelihood: spec.Around, loss: spec.WaveletLoss) -> AroundImage:
    """Return the likelihood; where the loss is no bound, it does not pull at the image."""
    match loss:
        case spec.Bound():
            return AroundImage(frame, likelihood)
        case spec.Weighted() | spec.Sparse():
            squashed = isinstance(loss.reconstruction, spec.CrossEntropy)
            return AroundImage(frame, likelihood, squashed, held=True)


def make_loss(loss: spec.WaveletLoss, levels: int, depth: int) -> Loss:
    """Return the loss of a recipe for images of so many levels and a transform of this depth."""
    match loss:
        case spec.Bound():
            return Bound()
        case spec.Weighted(reconstruction, beta):
            return WeightedLoss(_error(reconstruction, levels), beta)
        case spec.Sparse(reconstruction, weights):
            each = weights * depth if len(weights) == 1 else weights
            return SparseLoss(_error(reconstruction, levels), each)


def _error(reconstruction: spec.Reconstruction, levels: int) -> Reconstruction:
    match reconstruction:
        case spec.Squared():
            return SquaredError(levels)
        case spec.CrossEntropy():
            return CrossEntropyError(levels)


def _shapes(recipe: spec.WaveletVAE) -> list[Shape]:
    """Return the shapes of the latents: the approximation, then the details, coarse to fine."""
    channels, sides = recipe.channels, [recipe.size >> d for d in range(recipe.depth, 0, -1)]
    return [(channels, sides[0], sides[0]), *((3 * channels, s, s) for s in sides)]


def _finish(recipe: spec.WaveletVAE) -> nn.Module:
    match recipe.refinement:
        case spec.NoRefinement():
            return nn.Identity()
        case spec.Refine(width, blocks, scales):
            return Refinement(recipe.size, recipe.channels, width, blocks, scales)


def _laws(recipe: spec.WaveletVAE, shapes: Sequence[Shape]) -> list[nn.Module]:
    """Return the priors of all latents."""
    match recipe.prior:
        case spec.StandardNormal():
            zeros = [torch.zeros(shape[0], 1, 1) for shape in shapes]
            return [FreeLaw(Gaussian, zero, zero.clone(), False, True) for zero in zeros]
        case spec.Independent(family):
            return [_first(recipe), *_blind(recipe, family)]
        case spec.CoarseToFine():
            return [_first(recipe), *_seeing(recipe, recipe.prior, shapes[1:])]
        case spec.Couplings():
            return [_first(recipe), *_coupled(recipe, recipe.prior, shapes[1:])]


def _first(recipe: spec.WaveletVAE) -> FreeLaw:
    """Return a Gaussian of the approximation, free at every place; it begins at a grey image."""
    side, gain = recipe.size >> recipe.depth, float(1 << recipe.depth)
    location = torch.full((recipe.channels, side, side), gain / 2)
    return FreeLaw(Gaussian, location, (location / 2).log(), learnt=True, centred=False)


def _first_scale(channels: int, depth: int) -> Tensor:
    """Return the first log-scales of details, which grow with the depth as an image's do."""
    return torch.full((3 * channels, 1, 1), math.log(0.05) + (depth - 1) * math.log(2.0))


def _blind(recipe: spec.WaveletVAE, family: spec.Family) -> list[nn.Module]:
    """Return a law around 0 for the details of each level, one scale a band."""
    laws: list[nn.Module] = []
    for depth in range(recipe.depth, 0, -1):
        scale = _first_scale(recipe.channels, depth)
        laws.append(FreeLaw(_family(family), torch.zeros_like(scale), scale, True, centred=True))
    return laws


def _seeing(
    recipe: spec.WaveletVAE, prior: spec.CoarseToFine, shapes: Sequence[Shape]
) -> list[nn.Module]:
    """Return a law that sees the approximation for the details of each level."""
    channels, laws = recipe.channels, list[nn.Module]()
    shared = Look(channels, 6 * channels, prior.width, prior.blocks, 3) if prior.shared else None
    for depth, (_, side, _) in zip(range(recipe.depth, 0, -1), shapes, strict=True):
        kernel = 3 if side > 2 else 1
        own = shared or Look(channels, 6 * channels, prior.width, prior.blocks, kernel)
        owned = shared is None or not laws
        scale = _first_scale(channels, depth)
        laws.append(SeeingLaw(_family(prior.family), own, scale, depth, owned))
    return laws


def _coupled(
    recipe: spec.WaveletVAE, prior: spec.Couplings, shapes: Sequence[Shape]
) -> list[nn.Module]:
    """Return couplings for the details of each level."""
    laws: list[nn.Module] = []
    for depth, (_, side, _) in zip(range(recipe.depth, 0, -1), shapes, strict=True):
        kernel, scale = 3 if side > 2 else 1, _first_scale(recipe.channels, depth)
        sizes = (recipe.channels, prior.steps, prior.width, prior.blocks)
        laws.append(Couplings(*sizes, kernel, scale, depth))
    return laws


def _family(family: spec.Family) -> Family:
    match family:
        case spec.Laplace():
            return Laplace
        case spec.Logistic():
            return Logistic
        case spec.Gaussian():
            return Gaussian


def _encoder(recipe: spec.WaveletVAE, wavelet: Wavelet, shapes: Sequence[Shape]) -> WaveletEncoder:
    """Return the encoder of a recipe."""
    noise = make_noise(recipe.noise, shapes)
    match recipe.encoder:
        case spec.Transform():
            return WaveletEncoder(wavelet, recipe.depth, noise)
        case spec.Pyramid(width, blocks, bottleneck, residual):
            spoken = 2 if isinstance(recipe.noise, spec.NoiseFromImage) else 1
            levels = [
                Level(shape[1], width, shape[0], blocks, cells=int(index == 0))
                for index, shape in enumerate(shapes[1:])
            ]
            ladder = Ladder(levels[0].size, recipe.depth - 1)
            network = Encoder(levels, 4 * recipe.channels, bottleneck, ladder)
            said = [recipe.channels + levels[0].latent, *(level.latent for level in levels[1:])]
            heads = [
                convolution(width, spoken * count, level.kernel)
                for count, level in zip(said, levels, strict=True)
            ]
            if residual:
                for head in heads:
                    scale_weight(head, 0.0)
            return WaveletEncoder(wavelet, recipe.depth, noise, network, heads, residual)
