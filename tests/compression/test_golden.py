"""The format is a promise: a file that was written once is decoded for ever, and written so again.

golden.mrv holds the first 20 test digits, coded by the shipped model digits-vdvae: six directly,
fourteen by bits back. golden-progressive.mrv holds the same in layers. golden-context.mrv holds the
contexts of a drawn RGB picture, coded by a prior that was learnt from CIFAR-10.
"""

from __future__ import annotations

from functools import cache

import pytest
import torch
from golden_files import BITS_BACK, CONTEXT, GOLDEN, LAYERS, GoldenFile, digits, drawing

from mrvae.compression import (
    CodingModel,
    Mode,
    ProgressiveLayers,
    decode_pictures,
    find_model,
    open_model,
    read_container,
)
from mrvae.compression.format.header import FileHeader, PictureEntry
from mrvae.compression.format.unpacking import codec_of
from mrvae.data.patches import cut_patches, join_patches

every_golden = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


@cache
def model_of(golden: GoldenFile) -> CodingModel:
    return open_model(golden.run)


def header_of(golden: GoldenFile) -> FileHeader:
    return read_container(golden.path).header


@every_golden
def test_a_golden_file_names_its_model(golden: GoldenFile) -> None:
    assert header_of(golden).model_hash == model_of(golden).hash


def test_the_shipped_model_is_found_by_the_hash_of_a_golden_file() -> None:
    assert find_model(header_of(BITS_BACK).model_hash) == model_of(BITS_BACK).run


@every_golden
def test_the_same_images_and_units_give_the_same_payloads(golden: GoldenFile) -> None:
    container = read_container(golden.path)
    stored = tuple(container.payload(index) for index in range(container.header.chunks))
    assert golden.payloads(container, model_of(golden)) == stored


@pytest.mark.parametrize("golden", [BITS_BACK, LAYERS], ids=lambda golden: golden.name)
def test_golden_digits_are_decoded_exactly(golden: GoldenFile) -> None:
    pictures = decode_pictures(read_container(golden.path), model_of(golden))
    assert torch.equal(torch.stack([picture for _, picture in pictures]), digits())


def test_golden_contexts_are_decoded_to_the_model_s_picture() -> None:
    model = model_of(CONTEXT)
    ((_, picture),) = decode_pictures(read_container(CONTEXT.path), model)
    with torch.no_grad():
        expected = model.network.model.reconstruct(cut_patches(drawing(), 32), keep=1)
    assert torch.equal(picture, join_patches(expected, 48, 80))
    assert (picture.double() - drawing().double()).square().mean().sqrt() < 14


def test_golden_headers_are_as_they_were_written() -> None:
    header = header_of(BITS_BACK)
    assert (header.mode, header.layers, header.lossless) == (Mode.BITS_BACK, 1, True)
    assert (header.channels, header.size, header.bins) == (1, 8, 17)
    assert (header.direct_step, header.bits_back_step) == (32, 4)
    assert (header.most, header.per_chunk) == (64, 1024)
    assert header.entries == tuple(PictureEntry(f"digit-{i:02d}", 8, 8) for i in range(20))
    header = header_of(LAYERS)
    assert (header.mode, header.layers, header.lossless) == (Mode.PROGRESSIVE, 4, True)
    layers = ProgressiveLayers(codec_of(LAYERS.path, header, model_of(LAYERS).network), True)
    assert layers.names == ("latent 2", "latent 3", "latent 4", "pixels")
    header = header_of(CONTEXT)
    assert (header.mode, header.layers, header.lossless) == (Mode.PROGRESSIVE, 1, False)
    assert header.entries == (PictureEntry("drawn", 48, 80),)
