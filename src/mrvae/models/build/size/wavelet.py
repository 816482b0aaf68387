"""The size of a wavelet VAE, and of a VAE with one latent."""

from __future__ import annotations

from mrvae.models.build.size.hierarchy import encoder_size
from mrvae.models.build.size.layers import Size, bottleneck, convolution, total, unet
from mrvae.models.hierarchy.encoder import middle_width
from mrvae.models.hierarchy.level import Level
from mrvae.recipes import wavelet as spec


def wavelet_vae_size(model: spec.WaveletVAE) -> Size:
    """Return the size of a wavelet VAE; its likelihood has a scale a channel."""
    return total(
        _encoder(model), _noise(model), _prior(model), _finish(model), Size(model.channels)
    )


def vae_size(model: spec.VAE) -> Size:
    """Return the size of a VAE with one latent; its likelihood has a scale a channel."""
    width, count = model.width, (model.size // model.coarse).bit_length()
    levels = [
        Level(model.coarse << index, width, model.latent, model.blocks, cells=0)
        for index in range(count)
    ]
    coarse = levels[0]
    middle = middle_width(coarse, model.bottleneck)
    return total(
        encoder_size(levels, model.channels, model.bottleneck),
        convolution(width, 2 * model.latent, coarse.kernel, coarse.size),
        convolution(model.latent, width, coarse.kernel, coarse.size),
        *(bottleneck(width, middle, width, x.kernel, x.size).times(x.blocks) for x in levels),
        convolution(width, model.channels, 3, model.size),
        Size(parameters=model.channels),
    )


def _sides(model: spec.WaveletVAE) -> list[int]:
    """Return the sides of the details, coarse to fine."""
    return [model.size >> depth for depth in range(model.depth, 0, -1)]


def _encoder(model: spec.WaveletVAE) -> Size:
    match model.encoder:
        case spec.Transform():
            return Size()
        case spec.Pyramid(width, blocks, ratio):
            channels = model.channels
            levels = [Level(side, width, channels, blocks, cells=0) for side in _sides(model)]
            outputs = 1 + isinstance(model.noise, spec.NoiseFromImage)
            counts = [3 + (not index) for index in range(len(levels))]
            return total(
                encoder_size(levels, 4 * channels, ratio),
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
            count = model.channels * model.size**2
        case spec.NoiseFromImage():
            count, learnt = model.depth + 1, True
    return Size(parameters=count * learnt)


def _prior(model: spec.WaveletVAE) -> Size:
    """Return the size of the priors of all latents."""
    if isinstance(model.prior, spec.StandardNormal):
        return Size()
    channels, sides = model.channels, _sides(model)
    # Location and scale of the approximation, and a scale for each band of details.
    free = Size(parameters=2 * channels * sides[0] ** 2 + 3 * channels * len(sides))
    match model.prior:
        case spec.Independent():
            return free
        case spec.CoarseToFine(_, width, blocks, shared):
            nets = [_net(channels, 6 * channels, width, blocks, side, shared) for side in sides]
            if shared:  # One network for all levels, applied at each.
                others = (Size(calls=net.calls, operations=net.operations) for net in nets[1:])
                nets = [nets[0], *others]
            return free + total(*nets)
        case spec.Couplings(steps, width, blocks):
            nets = [_net(3 * channels, 2 * channels, width, blocks, side, False) for side in sides]
            return free + total(*(net.times(steps) for net in nets))


def _net(inputs: int, outputs: int, width: int, blocks: int, side: int, shared: bool) -> Size:
    """Return the size of a :class:`~mrvae.models.wavelet.bands.ConditioningNet`."""
    kernel = 3 if side > 2 or shared else 1
    return total(
        convolution(inputs, width, kernel, side),
        bottleneck(width, max(width // 2, 1), width, kernel, side).times(blocks),
        convolution(width, outputs, 1, side),
    )


def _finish(model: spec.WaveletVAE) -> Size:
    match model.refinement:
        case spec.NoRefinement():
            return Size()
        case spec.Refine(width, blocks, scales):
            return unet(model.size, model.channels, model.channels, width, scales, blocks)
