"""A context in a file: exact, as long as its log p says, and refused where it has none."""

from __future__ import annotations

import math

import pytest
import torch

from helpers.tiny_codec import images, tiny_context
from mrvae.compression import Codec, Network, Stack
from mrvae.compression.chunks import read_chunk, write_chunk
from mrvae.compression.latents import all_active, of_shapes
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
def test_a_context_comes_back_and_takes_what_its_prior_says(context: Context) -> None:
    network, stack = tiny_context(context), Stack()
    above = network.above(images(7))
    network.push_context(stack, above)
    noise = torch.zeros(7, network.model.context.noise_size, dtype=torch.float64)
    with torch.no_grad():
        nats = float(network.model.context.nats(above, noise, None).sum())
    # The floor of 2⁻¹⁶ makes the likely levels longer by a little.
    assert stack.ideal == pytest.approx(nats / math.log(2), rel=2e-3)
    (found,) = network.pop_context(stack, 7)
    assert torch.equal(found, above[0])
    assert stack.empty


@every_context
@pytest.mark.parametrize("chained", [False, True], ids=["direct", "bits-back"])
def test_images_below_a_context_come_back(context: Context, bits_back: bool) -> None:
    network = tiny_context(context)
    active = all_active(network.shapes)
    units = of_shapes(active, 16), of_shapes(active, 4)
    x = images(13)
    written = write_chunk(Codec(network, *units), x, 0, 5, bits_back)
    other = Codec(Network(network.model, rows=2), *units)
    assert torch.equal(read_chunk(other, written.payload, 13, 0, 5), x)


def test_a_diffusion_is_refused() -> None:
    with pytest.raises(ValueError, match=r"context\.prior=autoregressive"):
        tiny_context(DCTSpec(3, MidRiseSpec(2), DiffusionSpec(unet_width=16, unet_blocks=1)))
