"""From a recipe to a wavelet VAE (Kiruluta 2025)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.distributions import Gaussian, Laplace, Logistic
from mrvae.layers import convolution, scale_weight
from mrvae.models.build.image_model import image_frame, image_head, make_objective
from mrvae.models.hierarchy.decoder import Decoder
from mrvae.models.hierarchy.encoder import Encoder
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Shape
from mrvae.models.hvae import HVAE
from mrvae.models.wavelet.bands import (
    BandCell,
    CoarsestState,
    ConditionalPrior,
    ConditioningNet,
    Family,
    SingleCellStage,
    Synthesis,
    UnconditionalPrior,
    gain,
)
from mrvae.models.wavelet.couplings import CouplingFlow, CouplingPrior
from mrvae.models.wavelet.encoder import WaveletEncoder
from mrvae.models.wavelet.noise import NoiseScales
from mrvae.models.wavelet.refinement import Refinement
from mrvae.recipes import wavelet as spec
from mrvae.resolution import Ladder, Wavelet
from mrvae.sizes import ImageSize, halved, kernel_for, simplest


def make_wavelet_vae(recipe: spec.WaveletVAE) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    Raises:
        ValueError: if there is no such wavelet, or a width leaves no channel to a bottleneck.

    Source: Kiruluta 2025; the coarse-to-fine prior and the refinement are ours.

    Example:
        >>> likelihood = spec.LogisticImage(bins=17)
        >>> model = make_wavelet_vae(spec.WaveletVAE(1, 8, depth=3, likelihood=likelihood))
        >>> model.shapes
        ((1, 1, 1), (3, 1, 1), (3, 2, 2), (3, 4, 4))
        >>> x = torch.randint(0, 17, (2, 1, 8, 8), dtype=torch.uint8)
        >>> bool(torch.equal(model.reconstruct(x), x))
        True
    """
    frame = image_frame(recipe.channels, recipe.size, recipe.likelihood)
    wavelet, shapes = Wavelet(recipe.wavelet, _dims(recipe)), _shapes(recipe)
    priors = _priors(recipe, shapes)
    detached = isinstance(recipe.loss, spec.Sparse)
    stages = []
    for index, (prior, shape) in enumerate(zip(priors, shapes, strict=True)):
        last = index == len(shapes) - 1
        finish = _finish(recipe) if last else nn.Identity()
        step = Synthesis(wavelet, finish) if index else CoarsestState()
        size = halved(recipe.size, recipe.depth - index)
        level = Level(simplest(size), recipe.channels, shape[0], blocks=0, cells=1)
        stages.append(SingleCellStage(level, shape, BandCell(prior, step, detached)))
    encoder = _encoder(recipe, wavelet, shapes)
    head = image_head(frame, recipe.likelihood, recipe.loss)
    objective = make_objective(recipe.loss, frame.bins, recipe.depth)
    return HVAE(encoder, Decoder(stages), head, frame, objective=objective)


def _shapes(recipe: spec.WaveletVAE) -> list[Shape]:
    """Return the shapes of the latents: the approximation, then the details, coarse to fine."""
    channels, bands = recipe.channels, 2 ** _dims(recipe) - 1
    sizes = [halved(recipe.size, depth) for depth in range(recipe.depth, 0, -1)]
    return [(channels, *sizes[0]), *((bands * channels, *size) for size in sizes)]


def _dims(recipe: spec.WaveletVAE) -> int:
    """Return the number of axes of the transform: 1 for a signal."""
    return 1 if recipe.sides[0] == 1 else 2


def _finish(recipe: spec.WaveletVAE) -> nn.Module:
    match recipe.refinement:
        case spec.NoRefinement():
            return nn.Identity()
        case spec.Refine(width, blocks, scales):
            return Refinement(recipe.size, recipe.channels, width, blocks, scales)


def _priors(recipe: spec.WaveletVAE, shapes: Sequence[Shape]) -> list[nn.Module]:
    """Return the priors of all latents."""
    match recipe.prior:
        case spec.StandardNormal():
            zeros = [torch.zeros(shape[0], 1, 1) for shape in shapes]
            return [UnconditionalPrior(Gaussian, zero, zero.clone(), False, True) for zero in zeros]
        case spec.Independent(family):
            return [_first(recipe), *_unconditional(recipe, family)]
        case spec.CoarseToFine():
            return [_first(recipe), *_conditional(recipe, recipe.prior, shapes[1:])]
        case spec.Couplings():
            return [_first(recipe), *_coupled(recipe, recipe.prior, shapes[1:])]


def _first(recipe: spec.WaveletVAE) -> UnconditionalPrior:
    """Return a Gaussian of the approximation, free at every place; it begins at a grey image."""
    size = halved(recipe.size, recipe.depth)
    location = torch.full((recipe.channels, *size), gain(recipe.depth, _dims(recipe)) / 2)
    return UnconditionalPrior(Gaussian, location, (location / 2).log(), learnt=True, centred=False)


