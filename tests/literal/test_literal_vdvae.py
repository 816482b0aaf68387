"""The transcription against what was published: counts, names, and numbers of the original."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from literal.vdvae import (
    CIFAR10_DECODER,
    CIFAR10_ENCODER,
    VAE,
    DecBlock,
    Hyperparameters,
    cifar10,
    cropped_bernoulli,
    imagenet32,
    logistic_mixture,
    mnist,
    parse_blocks,
    sampled_mixture,
)

FULL_CIFAR10 = replace(cifar10(), enc_blocks=CIFAR10_ENCODER, dec_blocks=CIFAR10_DECODER)
FULL_MNIST = replace(mnist(), enc_blocks=CIFAR10_ENCODER, dec_blocks=CIFAR10_DECODER)
FFHQ1024 = Hyperparameters(
    enc_blocks="1024x1,1024d2,512x3,512d2,256x5,256d2,128x7,128d2,64x10,64d2,32x14,32d2,"
    "16x7,16d2,8x5,8d2,4x5,4d4,1x4",
    dec_blocks="1x2,4m1,4x3,8m4,8x4,16m8,16x9,32m16,32x20,64m32,64x14,128m64,128x7,"
    "256m128,256x2,512m256,1024m512",
    width=16,
    zdim=16,
    image_channels=3,
    image_size=1024,
    custom_widths={512: 32, 256: 64, **dict.fromkeys((128, 64, 32, 16, 8, 4, 1), 512)},
    num_mixtures=2,
)

SMALL = Hyperparameters(
    "8x2,8d2,4x1,4d4,1x2", "1x2,4m1,4x1,8m4,8x1", width=8, zdim=3, image_channels=3, image_size=8
)
WIDENING = Hyperparameters(
    "8x1,8d2,4x1,4d4,1x1",
    "1x1,4m1,4x1,8m4,8x1",
    width=8,
    zdim=3,
    image_channels=3,
    image_size=8,
    custom_widths={4: 16, 1: 24},
)


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [
        (mnist(1), 106_689),
        (mnist(2), 139_713),
        (mnist(3), 172_737),
        (mnist(4), 205_761),
        (FULL_MNIST, 339_857),
        (cifar10(1), 8_744_356),
        (cifar10(4), 21_577_444),
        (FULL_CIFAR10, 39_145_700),
        (imagenet32(), 119_280_868),
        (FFHQ1024, 109_366_904),
    ],
)
def test_counts_are_the_published_ones(shape: Hyperparameters, parameters: int) -> None:
    with torch.device("meta"):
        model = VAE(shape)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_published_depth_is_43() -> None:
    assert len(parse_blocks(CIFAR10_DECODER)) == 43
    assert len(parse_blocks(CIFAR10_ENCODER)) == 33


def test_names_of_the_state_dict() -> None:
    names = set(VAE(SMALL).state_dict())
    convolutions = {"encoder.in_conv", "decoder.out_net.out_conv"}
    layers = [f"c{i}" for i in (1, 2, 3, 4)]
    convolutions |= {f"encoder.enc_blocks.{n}.{c}" for n in range(7) for c in layers}
    for n in range(6):
        block = f"decoder.dec_blocks.{n}"
        convolutions |= {
            f"{block}.{part}.{c}" for part in ("enc", "prior", "resnet") for c in layers
        }
        convolutions.add(f"{block}.z_proj")
    expected = {f"{c}.{kind}" for c in convolutions for kind in ("weight", "bias")}
    expected |= {f"decoder.bias_xs.{n}" for n in range(3)} | {"decoder.gain", "decoder.bias"}
    assert names == expected


NARROW = replace(
    SMALL, enc_blocks="4x1,4d2,2x1,2d2,1x1", dec_blocks="1x1,2m1,2x1,4m2,4x1", image_size=4
)


def waves(count: int, frequency: float, phase: float) -> Tensor:
    return torch.sin(frequency * torch.arange(count, dtype=torch.float64) + phase)


@torch.no_grad()
def fill(model: nn.Module, amplitude: float = 0.15) -> None:
    """Weights that depend on no random number generator."""
    for index, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        values = amplitude * waves(tensor.numel(), 1.7, index).reshape(tensor.shape)
        tensor.copy_(values + float(name.endswith("gain")))


@pytest.mark.parametrize(
    ("shape", "amplitude", "kl", "log_likelihood", "mean_feature", "mean_unconditional"),
    [
        (
            SMALL,
            0.15,
            [
                0.12757103689788385,
                0.09089987134871902,
                1.8240399217620782,
                2.1049003502609818,
                7.185256932683153,
                7.139624663565019,
            ],
            [-1187.482941406971, -1203.7382937875589],
            0.5073148409236465,
            0.3930825751961564,
        ),
        (
            replace(WIDENING, low_bit=True),
            0.15,
            [
                0.12038158979547658,
                1.4556996265060338,
                1.8361889752378884,
                8.419405138988935,
                7.185163166034846,
            ],
            [-787.291808209131, -785.6383717854208],
            0.45021915157236625,
            0.3649999530393668,
        ),
        (
            replace(WIDENING, no_bias_above=4),
            0.15,
            [
                0.1353018880941279,
                2.088400557179675,
                1.489307088420221,
                6.912616642416882,
                8.481030750734188,
            ],
            [-1187.2005805905326, -1203.3741982862298],
            0.40664369899715236,
            0.3535225566144467,
        ),
        (
            NARROW,
            0.5,
            [
                1.7232737428302147,
                3.8967095177564817,
                5.231086138812644,
                61.47272192428655,
                892.3845849478694,
            ],
            [-454.407469629803, -490.0400722080378],
            2.6482922650262815,
            1.6326407896498538,
        ),
    ],
    ids=["plain", "widening-5-bit", "no-bias", "thresholds-bind"],
)
def test_numbers_of_the_published_program(
    shape: Hyperparameters,
    amplitude: float,
    kl: list[float],
    log_likelihood: list[float],
    mean_feature: float,
    mean_unconditional: float,
) -> None:
    """Values printed by openai/vdvae at ea35b49, in float64, fed the same waves."""
    model = VAE(shape).double()
    fill(model, amplitude)
    side = shape.image_size
    n = torch.arange(2 * 3 * side * side)
    levels = ((n * 37 + n // 7 * 11) % 256).reshape(2, 3, side, side).double()
    scored = levels // 8 * 8 if shape.low_bit else levels
    noise = [
        waves(2 * 3 * size * size, 0.9, index + math.pi / 2).reshape(2, 3, size, size)
        for index, (size, _) in enumerate(parse_blocks(shape.dec_blocks))
    ]
    x, target = (levels - 120.63838) / 64.16736, (scored - 127.5) / 127.5
    with torch.no_grad():
        outcome = model(x, target, noise)
        unconditional = model.decoder.unconditional(noise, temperature=0.8)
    assert outcome.kl[0].tolist() == pytest.approx(kl, rel=1e-9)
    assert outcome.log_likelihood.tolist() == pytest.approx(log_likelihood, rel=1e-9)
    assert outcome.features.abs().mean().item() == pytest.approx(mean_feature, rel=1e-9)
    assert unconditional.abs().mean().item() == pytest.approx(mean_unconditional, rel=1e-9)


def test_the_first_prior_is_standard_normal() -> None:
    torch.manual_seed(0)
    model = VAE(SMALL).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    block = model.decoder.dec_blocks[0]
    assert isinstance(block, DecBlock)
    mean, log_scale, state = block.split_prior(x.new_ones(2, 8, 1, 1))
    assert (mean == 0).all()
    assert (log_scale == 0).all()
    assert (state == 1).all()


def test_every_parameter_is_used() -> None:
    torch.manual_seed(0)
    model = VAE(SMALL).double()
    fill(model)
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    torch.autograd.backward(model.loss(x, x))
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_noise_is_what_decides_the_outcome() -> None:
    torch.manual_seed(0)
    model = VAE(SMALL).double()
    x = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    noise = model.noise(2, torch.Generator().manual_seed(1))
    first, again, other = model(x, x, noise), model(x, x, noise), model(x, x)
    assert torch.equal(first.features, again.features)
    assert not torch.equal(first.features, other.features)


def test_bernoulli_scores_only_the_inner_pixels() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 32, 32, dtype=torch.float64)
    target = torch.randint(0, 2, (2, 1, 32, 32)).double()
    ones = torch.sigmoid(logits)
    mass = torch.where(target == 1, ones, 1 - ones)[:, :, 2:30, 2:30]
    expected = mass.log().sum((1, 2, 3))
    assert torch.allclose(cropped_bernoulli(target, logits, 28), expected, rtol=1e-12)


def test_the_mixture_sums_to_one_where_its_threshold_does_not_bind() -> None:
    torch.manual_seed(0)
    parameters = torch.randn(1, 20, 1, 1, dtype=torch.float64)
    given = torch.tensor([0.2, -0.4], dtype=torch.float64)
    levels = (torch.arange(256, dtype=torch.float64) - 127.5) / 127.5
    x = torch.cat([given.expand(256, 2), levels[:, None]], dim=1).reshape(256, 3, 1, 1)
    joint = logistic_mixture(x, parameters.expand(256, -1, -1, -1)).exp()
    blues = logistic_mixture_of_two(given, parameters)
    assert joint.sum().item() == pytest.approx(blues, rel=1e-12)


def logistic_mixture_of_two(given: Tensor, parameters: Tensor) -> float:
    """P(red, green), by summing differences of logistic CDFs by hand."""
    values = parameters.flatten().tolist()
    logits, rest = values[:2], values[2:]
    total = sum(math.exp(v) for v in logits)
    red, green = given.tolist()
    answer = 0.0
    for k in range(2):
        mean_green = rest[6 + k] + math.tanh(rest[4 + k]) * red
        answer += (
            math.exp(logits[k])
            / total
            * bin_mass(red, rest[k], rest[2 + k])
            * bin_mass(green, mean_green, rest[8 + k])
        )
    return answer


def bin_mass(x: float, mean: float, log_scale: float) -> float:
    def cdf(u: float) -> float:
        return 1 / (1 + math.exp(-(u - mean) / math.exp(log_scale)))

    return cdf(x + 1 / 255) - cdf(x - 1 / 255)


def test_log_scales_are_bounded_below() -> None:
    parameters = torch.zeros(1, 10, 1, 1, dtype=torch.float64)
    x = torch.full((1, 3, 1, 1), 1 / 255, dtype=torch.float64)
    scores = []
    for log_scale in (-6.0, -7.0, -9.0):
        parameters[:, 2::3] = log_scale
        scores.append(logistic_mixture(x, parameters).item())
    assert scores[0] != scores[1] == scores[2]


def test_samples_of_the_mixture_have_its_means_and_spreads() -> None:
    """Logistic draws: a deviation of π s/√3, and the coefficients times the channels before."""
    torch.manual_seed(0)
    log_scale, on_red, blue_on_red, blue_on_green = -4.0, 0.5, -0.4, 0.3
    red, green, blue = 0.2, -0.1, 0.3
    one = [0.0, red, log_scale, on_red, green, log_scale, blue_on_red, blue, log_scale]
    parameters = torch.tensor([*one, blue_on_green], dtype=torch.float64).view(1, 10, 1, 1)
    drawn = sampled_mixture(parameters.expand(40_000, -1, -1, -1))[:, :, 0, 0]
    spread = math.pi * math.exp(log_scale) / math.sqrt(3)
    second = green + math.tanh(on_red) * red
    third = blue + math.tanh(blue_on_red) * red + math.tanh(blue_on_green) * second
    for found, mean in zip(drawn.mean(0).tolist(), (red, second, third), strict=True):
        assert found == pytest.approx(mean, abs=6 * 1.3 * spread / 200)
    assert drawn[:, 0].std().item() == pytest.approx(spread, rel=0.03)
