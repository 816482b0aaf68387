"""The size of a wavelet VAE, and of a VAE with one latent."""

from __future__ import annotations

from math import prod

from mrvae.models.build.size.hierarchy import encoder_size
from mrvae.models.build.size.layers import Size, bottleneck, convolution, total, unet
from mrvae.models.hierarchy.encoder import middle_width
from mrvae.models.hierarchy.level import Level
from mrvae.recipes import wavelet as spec
from mrvae.resolution import Ladder
from mrvae.sizes import ImageSize, halved, kernel_for, sides, simplest


def wavelet_vae_size(model: spec.WaveletVAE) -> Size:
    """Return the size of a wavelet VAE; its likelihood has a scale a channel."""
    return total(
        _encoder(model), _noise(model), _prior(model), _finish(model), Size(model.channels)
    )


def vae_size(model: spec.VAE) -> Size:
    """Return the size of a VAE with one latent; its likelihood has a scale a channel."""
    width = model.width
    ladder = Ladder.between(model.coarse, model.size)
    levels = [
        Level(ladder.size(index), width, model.latent, model.blocks, cells=0)
        for index in range(ladder.steps + 1)
    ]
    coarse = levels[0]
    middle = middle_width(coarse, model.bottleneck)
    return total(
        encoder_size(levels, model.channels, model.bottleneck),
        convolution(width, 2 * model.latent, coarse.kernel, coarse.size),
        convolution(model.latent, width, coarse.kernel, coarse.size),
        *(bottleneck(width, middle, width, x.kernel, x.size).times(x.blocks) for x in levels),
        convolution(width, model.channels, levels[-1].full_kernel, model.size),
        Size(parameters=model.channels),
    )


def _sizes(model: spec.WaveletVAE) -> list[ImageSize]:
    """Return the sizes of the details, coarse to fine."""
    return [simplest(halved(model.size, depth)) for depth in range(model.depth, 0, -1)]


def _bands(model: spec.WaveletVAE) -> int:
    """Return how many details there are for each approximation: one of a signal."""
    return 1 if model.sides[0] == 1 else 3


def _encoder(model: spec.WaveletVAE) -> Size:
    match model.encoder:
        case spec.Transform():
            return Size()
        case spec.Pyramid(width, blocks, ratio):
            channels, bands = model.channels, _bands(model)
            levels = [Level(size, width, channels, blocks, cells=0) for size in _sizes(model)]
            outputs = 1 + isinstance(model.noise, spec.NoiseFromImage)
            counts = [bands + (not index) for index in range(len(levels))]
            return total(
                encoder_size(levels, (1 + bands) * channels, ratio),
                *(
                    convolution(width, outputs * count * channels, level.kernel, level.size)
                    for count, level in zip(counts, levels, strict=True)
                ),
            )


def _noise(model: spec.WaveletVAE) -> Size:
    """Return the scales of the noise that are learnt."""
    match model.noise:
        case spec.GlobalNoise(learnt=learnt):
            count = 1
        case spec.NoisePerKind(learnt=learnt):
            count = 2
        case spec.NoisePerLevel(learnt=learnt):
            count = model.depth + 1
        case spec.NoisePerCoefficient(learnt=learnt):
            count = model.dims
        case spec.NoiseFromImage():
            count, learnt = model.depth + 1, True
    return Size(parameters=count * learnt)


def _prior(model: spec.WaveletVAE) -> Size:
    """Return the size of the priors of all latents."""
    if isinstance(model.prior, spec.StandardNormal):
        return Size()
    channels, sizes, bands = model.channels, _sizes(model), _bands(model)
    # Location and scale of the approximation, and a scale for each band of details.
    coarse = prod(sides(sizes[0]))
    free = Size(parameters=2 * channels * coarse + bands * channels * len(sizes))
    match model.prior:
        case spec.Independent():
            return free
        case spec.CoarseToFine(_, width, blocks, shared):
            outputs = 2 * bands * channels
            nets = [_net(channels, outputs, width, blocks, size, shared) for size in sizes]
            if shared:  # One network for all levels, applied at each.
                others = (Size(calls=net.calls, operations=net.operations) for net in nets[1:])
                nets = [nets[0], *others]
            return free + total(*nets)
        case spec.Couplings(steps, width, blocks):
            inputs, outputs = bands * channels, 2 * channels
            nets = [_net(inputs, outputs, width, blocks, size, False) for size in sizes]
            return free + total(*(net.times(steps) for net in nets))


def _net(inputs: int, outputs: int, width: int, blocks: int, size: ImageSize, shared: bool) -> Size:
    """Return the size of a :class:`~mrvae.models.wavelet.bands.ConditioningNet`."""
    kernel = kernel_for(size, 3) if shared else Level(size, 1, 1, blocks=0, cells=0).kernel
    return total(
        convolution(inputs, width, kernel, size),
        bottleneck(width, max(width // 2, 1), width, kernel, size).times(blocks),
        convolution(width, outputs, 1, size),
    )


def _finish(model: spec.WaveletVAE) -> Size:
    match model.refinement:
        case spec.NoRefinement():
            return Size()
        case spec.Refine(width, blocks, scales):
            return unet(model.size, model.channels, model.channels, width, scales, blocks)
