"""Layers: the first ones decode to the model's picture of their latents, and all to the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import mrvae
from helpers.narrow import gaussian
from helpers.tiny_codec import images, known, tiny_context
from mrvae.compression import Codec, CodingNetwork
from mrvae.compression.chunks import DamagedError
from mrvae.compression.coding.latents import all_active, units_of
from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import SymbolTable, min_symbol_bits, weights_of
from mrvae.compression.progressive import _START, ProgressiveLayers, decode_layers, encode_layers
from mrvae.distributions import Distribution, Gaussian
from mrvae.models import HVAE
from mrvae.recipes import override
from mrvae.recipes.context import (
    AutoregressiveSpec,
    DCTSpec,
    FactorisedSpec,
    MidRiseSpec,
    MidTreadSpec,
    PooledSpec,
)

STEP = 0.5

NETWORKS = {
    "grey": lambda: known().network,
    "colour": lambda: known(colour=True).network,
    "dct-autoregressive": lambda: tiny_context(
        DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2))
    ),
    "pooled-autoregressive": lambda: tiny_context(
        PooledSpec(2, MidRiseSpec(3), AutoregressiveSpec(8, 3), everywhere=False)
    ),
    "dct-normal": lambda: tiny_context(DCTSpec(2, MidTreadSpec(0.5), FactorisedSpec())),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def masks(network: CodingNetwork, share: float = 0.7, empty: int = 1) -> tuple[Tensor, ...]:
    """Return arbitrary units; of one latent there are none."""
    stream = torch.Generator().manual_seed(4)
    found = [torch.rand(shape, generator=stream) < share for shape in network.shapes]
    found[empty] = torch.zeros_like(found[empty])
    return tuple(found)


def layers_of(network: CodingNetwork, rows: int = 64) -> ProgressiveLayers:
    units = units_of(masks(network), round(16 * STEP))
    return ProgressiveLayers(Codec(CodingNetwork(network.model, rows), units, ()), lossless=True)


def quantised(model: HVAE, x: Tensor, active: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the context, and latents rounded to μ + σ Δ k, or μ, without the codec."""
    waiting = list(active)

    def rounded(p: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        prior = gaussian(p)
        assert posterior is not None
        step = STEP * prior.log_scale.exp()
        k = ((posterior.mean - prior.mean) / step + 0.5).floor().clamp(-12 / STEP, 12 / STEP)
        return torch.where(waiting.pop(0), prior.mean + step * k, prior.mean)

    noise = torch.zeros(len(x), model.latent_noise_size, dtype=torch.float64)
    return model.trace(model.observe(x), [rounded] * len(active), noise).latents


@every_network
@torch.no_grad()
def test_the_first_layers_decode_to_the_picture_of_their_latents(name: str) -> None:
    network = NETWORKS[name]()
    layers, x = layers_of(network), images(7, colour=name == "colour")
    latents = quantised(network.model, x, masks(network))
    payloads = [message.payload for message in encode_layers(layers, x, most=3)]
    depth = network.model.stochastic_depth
    assert len(payloads) == len(layers.marks) == depth  # one latent has no layer, the pixels have
    for count, mark in enumerate(layers.marks[:-1], 1):
        found = decode_layers(layers_of(network, rows=2), payloads[:count], 7, most=3)
        assert torch.equal(found, network.model.decode(latents[:mark]))
    assert torch.equal(decode_layers(layers_of(network, rows=2), payloads, 7, most=3), x)


@every_network
def test_layers_have_the_bits_of_their_distributions(name: str) -> None:
    layers, x = layers_of(NETWORKS[name]()), images(20, colour=name == "colour")
    for message in encode_layers(layers, x, most=8):
        # 25 bits of the first word, a CRC, and the rest of a word.
        assert -1 < 8 * len(message.payload) - message.ideal < 25 + 32 + 32 + 0.02 * message.ideal


@every_network
def test_fewer_layers_are_the_same_bytes(name: str) -> None:
    """Layers do not depend on later ones, so that a file can be shortened."""
    layers, x = layers_of(NETWORKS[name]()), images(5, colour=name == "colour")
    whole = [message.payload for message in encode_layers(layers, x, most=4)]
    for count, mark in enumerate(layers.marks, 1):
        first = layers.upto(mark)
        assert (first.marks, first.lossless) == (layers.marks[:count], count == len(whole))
        assert [m.payload for m in encode_layers(first, x, most=4)] == whole[:count]


@pytest.mark.parametrize("value", [0, 16])
def test_nearly_certain_images_are_decoded_exactly(value: int) -> None:
    """They take next to no bits."""
    network = known().network
    layers = ProgressiveLayers(Codec(network, units_of(masks(network, 0.0), 8), ()), lossless=True)
    with torch.no_grad():
        weights = [*network.model.head.parameters()]
        before = [weight.clone() for weight in weights]
        weights[-1].view(17, -1)[value] += 80.0
        x = torch.full((40, 1, 8, 8), value, dtype=torch.uint8)
        (message,) = encode_layers(layers, x, most=16)
        found = decode_layers(layers, [message.payload], 40, most=16)
        for weight, old in zip(weights, before, strict=True):
            weight.copy_(old)
    assert torch.equal(found, x)
    assert len(message.payload) <= 12


def test_nearly_certain_symbols_make_a_message_longer() -> None:
    """The first symbol of a distribution adds bits to a layer, and none to an empty message."""
    count = 1 << 18
    certain = np.broadcast_to(weights_of(np.eye(1, 17)), (count, 17))
    lengths = []
    for stack in (Stack(), Stack(_START)):
        before = stack.bits
        stack.push(SymbolTable(certain), np.zeros(count, dtype=np.int32))
        lengths.append(stack.bits - before)
    least = count * min_symbol_bits(17)
    assert lengths[0] == 0
    assert least - 2 <= lengths[1] <= least + 2


@every_network
def test_damaged_layers_are_refused(name: str) -> None:
    layers, x = layers_of(NETWORKS[name]()), images(6, colour=name == "colour")
    payloads = [message.payload for message in encode_layers(layers, x, most=4)]
    for index, payload in enumerate(payloads):
        last = bytes([payload[-5] ^ 1])
        for wrong in (payload[:-4], payload + b"\1\0\0\0", payload[:-1], payload[:-5] + last):
            damaged = [*payloads[:index], wrong, *payloads[index + 1 :]]
            with pytest.raises((DamagedError, ValueError)):
                decode_layers(layers, damaged, 6, most=4)
    with pytest.raises(DamagedError, match="cannot hold"):
        decode_layers(layers, payloads, 4000, most=64)


@pytest.mark.parametrize("name", ["dct-explicit", "dct-ycbcr"])
def test_the_context_only_is_a_picture_at_the_published_sizes(name: str) -> None:
    small = ("width=8", "latent=1", "bottleneck=0.5", "encoder=32x1,32d8,4x1")
    recipe = override(
        mrvae.recipe(f"kuzina2023-cifar10-small-{name}"), (*small, "decoder=4x1,32m4,32x1")
    )
    torch.manual_seed(0)
    model = mrvae.build(recipe)
    x = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    x = (x // 8 + torch.arange(32, dtype=torch.uint8) * 6).to(torch.uint8)
    x[1] = 255 - x[1].flip(1)
    model.context.fit(x)
    network = CodingNetwork.of(model)
    units = units_of(all_active(network.shapes), 32)
    layers = ProgressiveLayers(Codec(network, units, ()), lossless=True).upto(1)
    assert layers.names == ("context",)
    (message,) = encode_layers(layers, x, most=2)
    with torch.no_grad():
        expected = network.model.decode((network.model.context.encode(x)[0],))
    assert torch.equal(decode_layers(layers, [message.payload], 2, most=2), expected)
