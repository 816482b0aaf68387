"""Our hierarchy against the literal transcription of the released code, with copied weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from model_tools import images, noise, posterior_trace, randomise
from torch import Tensor, nn

from helpers.narrow import gaussian
from literal.kuzina2023 import DecoderBlock, LadderVAE, Outcome, Res, Shape
from literal.kuzina2023 import mnist as published_mnist
from mrvae.layers import ReZero, Shortcut
from mrvae.models import HVAE, ImageFrame, Trace, parse_levels
from mrvae.models.build import hierarchy
from mrvae.models.cells.top_down import TopDownCell
from mrvae.models.cells.top_latent_skip import (
    TopLatentCarryCell,
    TopLatentConcatCell,
    TopLatentSkipStage,
)
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.models.heads.pixels import SpatialHead
from mrvae.models.hierarchy.top_down_encoder import TopDownEncoder
from mrvae.models.hierarchy.walk import from_prior
from mrvae.recipes.context import Context, DCTSpec, FactorisedSpec, NoContextSpec
from mrvae.recipes.schema import BernoulliPixels, BoundedScaleSpec, LogisticMixturePixels, TopDown

Pairs = Iterator[tuple[Tensor, Tensor]]

MNIST = Shape(latents=(3, 2), channels=(4, 6))
CONTEXT = replace(MNIST, conditioning="x")
CIFAR = Shape(
    latents=(2, 3, 0, 1), channels=(8, 8, 8, 8), image_channels=3, image_size=8, z_width=2,
    block_mult=0.5, start_at_x=True, shared_encoder=True, outputs=14, conditioning="z",
)  # fmt: skip
BLOCKS = {
    MNIST: ("16d2,8x2,8d2,4x1", "4x2,8m4,8x2,16u8"),
    CONTEXT: ("16d2,8x2,8d2,4x1", "4x2,8m4,8x2,16u8"),
    CIFAR: ("8x1,8d2,4d4", "1x1,4m1,4x2,8m4,8x1"),
}
SHAPES = tuple(BLOCKS)
BATCH = 3


def ours_of(shape: Shape, shortcut: bool = True) -> HVAE:
    encoder, decoder = BLOCKS[shape]
    widths = {4: (6, 4, 4)}.get(shape.channels[0], (8,))
    levels = parse_levels(encoder, decoder, widths, [shape.z_width])
    binary = shape.outputs == 1
    likelihood = BernoulliPixels() if binary else LogisticMixturePixels(256, 2, False)
    high = likelihood.bins - 1
    frame = ImageFrame(
        shape.image_channels, shape.image_size, shape.image_size, high / 2, high / 2, high + 1
    )
    context: Context = (
        DCTSpec(3, prior=FactorisedSpec()) if shape.conditioning == "x" else NoContextSpec()
    )
    model = hierarchy(
        levels,
        frame,
        likelihood,
        bottleneck=shape.block_mult,
        scale=BoundedScaleSpec(),
        bias_up_to=0,
        cell=TopDown(shortcut=shortcut, top_latent_skip=shape.conditioning == "z"),
        synchronous=not shape.shared_encoder,
        context=context,
    ).double()
    model.context.fit(images(model, 20, seed=5))
    return model


def layers(ours: nn.Module, theirs: nn.Module) -> Pairs:
    yield from zip(ours.parameters(), theirs.parameters(), strict=True)


def networks(ours: nn.Module, theirs: nn.Module) -> Pairs:
    """Yield the network, and the skip where both have one; the scalar where both use it."""
    assert isinstance(theirs, Res)
    if isinstance(ours, ReZero | Shortcut):
        yield from layers(ours.net, theirs.net)
        yield from layers(ours.skip, theirs.skip)
        if isinstance(ours, ReZero):
            yield ours.beta, theirs.beta
    else:
        yield from layers(ours, theirs.net)


def our_cells(model: HVAE) -> list[TopDownCell]:
    found = []
    for stage in model.stages:
        for cell in stage.visits:
            inner = (
                cell.cell if isinstance(cell, TopLatentConcatCell | TopLatentCarryCell) else cell
            )
            assert isinstance(inner, TopDownCell)
            found.append(inner)
    return found


def our_blocks(encoder: nn.Module) -> Iterator[nn.Module]:
    """Yield ours in the order of their visits, fine to coarse."""
    assert isinstance(encoder, TopDownEncoder)
    for index in range(len(encoder.levels) - 1, -1, -1):
        yield from encoder.stacks[index].children()
        if index:
            yield encoder.joints[index - 1]


def conditioning_convolutions(model: HVAE) -> list[nn.Module]:
    """Return the convolutions that condition the levels, coarse to fine."""
    if isinstance(model.context, ContextConditioner):
        return list(model.context.enter)
    stages = [stage for stage in model.stages if isinstance(stage, TopLatentSkipStage)]
    return [stage.skip for stage in stages if stage.skip is not None]


def pairs(ours: HVAE, theirs: LadderVAE) -> Pairs:
    assert isinstance(ours.encoder, TopDownEncoder)
    assert isinstance(ours.head, SpatialHead)
    yield from layers(ours.encoder.enter, theirs.pre_process)
    for a, b in zip(our_blocks(ours.encoder), theirs.encoder_blocks, strict=True):
        yield from networks(a, b)
    for cell, block in zip(our_cells(ours), theirs.decoder_blocks, strict=True):
        assert isinstance(block, DecoderBlock)
        yield from layers(cell.project, block.z_up)
        yield from networks(cell.residual, block.resnet)
        yield from networks(cell.posterior_net, block.s_to_q)
        yield from networks(cell.prior_net, block.s_to_p)
    for one, other in zip(conditioning_convolutions(ours), theirs.z_L_up, strict=True):
        yield from layers(one, other)
    yield from layers(ours.head.leave, theirs.post_process)


@torch.no_grad()
def twins(shape: Shape, shortcut: bool = True) -> tuple[HVAE, LadderVAE]:
    """Return the two models with equal random weights, our shortcuts at their initial zero."""
    ours, theirs = ours_of(shape, shortcut), LadderVAE(shape).double()
    randomise(theirs, seed=1)
    theirs.s_L.zero_()
    for target, source in pairs(ours, theirs):
        target.copy_(source)
    return ours, theirs


def both(ours: HVAE, theirs: LadderVAE) -> tuple[tuple[Tensor, ...], Trace, Outcome]:
    """Return our features and trace, and their outcome."""
    x, given = images(ours, BATCH), noise(ours, BATCH)
    trace = posterior_trace(ours, x, given)
    picture = None
    if isinstance(ours.context, ContextConditioner):
        picture = ours.context.transform.decode(trace.context[0]).double()
    prepared = ours.frame.prepare(x, torch.float64)
    return ours.features(x), trace, theirs(prepared, ours.decoder.split_noise(given), picture)


def close(ours: Tensor, theirs: Tensor) -> None:
    scale = max(1.0, float(theirs.detach().abs().max()))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10 * scale)


@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_features_distributions_and_states_are_the_released_ones(
    shape: Shape, shortcut: bool
) -> None:
    ours, theirs = twins(shape, shortcut)
    features, trace, outcome = both(ours, theirs)
    for a, b in zip(features, outcome.features, strict=True):
        close(a, b)
    for step, seen in zip(trace.steps, outcome.seen, strict=True):
        assert step.posterior is not None
        close(gaussian(step.prior).mean, seen.p_mean)
        close(2 * gaussian(step.prior).log_scale, seen.p_logvar)
        close(step.posterior.mean, seen.q_mean)
        close(2 * step.posterior.log_scale, seen.q_logvar)
        close(step.z, seen.z)
        close(step.state[:, : seen.state.shape[1]], seen.state)
        assert seen.p_mean.abs().max() > 1e-3
    assert isinstance(ours.head, SpatialHead)
    close(ours.head.leave(trace.state), outcome.out)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_the_released_ones(shape: Shape) -> None:
    ours, theirs = twins(shape)
    _, trace, outcome = both(ours, theirs)
    assert isinstance(ours.head, SpatialHead)
    torch.stack([step.z.square().mean() for step in trace.steps]).sum().backward(  # type: ignore[no-untyped-call]
        retain_graph=True
    )
    ours.head.leave(trace.state).square().mean().backward()
    torch.stack([seen.z.square().mean() for seen in outcome.seen]).sum().backward(  # type: ignore[no-untyped-call]
        retain_graph=True
    )
    outcome.out.square().mean().backward()  # type: ignore[no-untyped-call]
    for a, b in pairs(ours, theirs):
        if b.grad is not None:
            assert a.grad is not None
            close(a.grad, b.grad)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_released_count_is_ours(shape: Shape) -> None:
    """With the shortcut all that was released is ours, and without it all of it that is used."""
    theirs = LadderVAE(shape)
    trained = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    unused = sum(
        p.numel()
        for block in theirs.decoder_blocks
        for name, p in block.named_parameters()
        if name.startswith("s_to") and ("skip" in name or "beta" in name)
    )
    for shortcut, count in ((True, trained), (False, trained - unused)):
        named = ours_of(shape, shortcut).named_parameters()
        assert sum(p.numel() for name, p in named if not name.startswith("context.prior.")) == count


@pytest.mark.parametrize("shape", SHAPES)
def test_initial_weights_have_the_released_scales(shape: Shape) -> None:
    """Zeros in the prior's last layer and the scalars; elsewhere the spread of a fresh layer."""
    torch.manual_seed(0)
    cells = our_cells(ours_of(shape))
    for cell in cells:
        for net in (cell.posterior_net, cell.prior_net, cell.residual):
            assert isinstance(net, ReZero | Shortcut)
            assert isinstance(net.net, nn.Sequential)
            assert net.beta.item() == 0.0
    posterior, prior, residual, project = (
        torch.cat([w.detach().flatten() for w in each])
        for each in zip(*(last_weights(cell) for cell in cells), strict=True)
    )
    assert not prior.any()
    assert 0.9 < posterior.abs().max() <= 1.0
    # Uniform draws from ±1/√fan, multiplied by 1/√n: the largest of them is near that bound.
    for weights, fan in ((residual, 4), (project, shape.z_width)):
        bound = (fan * len(cells)) ** -0.5
        assert 0.8 * bound < weights.abs().max() <= bound


