"""Laws of the codes: exact whatever the machine does at once, and no longer than the bound."""

from __future__ import annotations

import json
import math
import os
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
from mrvae.compression.chunks import DamagedError, batches, read_chunk, write_chunk
from mrvae.compression.codec import Codec
from mrvae.compression.coder import Stack
from mrvae.compression.latents import all_active, of_shapes, shared_noise
from mrvae.compression.network import Network
from mrvae.compression.packing import codec_for
from mrvae.data import load

either = pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
both = pytest.mark.parametrize("chained", [False, True], ids=["direct", "bits-back"])


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
def test_images_come_back_whatever_is_computed_at_once(colour: bool, bits_back: bool) -> None:
    x = images(15, colour)
    written = write_chunk(codec(colour, rows=9), x, 100, 5, bits_back)
    for rows, count in ((64, 2), (4, 1)):
        with threads(count):
            found = read_chunk(codec(colour, rows), written.payload, len(x), 100, 5)
        assert torch.equal(found, x)


@pytest.mark.slow
def test_messages_come_back_in_other_processes_of_other_threads() -> None:
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
def test_a_chunk_is_as_long_as_its_laws_say(colour: bool, bits_back: bool) -> None:
    written = write_chunk(codec(colour), images(21, colour), 0, 5, bits_back)
    assert abs(8 * len(written.payload) - written.ideal) < 48 + 64 + 1e-3 * written.ideal


def test_bits_back_gives_back_what_it_borrowed() -> None:
    """Pushed onto any message, images come off it again, and the message is as it was."""
    x, stack = images(6), Stack()
    codec().push_direct(stack, images(40, seed=1))
    before = stack.words
    codec().push_bits_back(stack, x, 7)
    assert torch.equal(codec(rows=2).pop_bits_back(stack, 6, 7), x)
    assert (stack.words == before).all()


def test_the_encoder_waits_until_the_stack_holds_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """One image has not the bits of another one's latents, so that the pace is doubled."""
    monkeypatch.setattr(chunks, "FIRST_PACE", 1)
    x, fine = images(14), codec(sixteenths=1)
    written = write_chunk(fine, x, 0, 8, bits_back=True)
    growth = int.from_bytes(written.payload[:2], "little")
    assert growth in (2, 4, 8)
    assert written.seeds == growth
    assert torch.equal(read_chunk(fine, written.payload, 14, 0, 8), x)


def test_without_enough_images_all_are_coded_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "FIRST_PACE", 1)
    x, fine = images(2), codec(sixteenths=1)
    written = write_chunk(fine, x, 0, 8, bits_back=True)
    assert (written.payload[:2], written.seeds) == (bytes(2), 0)
    assert torch.equal(read_chunk(fine, written.payload, 2, 0, 8), x)


def silent(colour: bool = False) -> Codec:
    """Return a codec that codes no latents at all."""
    network = codec(colour).network
    none = [torch.zeros(shape, dtype=torch.bool) for shape in network.shapes]
    return Codec(network, of_shapes(none, 32), of_shapes(none, 4))


@either
@both
@pytest.mark.parametrize("value", [0, 16], ids=["black", "white"])
@pytest.mark.parametrize("latents", [False, True], ids=["no latents", "latents"])
@pytest.mark.parametrize("count", [1, 2, 11])
def test_images_of_one_value_come_back(
    count: int, latents: bool, value: int, bits_back: bool, colour: bool
) -> None:
    """Black ones without latents take no bits at all: their message is empty."""
    x = torch.full_like(images(count, colour), value)
    used = codec(colour) if latents else silent(colour)
    written = write_chunk(used, x, 0, 3, bits_back)
    assert (len(written.payload) == 6) == (value == 0 and not latents)
    assert torch.equal(read_chunk(used, written.payload, count, 0, 3), x)


def test_black_images_come_back_beside_others() -> None:
    """Before others they leave the message empty, and behind them they do not."""
    black, others, used = torch.zeros(7, 1, 8, 8, dtype=torch.uint8), images(3), silent()
    for x in (torch.cat([black, others]), torch.cat([others, black]), black[:1]):
        written = write_chunk(used, x, 0, 2, bits_back=False)
        assert torch.equal(read_chunk(used, written.payload, len(x), 0, 2), x)


def test_more_black_images_than_the_bytes_could_hold_come_back() -> None:
    """An empty message is refused for no number of images, but for what they are."""
    x = torch.zeros(4000, 1, 8, 8, dtype=torch.uint8)
    x_white = torch.full_like(x[:1], 16)
    written = write_chunk(silent(), x, 0, 64, bits_back=False)
    assert len(written.payload) == 6
    assert torch.equal(read_chunk(silent(), written.payload, 4000, 0, 64), x)
    wrong = write_chunk(silent(), x_white, 0, 64, bits_back=False).payload[:6]
    with pytest.raises(DamagedError, match="other pixels"):
        read_chunk(silent(), wrong, 4000, 0, 64)


@pytest.mark.parametrize("count", [1, 2, 9, 100])
@pytest.mark.parametrize("pace", [0, 1, 8, 64])
def test_batches_cover_all_images_once(count: int, growth: int) -> None:
    sizes = list(batches(count, growth, 16))
    assert [start for start, _ in sizes] == [
        sum(s for _, s in sizes[:i]) for i in range(len(sizes))
    ]
    assert sum(size for _, size in sizes) == count
    for start, size in sizes[1:]:
        assert 1 <= size <= (max(1, start // growth) if growth else 16)


@both
def test_another_model_does_not_decode_to_a_wrong_picture(bits_back: bool) -> None:
    x = images(12)
    payload = write_chunk(codec(), x, 0, 5, bits_back).payload
    other = Network.of(known().network.model)
    with torch.no_grad():
        next(other.model.decoder.parameters()).add_(1e-2)
    units = codec()
    with pytest.raises(DamagedError, match=r"other pixels|end before"):
        read_chunk(Codec(other, units.direct, units.bits_back), payload, 12, 0, 5)


def test_shared_noise_is_standard_normal_and_each_image_has_its_own() -> None:
    noise = shared_noise(5, 8, 4000)
    assert torch.equal(noise[3:5], shared_noise(8, 2, 4000))
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.var()) - 1) < 0.03
    assert float((noise[0] - noise[1]).abs().mean()) > 0.5


def test_bits_back_takes_as_many_bits_as_the_bound_says() -> None:
    """Of the shipped model, on 24 digits: within 4 %, which is four standard errors."""
    network = Network.of(mrvae.load("digits-vdvae"))
    x = load("digits", "test").take(torch.arange(24))
    active = all_active(network.shapes)
    units = Codec(network, of_shapes(active, 32), of_shapes(active, 4))
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
    network = Network.of(mrvae.load("digits-vdvae"))
    x = load("digits", "test").take(torch.arange(397))
    units = codec_for(network, load("digits", "train").take(torch.arange(256)))
    written = write_chunk(units, x, 0, 64, bits_back=True)
    with torch.no_grad():
        stream = torch.Generator().manual_seed(0)
        bounds = [network.model.elbo(x, network.model.noise(397, stream)).value for _ in range(8)]
    expected = -float(torch.stack(bounds).mean()) / math.log(2)
    assert 8 * len(written.payload) / 397 < 1.01 * expected
