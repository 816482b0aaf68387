"""The codes: exact for any microbatch and thread count, and no longer than the bound."""

from __future__ import annotations

import itertools
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import mrvae
from helpers.tiny_codec import codec, images, known
from mrvae.compression import chunks
from mrvae.compression.calibration import codec_for
from mrvae.compression.chunks import DamagedError, batches, decode_chunk, encode_chunk, pixel_crc
from mrvae.compression.codec import Codec
from mrvae.compression.coding.latents import all_active, shared_noise, units_of
from mrvae.compression.coding.stack import Stack
from mrvae.compression.network import CodingNetwork
from mrvae.data import load

either = pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
both = pytest.mark.parametrize("bits_back", [False, True], ids=["direct", "bits-back"])


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@either
@both
def test_images_are_decoded_exactly_for_any_microbatch_and_thread_count(
    colour: bool, bits_back: bool
) -> None:
    x = images(15, colour)
    chunk = encode_chunk(codec(colour, rows=9), x, 100, 5, bits_back)
    for rows, count in ((64, 2), (4, 1)):
        with threads(count):
            found = decode_chunk(codec(colour, rows), chunk.payload, len(x), 100, 5)
        assert torch.equal(found, x)


@pytest.mark.slow
def test_messages_are_decoded_exactly_in_other_processes() -> None:
    """One of each model and each mode, decoded six times; trials.py counts more of them."""
    program = Path(__file__).with_name("trials.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, str(program), "--messages", "12"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    counts = json.loads(done.stdout)
    assert counts["all"] == counts["all, exact"] == 12 * 6


@either
@both
def test_a_chunk_has_the_bits_of_its_distributions(colour: bool, bits_back: bool) -> None:
    chunk = encode_chunk(codec(colour), images(21, colour), 0, 5, bits_back)
    assert abs(8 * len(chunk.payload) - chunk.ideal) < 48 + 64 + 1e-3 * chunk.ideal


def test_bits_back_returns_the_bits_that_it_borrows() -> None:
    """Pushed onto any message, images come off it again, and the message is as it was."""
    x, stack = images(6), Stack()
    codec().push_direct(stack, images(40, seed=1))
    before = stack.words
    codec().push_bits_back(stack, x, 7)
    assert torch.equal(codec(rows=2).pop_bits_back(stack, 6, 7), x)
    assert (stack.words == before).all()


def test_the_encoder_waits_until_the_stack_holds_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image has fewer bits than the latents of the next, so that the growth is doubled."""
    monkeypatch.setattr(chunks, "FIRST_GROWTH", 1)
    x, fine = images(14), codec(sixteenths=1)
    chunk = encode_chunk(fine, x, 0, 8, bits_back=True)
    growth = int.from_bytes(chunk.payload[:2], "little")
    assert growth in (2, 4, 8)
    assert chunk.seeds == growth
    assert torch.equal(decode_chunk(fine, chunk.payload, 14, 0, 8), x)


def test_without_enough_images_all_are_coded_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "FIRST_GROWTH", 1)
    x, fine = images(2), codec(sixteenths=1)
    chunk = encode_chunk(fine, x, 0, 8, bits_back=True)
    assert (chunk.payload[:2], chunk.seeds) == (bytes(2), 0)
    assert torch.equal(decode_chunk(fine, chunk.payload, 2, 0, 8), x)


def without_latents(colour: bool = False) -> Codec:
    """Return a codec that codes no latents at all."""
    network = codec(colour).network
    none = [torch.zeros(shape, dtype=torch.bool) for shape in network.shapes]
    return Codec(network, units_of(none, 32), units_of(none, 4))


@either
@both
@pytest.mark.parametrize("value", [0, 16], ids=["black", "white"])
def test_images_of_one_value_are_decoded_exactly(value: int, bits_back: bool, colour: bool) -> None:
    """Black ones without latents take no bits at all: their message is empty."""
    for count, latents in itertools.product((1, 2, 11), (False, True)):
        x = torch.full_like(images(count, colour), value)
        used = codec(colour) if latents else without_latents(colour)
        chunk = encode_chunk(used, x, 0, 3, bits_back)
        assert (len(chunk.payload) == 6) == (value == 0 and not latents)
        assert torch.equal(decode_chunk(used, chunk.payload, count, 0, 3), x)


def test_black_images_beside_others_are_decoded_exactly() -> None:
    """Before others they leave the message empty, and after them they do not."""
    black, others, used = torch.zeros(7, 1, 8, 8, dtype=torch.uint8), images(3), without_latents()
    for x in (torch.cat([black, others]), torch.cat([others, black]), black[:1]):
        chunk = encode_chunk(used, x, 0, 2, bits_back=False)
        assert torch.equal(decode_chunk(used, chunk.payload, len(x), 0, 2), x)


def test_thousands_of_black_images_in_an_empty_message_are_decoded_exactly() -> None:
    """An empty message is not refused for the number of its images, but for other pixels."""
    x = torch.zeros(4000, 1, 8, 8, dtype=torch.uint8)
    used, empty = without_latents(), struct.pack("<HI", 0, pixel_crc(x))
    assert torch.equal(decode_chunk(used, empty, 4000, 0, 64), x)
    x[0, 0, 0, 0] = 1
    with pytest.raises(DamagedError, match="other pixels"):
        decode_chunk(used, struct.pack("<HI", 0, pixel_crc(x)), 4000, 0, 64)


@pytest.mark.parametrize("growth", [0, 1, 8, 64])
def test_batches_cover_all_images_once(growth: int) -> None:
    for count in (1, 2, 9, 100):
        sizes = list(batches(count, growth, 16))
        ends = list(itertools.accumulate(size for _, size in sizes))
        assert [start for start, _ in sizes] == [0, *ends[:-1]]
        assert ends[-1] == count
        for start, size in sizes[1:]:
            assert 1 <= size <= (max(1, start // growth) if growth else 16)


@both
def test_another_model_does_not_decode_to_a_wrong_picture(bits_back: bool) -> None:
    x = images(12)
    payload = encode_chunk(codec(), x, 0, 5, bits_back).payload
    other = CodingNetwork.of(known().network.model)
    with torch.no_grad():
        next(other.model.decoder.parameters()).add_(1e-2)
    units = codec()
    with pytest.raises(DamagedError, match=r"other pixels|end before"):
        decode_chunk(Codec(other, units.direct, units.bits_back), payload, 12, 0, 5)


def test_shared_noise_is_standard_normal_and_each_image_has_its_own() -> None:
    noise = shared_noise(5, 8, 4000)
    assert torch.equal(noise[3:5], shared_noise(8, 2, 4000))
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.var()) - 1) < 0.03
    assert float((noise[0] - noise[1]).abs().mean()) > 0.5


def test_bits_back_takes_the_bits_of_the_bound() -> None:
    """Of the shipped model, on 24 digits: within 4 %, which is four standard errors."""
    network = CodingNetwork.of(mrvae.load("digits-vdvae"))
    x = load("digits", "test").take(torch.arange(24))
    active = all_active(network.shapes)
    units = Codec(network, units_of(active, 32), units_of(active, 4))
    stack = Stack()
    units.push_direct(stack, load("digits", "train").take(torch.arange(60)))
    before = stack.ideal
    for start in range(0, 24, 8):
        units.push_bits_back(stack, x[start : start + 8], start)
    with torch.no_grad():
        noise = network.model.noise(192, torch.Generator().manual_seed(0))
        bound = network.model.elbo(x.repeat(8, 1, 1, 1), noise).value.mean()
    expected = -float(bound) / math.log(2)
    assert abs((stack.ideal - before) / 24 / expected - 1) < 0.04


@pytest.mark.slow
def test_the_digits_take_one_percent_more_than_the_bound_at_most() -> None:
    """All 397 test images, with the directly coded ones, the units left out, and the grids."""
    network = CodingNetwork.of(mrvae.load("digits-vdvae"))
    x = load("digits", "test").take(torch.arange(397))
    units = codec_for(network, load("digits", "train").take(torch.arange(256)))
    chunk = encode_chunk(units, x, 0, 64, bits_back=True)
    with torch.no_grad():
        stream = torch.Generator().manual_seed(0)
        bounds = [network.model.elbo(x, network.model.noise(397, stream)).value for _ in range(8)]
    expected = -float(torch.stack(bounds).mean()) / math.log(2)
    assert 8 * len(chunk.payload) / 397 < 1.01 * expected
