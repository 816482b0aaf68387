"""Our hierarchy against the literal transcription of the published code, with copied weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from model_tools import DECODER, ENCODER, images, noise, posterior_trace, randomise
from torch import Tensor, nn

from literal.vdvae import VAE, Block, DecBlock, Hyperparameters
from mrvae.layers import Bottleneck
from mrvae.models import HVAE, Encoder, ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.models.heads.pixels import Head
from mrvae.models.hierarchy.decoder import CellStage
from mrvae.models.hierarchy.walk import from_prior
from mrvae.recipes.schema import BernoulliPixels, Likelihood, LogisticMixturePixels

PLAIN = Hyperparameters(
    ENCODER, DECODER, width=8, zdim=3, image_channels=1, image_size=8,
    bottleneck_multiple=0.5, bernoulli=True, scored_size=6,
)  # fmt: skip
WIDENING = replace(PLAIN, custom_widths={4: 12, 1: 20})
UNBIASED = replace(PLAIN, no_bias_above=4)
NO_BIAS = replace(PLAIN, no_bias_above=0)
TALL = replace(PLAIN, enc_blocks="8x1,8d2,4d2,2x2,2d2,1x1", dec_blocks="1x2,2m1,4m2,4x1,8m4")
COLOUR = replace(
    PLAIN, image_channels=3, bernoulli=False, num_mixtures=4, scored_size=8, no_bias_above=4
)
SHAPES = (PLAIN, WIDENING, UNBIASED, NO_BIAS, TALL, COLOUR)
BATCH = 3
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}

Pairs = Iterator[tuple[Tensor, Tensor]]


def ours_of(shape: Hyperparameters) -> HVAE:
    likelihood: Likelihood = (
        BernoulliPixels() if shape.bernoulli else LogisticMixturePixels(256, shape.num_mixtures)
    )
    sizes = sorted(
        {int(piece.split("x")[0].split("m")[0]) for piece in shape.dec_blocks.split(",")}
    )
    widths = [shape.width_at(size) for size in sizes]
    levels = parse_levels(shape.enc_blocks, shape.dec_blocks, widths, [shape.zdim])
    high = likelihood.bins - 1
    frame = ImageFrame(
        shape.image_channels, shape.scored_size, 8, high / 2, high / 2, likelihood.bins
    )
    return hierarchy(
        levels,
        frame,
        likelihood,
        bottleneck=shape.bottleneck_multiple,
        bias_up_to=shape.no_bias_above,
    )


def layers(ours: nn.Module, theirs: nn.Module) -> Pairs:
    yield from zip(ours.parameters(), theirs.parameters(), strict=True)


def blocks(ours: Bottleneck, theirs: Block) -> Pairs:
    for a, b in zip(
        (ours.enter, ours.first, ours.second, ours.leave), theirs.children(), strict=True
    ):
        yield from layers(a, b)


def encoder_blocks(encoder: Encoder) -> Iterator[Bottleneck]:
    """Yield ours in the order of their visits, fine to coarse."""
    for index in range(len(encoder.levels) - 1, -1, -1):
        joint = [encoder.joints[index - 1]] if index else []
        for block in (
            block for stack in (encoder.stacks[index], *joint) for block in stack.children()
        ):
            assert isinstance(block, Bottleneck)
            yield block


def cells(stages: list[CellStage]) -> list[VDVAECell]:
    return [cell for stage in stages for cell in stage.cells if isinstance(cell, VDVAECell)]


def head_order(shape: Hyperparameters) -> Tensor:
    """Return the published output channel of each of ours: they go colour by colour, ours not."""
    mixtures = shape.num_mixtures
    if shape.bernoulli:
        return torch.arange(shape.image_channels)
    places = torch.arange(mixtures, 10 * mixtures).reshape(3, 3, mixtures)
    return torch.cat([torch.arange(mixtures), places.transpose(0, 1).flatten()])


def pairs(ours: HVAE, theirs: VAE) -> Pairs:
    """Yield all tensors of the two but the last convolution's, whose channels are permuted."""
    encoder, head = ours.encoder, ours.head
    assert isinstance(encoder, Encoder)
    assert isinstance(head, Head)
    stages = [stage for stage in ours.decoder.stages if isinstance(stage, CellStage)]
    yield from layers(encoder.enter, theirs.encoder.in_conv)
    for block, other in zip(encoder_blocks(encoder), theirs.encoder.enc_blocks, strict=True):
        assert isinstance(other, Block)
        yield from blocks(block, other)
    for cell, layer in zip(cells(stages), theirs.decoder.dec_blocks, strict=True):
        assert isinstance(layer, DecBlock)
        yield from blocks(cell.posterior_net, layer.enc)
        yield from blocks(cell.prior_net, layer.prior)
        yield from layers(cell.project, layer.z_proj)
        yield from blocks(cell.residual, layer.resnet)
    biases = [stage.bias for stage in stages if stage.bias is not None]
    yield from zip(biases, theirs.decoder.bias_xs, strict=True)
    yield from ((head.gain, theirs.decoder.gain), (head.bias, theirs.decoder.bias))