def last_weights(cell: TopDownCell) -> list[Tensor]:
    nets = (cell.posterior_net, cell.prior_net, cell.residual)
    return [
        *(list(net.get_submodule("net").children())[-1].get_parameter("weight") for net in nets),
        cell.project.weight,
    ]


def test_the_published_shape_has_the_published_count() -> None:
    with torch.device("meta"):
        model = LadderVAE(published_mnist())
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 656_617


@pytest.mark.parametrize("shortcut", [True, False])
def test_the_released_loss_is_minus_our_bound_in_bits_per_dimension(shortcut: bool) -> None:
    ours, theirs = twins(MNIST, shortcut)
    x, given = images(ours, BATCH), noise(ours, BATCH)
    pieces = ours.decoder.split_noise(given)
    loss = theirs.loss(ours.frame.prepare(x, torch.float64), x.double(), pieces)
    expected = ours.elbo(x, given).nats.mean() / ours.frame.dims / math.log(2)
    # The released probabilities are clamped at 1e-7, which moves the last digits.
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    assert loss > 0


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_the_released_prior_is_ours_with_a_temperature_of_the_variance(temperature: float) -> None:
    ours, theirs = twins(MNIST)
    given = noise(ours, BATCH)
    h = ours.trace(ours.condition(()), from_prior(temperature**0.5), given).state
    assert isinstance(ours.head, SpatialHead)
    close(ours.head.leave(h), theirs.unconditional(ours.decoder.split_noise(given), temperature))