def _first_scale(recipe: spec.WaveletVAE, depth: int) -> Tensor:
    """Return the first log-scales of details, which grow with the depth as an image's do."""
    dims = _dims(recipe)
    value = math.log(0.05) + (depth - 1) * dims / 2 * math.log(2.0)
    return torch.full(((2**dims - 1) * recipe.channels, 1, 1), value)


def _unconditional(recipe: spec.WaveletVAE, family: spec.Family) -> list[nn.Module]:
    """Return a prior around 0 for the details of each level, one scale a band."""
    priors: list[nn.Module] = []
    for depth in range(recipe.depth, 0, -1):
        scale = _first_scale(recipe, depth)
        priors.append(
            UnconditionalPrior(_family(family), torch.zeros_like(scale), scale, True, centred=True)
        )
    return priors


def _conditional(
    recipe: spec.WaveletVAE, prior: spec.CoarseToFine, shapes: Sequence[Shape]
) -> list[nn.Module]:
    """Return a prior conditioned on the approximation for the details of each level."""
    channels, priors = recipe.channels, list[nn.Module]()

    def network(outputs: int, kernel: ImageSize) -> nn.Module:
        return ConditioningNet(channels, outputs, prior.width, prior.blocks, kernel)

    shared = network(2 * shapes[0][0], kernel_for(recipe.size, 3)) if prior.shared else None
    for depth, shape in zip(range(recipe.depth, 0, -1), shapes, strict=True):
        own = shared or network(2 * shape[0], kernel_at(shape))
        owned, dims = shared is None or not priors, _dims(recipe)
        scale = _first_scale(recipe, depth)
        priors.append(ConditionalPrior(_family(prior.family), own, scale, depth, owned, dims))
    return priors


def _coupled(
    recipe: spec.WaveletVAE, prior: spec.Couplings, shapes: Sequence[Shape]
) -> list[nn.Module]:
    """Return couplings for the details of each level."""
    priors: list[nn.Module] = []
    for depth, shape in zip(range(recipe.depth, 0, -1), shapes, strict=True):
        kernel, scale = kernel_at(shape), _first_scale(recipe, depth)
        sizes = (recipe.channels, prior.steps, prior.width, prior.blocks)
        priors.append(CouplingPrior(CouplingFlow(*sizes, kernel, scale), depth, _dims(recipe)))
    return priors


def kernel_at(shape: Shape) -> ImageSize:
    """Return the kernel for states of a shape (C, h, w)."""
    return Level(simplest(shape[1:]), 1, 1, blocks=0, cells=0).kernel


def _family(family: spec.Family) -> Family:
    match family:
        case spec.LaplaceSpec():
            return Laplace
        case spec.LogisticSpec():
            return Logistic
        case spec.GaussianSpec():
            return Gaussian


def _encoder(recipe: spec.WaveletVAE, wavelet: Wavelet, shapes: Sequence[Shape]) -> WaveletEncoder:
    """Return the encoder of a recipe."""
    noise = _noise(recipe.noise, shapes)
    match recipe.encoder:
        case spec.Transform():
            return WaveletEncoder(wavelet, recipe.depth, noise)
        case spec.Pyramid(width, blocks, bottleneck, residual):
            outputs = 2 if isinstance(recipe.noise, spec.NoiseFromImage) else 1
            levels = [
                Level(simplest(shape[1:]), width, shape[0], blocks, cells=int(index == 0))
                for index, shape in enumerate(shapes[1:])
            ]
            ladder = Ladder.between(levels[0].size, levels[-1].size)
            network = Encoder(levels, recipe.channels + levels[0].latent, bottleneck, ladder)
            counts = [recipe.channels + levels[0].latent, *(level.latent for level in levels[1:])]
            heads = [
                convolution(width, outputs * count, level.kernel)
                for count, level in zip(counts, levels, strict=True)
            ]
            if residual:
                for head in heads:
                    scale_weight(head, 0.0)
            return WaveletEncoder(wavelet, recipe.depth, noise, network, heads, residual)


def _noise(noise: spec.Noise, shapes: Sequence[Shape]) -> NoiseScales:
    """Return the noise of latents of these shapes: the approximation, then the details."""
    count, one = len(shapes), (1, 1, 1)
    match noise:
        case spec.GlobalNoise(initial, learnt):
            return NoiseScales([initial], [one], [0] * count, learnt)
        case spec.NoisePerKind(approximation, detail, learnt):
            places = [0] + [1] * (count - 1)
            return NoiseScales([approximation, detail], [one] * 2, places, learnt)
        case spec.NoisePerLevel(initial, learnt):
            return NoiseScales([initial] * count, [one] * count, range(count), learnt)
        case spec.NoisePerCoefficient(initial, learnt):
            return NoiseScales([initial] * count, shapes, range(count), learnt)
        case spec.NoiseFromImage(initial):
            return NoiseScales([initial] * count, [one] * count, range(count), True)