@torch.no_grad()
def twins(shape: Hyperparameters, dtype: torch.dtype) -> tuple[HVAE, VAE]:
    """Return the two models with equal random weights, none of them zero."""
    ours, theirs = ours_of(shape).to(dtype), VAE(shape).to(dtype)
    randomise(theirs, seed=1)
    copied = 0
    for target, source in pairs(ours, theirs):
        target.copy_(source)
        copied += target.numel()
    last, order = theirs.decoder.out_net.out_conv, head_order(shape)
    leave = ours.head.leave
    assert isinstance(leave, nn.Conv2d)
    for target, origin in zip(leave.parameters(), last.parameters(), strict=True):
        target.copy_(origin[order])
        copied += target.numel()
    assert copied == sum(p.numel() for p in theirs.parameters())
    assert copied == sum(p.numel() for p in ours.parameters())
    return ours, theirs


def close(ours: Tensor, theirs: Tensor, scale: float = 1.0) -> None:
    """Hold equal, relative to the largest value there is or ``scale``."""
    tolerance = TOLERANCE[theirs.dtype]
    scale = max(scale, float(theirs.detach().abs().max()))
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance * scale)


def both(ours: HVAE, x: Tensor, given: Tensor, theirs: VAE) -> tuple[tuple[Tensor, ...], ...]:
    """Return (features, KLs, log-likelihood) of ours and of theirs."""
    h = posterior_trace(ours, x, given).state
    head = ours.head
    assert isinstance(head, Head)
    elbo = ours.elbo(x, given)
    network_input = ours.frame.prepare(x, given.dtype)
    target = (network_input + 1) / 2 if theirs.H.bernoulli else network_input
    outcome = theirs(network_input, target, ours.decoder.split_noise(given))
    features = h * head.gain + head.bias
    return (features, elbo.kl, elbo.log_likelihood), (
        outcome.features,
        outcome.kl,
        outcome.log_likelihood,
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_kls_and_gradients_are_the_published_ones(
    shape: Hyperparameters, dtype: torch.dtype
) -> None:
    ours, theirs = twins(shape, dtype)
    x, given = images(ours, BATCH), noise(ours, BATCH).to(dtype)
    mine, published = both(ours, x, given, theirs)
    for a, b in zip(mine, published, strict=True):
        close(a, b)
    assert published[1].min() > 1e-3  # every layer is at work
    (mine[2] - mine[1].sum(1)).mean().backward()  # type: ignore[no-untyped-call]
    (published[2] - published[1].sum(1)).mean().backward()  # type: ignore[no-untyped-call]
    # The published mixture cancels digits in float32, so gradients are held to the largest of all.
    scale = max(float(p.grad.abs().max()) for p in theirs.parameters() if p.grad is not None)
    for a, b in pairs(ours, theirs):
        assert a.grad is not None
        assert b.grad is not None
        close(a.grad, b.grad, scale)
    last, leave = theirs.decoder.out_net.out_conv, ours.head.leave
    assert isinstance(leave, nn.Conv2d)
    for a, b in zip(leave.parameters(), last.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        close(a.grad, b.grad[head_order(shape)], scale)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_samples_are_the_published_ones(shape: Hyperparameters, temperature: float) -> None:
    ours, theirs = twins(shape, torch.float64)
    given = noise(ours, BATCH)
    h = ours.trace(ours.condition(()), from_prior(temperature), given).state
    published = theirs.decoder.unconditional(ours.decoder.split_noise(given), temperature)
    head = ours.head
    assert isinstance(head, Head)
    close(h * head.gain + head.bias, published)


@pytest.mark.parametrize("shape", SHAPES)
def test_initial_weights_have_the_published_scales(shape: Hyperparameters) -> None:
    """Zeros where the published code has zeros, and elsewhere the same spread."""
    torch.manual_seed(0)
    drawn = [(ours_of(shape), VAE(shape)) for _ in range(4)]
    columns = zip(*([*pairs(ours, theirs)] for ours, theirs in drawn), strict=True)
    for column in columns:
        ours, theirs = (torch.cat([p[k].detach().flatten() for p in column]) for k in (0, 1))
        assert bool((ours == 0).all()) == bool((theirs == 0).all())
        if ours.numel() >= 200 and bool(theirs.any()):
            # Uniform draws: their bound is met closely by the largest of 200.
            assert ours.abs().max() == pytest.approx(float(theirs.abs().max()), rel=0.1)
