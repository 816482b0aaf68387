"""Progressive files: cut between chunks they are coarser pictures, damaged they are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.tiny_codec import draw_pictures, images, known, tiny_context
from mrvae.compression import (
    CodingModel,
    PackedProgressiveFile,
    Pictures,
    pack_layers,
    read_container,
    unpack,
)
from mrvae.compression.format.container import frame_chunk, front_of
from mrvae.compression.format.header import Mode
from mrvae.compression.format.unpacking import codec_of, decode_pictures
from mrvae.compression.progressive import ProgressiveLayers, decode_layers, encode_layers
from mrvae.data.patches import cut_patches, join_patches
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, MidTreadSpec

SIZES = [(11, 5), (8, 8), (8, 20)]


def with_context() -> CodingModel:
    return CodingModel(Path("tiny-context"), bytes(32), tiny_context(_CONTEXT))


_CONTEXT = DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2))


@pytest.fixture(scope="module", params=[known, with_context], ids=["plain", "context"])
def model(request: pytest.FixtureRequest) -> CodingModel:
    found: CodingModel = request.param()
    return found


@pytest.fixture(scope="module")
def pictures(model: CodingModel, tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return Pictures(draw_pictures(tmp_path_factory.mktemp("in"), SIZES), model.network)


def write(
    model: CodingModel,
    pictures: Pictures,
    out: Path,
    keep: int | None = None,
    bpp: float | None = None,
) -> PackedProgressiveFile:
    """Write a file in runs of two patches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.compression.format.packing._CHUNK_PATCHES", 2)
        return pack_layers(model, pictures, out, keep, bpp, calibration=images(8))


