"""The codes of a context on the stack: exact, of -log p bits, refused where p is unknown."""

from __future__ import annotations

import math

import pytest
import torch

from helpers.tiny_codec import images, tiny_context
from mrvae.compression import Codec, CodingNetwork, Stack
from mrvae.compression.chunks import decode_chunk, encode_chunk
from mrvae.compression.coding.context import pop_context, push_context
from mrvae.compression.coding.latents import all_active, units_of
from mrvae.recipes.context import (
    AutoregressiveSpec,
    Context,
    DCTSpec,
    DiffusionSpec,
    FactorisedSpec,
    MidRiseSpec,
    MidTreadSpec,
    PooledSpec,
)

every_context = pytest.mark.parametrize(
    "context",
    [
        DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2)),
        PooledSpec(2, MidRiseSpec(3), AutoregressiveSpec(8, 3), everywhere=False),
        DCTSpec(2, MidTreadSpec(0.5), FactorisedSpec()),
    ],
    ids=["dct-autoregressive", "pooled-autoregressive", "dct-normal"],
)


@every_context
def test_a_context_is_decoded_exactly_and_takes_its_nats(context: Context) -> None:
    network, stack = tiny_context(context), Stack()
    conditioner = network.model.context
    codes = conditioner.encode(images(7))
    push_context(stack, conditioner, codes)
    noise = torch.zeros(7, conditioner.noise_size, dtype=torch.float64)
    with torch.no_grad():
        nats = float(conditioner.nats(codes, noise, None).sum())
    # The floor of 2⁻¹⁶ makes likely codes a little longer.
    assert stack.ideal == pytest.approx(nats / math.log(2), rel=2e-3)
    (found,) = pop_context(stack, conditioner, 7)
    assert torch.equal(found, codes[0])
    assert stack.empty


@every_context
@pytest.mark.parametrize("bits_back", [False, True], ids=["direct", "bits-back"])
def test_images_with_a_context_are_decoded_exactly(context: Context, bits_back: bool) -> None:
    network = tiny_context(context)
    active = all_active(network.shapes)
    units = units_of(active, 16), units_of(active, 4)
    x = images(13)
    written = encode_chunk(Codec(network, *units), x, 0, 5, bits_back)
    other = Codec(CodingNetwork(network.model, rows=2), *units)
    assert torch.equal(decode_chunk(other, written.payload, 13, 0, 5), x)


def test_a_diffusion_prior_is_refused() -> None:
    with pytest.raises(ValueError, match=r"context\.prior=autoregressive"):
        tiny_context(DCTSpec(3, MidRiseSpec(2), DiffusionSpec(unet_width=16, unet_blocks=1)))
