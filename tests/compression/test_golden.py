"""The format is a promise: a file that was written once is read for ever, and written so again.

golden.mrv holds the first 20 test digits, coded by the shipped model digits-vdvae: six directly,
fourteen by giving bits back. golden-progressive.mrv holds the same in layers. golden-context.mrv
holds the contexts of a drawn RGB picture, coded by the prior that was learnt from CIFAR-10.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mrvae.compression import Known, open_model, read_container
from mrvae.compression.chunks import write_chunk
from mrvae.compression.container import Container, Entry, Mode
from mrvae.compression.identity import find
from mrvae.compression.layers import Layers, write_layers
from mrvae.compression.patches import to_patches, to_picture
from mrvae.compression.unpacking import codec_of, decoded
from mrvae.data import load

GOLDEN = Path(__file__).with_name("golden.mrv")
LAYERED = Path(__file__).with_name("golden-progressive.mrv")
CONTEXT = Path(__file__).with_name("golden-context.mrv")
PRIOR = Path(__file__).parents[2] / "results/runs/kuzina2023-cpu/cifar10-context-seed0"
MODEL = "c1d700169cacc07542c3d14c6017de811f813d12e2481cbd093858ecda73e835"


@pytest.fixture(scope="module")
def container() -> Container:
    return read_container(GOLDEN)


@pytest.fixture(scope="module")
def shipped(container: Container) -> Known:
    return open_model(find(container.header.model))


def test_the_header_is_as_it_was_written(container: Container) -> None:
    header = container.header
    assert header.bits_back
    assert header.model.hex() == MODEL
    assert (header.channels, header.size, header.levels) == (1, 8, 17)
    assert (header.direct_step, header.chained_step) == (32, 4)
    assert (header.most, header.per_chunk) == (64, 1024)
    assert header.entries == tuple(Entry(f"digit-{i:02d}", 8, 8) for i in range(20))


def test_the_golden_file_decodes(container: Container, shipped: Known) -> None:
    digits = load("digits", "test").take(torch.arange(20))
    found = torch.stack([picture for _, picture in decoded(container, shipped)])
    assert torch.equal(found, digits)


def test_the_same_pictures_and_units_give_the_same_chunk(
    container: Container, shipped: Known
) -> None:
    digits = load("digits", "test").take(torch.arange(20))
    codec = codec_of(GOLDEN, container.header, shipped.network)
    assert write_chunk(codec, digits, 0, 64, bits_back=True).payload == container.payload(0)


@pytest.fixture(scope="module")
def layered() -> Container:
    return read_container(LAYERED)


def test_the_golden_layers_are_as_they_were_written(layered: Container, shipped: Known) -> None:
    header = layered.header
    assert (header.mode, header.layers, header.lossless) == (Mode.PROGRESSIVE, 4, True)
    assert header.model.hex() == MODEL
    digits = load("digits", "test").take(torch.arange(20))
    layers = Layers(codec_of(LAYERED, header, shipped.network), lossless=True)
    assert layers.names == ("latent 2", "latent 3", "latent 4", "pixels")
    again = write_layers(layers, digits, header.most)
    assert [m.payload for m in again] == [layered.payload(index) for index in range(4)]


def test_the_golden_layers_decode(layered: Container, shipped: Known) -> None:
    digits = load("digits", "test").take(torch.arange(20))
    found = torch.stack([picture for _, picture in decoded(layered, shipped)])
    assert torch.equal(found, digits)


def drawn() -> torch.Tensor:
    """Return a picture of slopes and squares, uint8 (3, 48, 80)."""
    c, i, j = torch.meshgrid(torch.arange(3), torch.arange(48), torch.arange(80), indexing="ij")
    return (60 + 2 * i + c * j // 2 + 50 * ((i // 12 + j // 20) % 2)).clamp(0, 255).byte()


def test_the_golden_contexts_are_as_they_were_written() -> None:
    container, known = read_container(CONTEXT), open_model(PRIOR)
    assert container.header.mode is Mode.PROGRESSIVE
    assert container.header.entries == (Entry("drawn", 48, 80),)
    layers = Layers(codec_of(CONTEXT, container.header, known.network), lossless=False)
    (again,) = write_layers(layers, to_patches(drawn(), 32), container.header.most)
    assert again.payload == container.payload(0)


def test_the_golden_contexts_decode() -> None:
    known = open_model(PRIOR)
    ((_, found),) = decoded(read_container(CONTEXT), known)
    with torch.no_grad():
        shown = known.network.model.reconstruct(to_patches(drawn(), 32), keep=1)
    assert torch.equal(found, to_picture(shown, 48, 80))
    assert (found.double() - drawn().double()).square().mean().sqrt() < 14