@pytest.fixture(scope="module")
def file(model: CodingModel, pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("out") / "all.mrv"
    write(model, pictures, path)
    return path


def ends(file: Path) -> list[int]:
    """Return where a file may end without being damaged."""
    container = read_container(file)
    return [len(container.front), *(start + size + 4 for start, size in container.places)]


def test_the_whole_file_is_exact(
    model: CodingModel, pictures: Pictures, file: Path, tmp_path: Path
) -> None:
    container = read_container(file)
    assert (container.header.mode, container.cut) == (Mode.PROGRESSIVE, False)
    assert container.header.spans == 3
    assert len(unpack(container, model, tmp_path / "out")) == 3
    for index, (_, picture) in enumerate(decode_pictures(container, model)):
        assert torch.equal(picture, pictures.picture(index))


Expected = Callable[[int], list[Tensor]]


def expected(model: CodingModel, pictures: Pictures, file: Path) -> Expected:
    """Return a function to the pictures of the first chunks, from layers coded again."""
    header = read_container(file).header
    layers = ProgressiveLayers(codec_of(file, header, model.network), header.lossless)
    patches = torch.cat([cut_patches(pictures.picture(i), 8) for i in range(3)])
    runs = [
        (len(x), [layer.payload for layer in encode_layers(layers, x, header.most)])
        for x in torch.split(patches, 2)
    ]

    def pictures_of(chunks: int) -> list[Tensor]:
        found = [
            decode_layers(layers, payloads[: len(range(run, chunks, 3))], count, header.most)
            for run, (count, payloads) in enumerate(runs[:chunks])
        ]
        decoded, starts = torch.cat([*found, torch.zeros(0, 1, 8, 8, dtype=torch.uint8)]), (0, 2, 3)
        return [
            join_patches(decoded[start:end], *size)
            for start, end, size in zip(starts, (2, 3, 6), SIZES, strict=True)
            if end <= len(decoded)
        ]

    return pictures_of


def test_every_cut_between_chunks_decodes_the_layers_that_are_left(
    model: CodingModel, pictures: Pictures, file: Path, tmp_path: Path
) -> None:
    data, path = file.read_bytes(), tmp_path / "cut"
    pictures_of = expected(model, pictures, file)
    for chunks, end in enumerate(ends(file)):
        path.write_bytes(data[:end])
        container = read_container(path)
        assert container.cut == (end < len(data))
        found = [picture for _, picture in decode_pictures(container, model)]
        wanted = pictures_of(chunks)
        assert len(found) == min(chunks, 3)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_every_other_cut_leaves_the_whole_chunks(file: Path, tmp_path: Path) -> None:
    data, path, places = file.read_bytes(), tmp_path / "cut", ends(file)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if length < places[0]:
            with pytest.raises(ValueError, match=str(path)):
                read_container(path)
            continue
        container = read_container(path)
        whole = [end for end in places if end <= length]
        assert container.cuts == tuple(whole[1:])
        assert (container.cut, container.torn) == (True, length not in whole)


def test_flipped_bits_are_refused(file: Path, tmp_path: Path) -> None:
    data, path = file.read_bytes(), tmp_path / "damaged"
    # A chunk's length that becomes larger than the file looks like a cut; these are left out.
    lengths = {place + byte for place in ends(file) for byte in range(4)}
    flips = [
        data[:i] + bytes([data[i] ^ (1 << i % 8)]) + data[i + 1 :]
        for i in range(0, len(data), 2)
        if i not in lengths
    ]
    start, end = ends(file)[1:3]
    swapped = data[: ends(file)[0]] + data[start:end] + data[ends(file)[0] : start] + data[end:]
    for damaged in (*flips, swapped, data + b"\0"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=str(path)):
            read_container(path)


def test_more_layers_are_never_shorter_and_max_bpp_holds(
    model: CodingModel, pictures: Pictures, file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.mrv"
    depth, pixels = model.network.model.stochastic_depth, sum(h * w for h, w in SIZES)
    sizes = []
    for keep in (*range(1, depth + 1), None):
        packed = write(model, pictures, path, keep)
        sizes.append(packed.size)
        assert packed.size == path.stat().st_size
        assert packed.lossless == (keep is None)
        assert not read_container(path).cut
        front = len(read_container(path).front)
        assert front + sum(size for _, size in packed.layers) == packed.size
    assert sizes == sorted(sizes)
    for budget, size in ((sizes[1], sizes[1]), (sizes[-1] - 1, sizes[-2]), (10**6, sizes[-1])):
        assert write(model, pictures, path, bpp=8 * budget / pixels).size == size
        assert path.stat().st_size == size <= budget
    with pytest.raises(ValueError, match=r"header and first layer.*allow more"):
        write(model, pictures, tmp_path / "none", bpp=8 * (sizes[0] - 1) / pixels)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.mrv"]


def test_kept_layers_are_the_first_chunks_of_the_whole_file(
    model: CodingModel, pictures: Pictures, file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "kept"
    write(model, pictures, path, keep=2)
    kept, whole = read_container(path), read_container(file)
    payloads = [kept.payload(i) for i in range(len(kept.places))]
    assert payloads == [whole.payload(i) for i in range(len(payloads))]
    (cut := tmp_path / "cut").write_bytes(file.read_bytes()[: ends(file)[len(payloads)]])
    for (_, a), (_, b) in zip(
        decode_pictures(kept, model), decode_pictures(read_container(cut), model), strict=True
    ):
        assert torch.equal(a, b)


def test_more_latents_than_the_model_has_are_refused(
    model: CodingModel, pictures: Pictures, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="keep is 99; this model has"):
        write(model, pictures, tmp_path / "x", keep=99)


def test_layers_that_do_not_match_the_units_are_refused(
    model: CodingModel, file: Path, tmp_path: Path
) -> None:
    whole, path = read_container(file), tmp_path / "forged"
    for layers, lossless in ((1, True), (0xFFFF, True), (whole.header.layers, False)):
        front = front_of(replace(whole.header, layers=layers, lossless=lossless))
        path.write_bytes(front + frame_chunk(front, 0, whole.payload(0)))
        with pytest.raises(ValueError, match="layers do not match its units"):
            list(decode_pictures(read_container(path), model))
    path.write_bytes(front_of(replace(whole.header, layers=0)))
    with pytest.raises(ValueError, match="declares 0 layers"):
        read_container(path)
