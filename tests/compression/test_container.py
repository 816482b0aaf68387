"""The file: what is written is read, and what was changed is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_files import BITS_BACK
from PIL import Image
from torch import Tensor

from helpers.damage import SIZES, write
from helpers.tiny_codec import draw_pictures, known
from mrvae.compression import CodingNetwork, Pictures, pack, read_container, unpack
from mrvae.compression.format.container import frame_chunk, front_of
from mrvae.compression.format.header import PictureEntry
from mrvae.compression.format.unpacking import decode_pictures, file_names


@pytest.fixture(scope="module", params=["direct", "bitsback"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(known(), tmp_path_factory.mktemp("codec"), request.param)


def originals(file: Path) -> list[Tensor]:
    pictures = Pictures(tuple(sorted(file.parent.glob("picture ?.png"))), known().network)
    return [pictures.picture(index) for index in range(len(SIZES))]


def test_pictures_are_unpacked_exactly_under_their_names(file: Path, tmp_path: Path) -> None:
    written = unpack(read_container(file), known(), tmp_path / "out")
    assert [path.name for path in written] == [f"picture {i}.png" for i in range(5)]
    for path, picture in zip(written, originals(file), strict=True):
        with Image.open(path) as found:
            assert found.mode == "L"
            assert found.tobytes() == picture.numpy().tobytes()


def test_existing_files_are_not_overwritten(file: Path, tmp_path: Path) -> None:
    (tmp_path / "picture 3.png").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"picture 3\.png exists"):
        unpack(read_container(file), known(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["picture 3.png"]


def test_a_header_is_read_as_it_was_written(file: Path, tmp_path: Path) -> None:
    header = read_container(file).header
    entries = (PictureEntry("ä b", 3, 4), PictureEntry("", 1, 9))
    for changed in (header, replace(header, entries=entries, most=7, bins=256)):
        path = tmp_path / "header"
        path.write_bytes(front_of(changed))
        assert read_container(path).header == changed


def boundaries(file: Path) -> set[int]:
    """Return where a file may end without being damaged."""
    container = read_container(file)
    ends = {start + length + 4 for start, length in container.places}
    return {len(container.front), *ends}


def test_a_file_that_was_cut_gives_the_pictures_before_the_cut(file: Path, tmp_path: Path) -> None:
    data, pictures = file.read_bytes(), originals(file)
    # 1, 2, 9, 1 and 2 patches, of which a chunk has four.
    whole_pictures = [0, 2, 2, 3, 5]
    for end, expected in zip(sorted(boundaries(file)), whole_pictures, strict=True):
        path = tmp_path / "cut"
        path.write_bytes(data[:end])
        container = read_container(path)
        assert (container.cut, container.torn) == (end < len(data), False)
        found = [picture for _, picture in decode_pictures(container, known())]
        assert len(found) == expected
        assert all(torch.equal(a, b) for a, b in zip(found, pictures, strict=False))
        path.write_bytes(data[: end + 3])
        if end < len(data):
            torn = read_container(path)
            assert (torn.places, torn.cut, torn.torn) == (container.places, True, True)


def test_a_file_without_a_whole_picture_is_refused(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(read_container(file).front)
    with pytest.raises(ValueError, match="within its first picture"):
        unpack(read_container(path), known(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refusals_name_what_is_wrong(file: Path, tmp_path: Path) -> None:
    data, path = file.read_bytes(), tmp_path / "wrong"
    start, length = read_container(file).places[1]
    wrong = {
        "not a file of mrvae compress": b"PNG" + data,
        "of version 9; this mrvae reads version 1": data[:8] + b"\x09" + data[9:],
        "CRC of its header": data[:60] + bytes([data[60] ^ 1]) + data[61:],
        "CRC of chunk 1 is wrong": data[:start] + bytes(length) + data[start + length :],
        "chunk 1 of 4 declares": data[: start - 4] + b"\xff" * 4 + data[start:],
        "ends within its header": data[:10],
        "header of .* is incomplete": data[:30],
        "bytes follow its last chunk": data + b"\0",
    }
    for message, damaged in wrong.items():
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            read_container(path)


def test_another_model_is_refused_with_both_hashes(file: Path) -> None:
    other = replace(known(), hash=bytes(32))
    with pytest.raises(ValueError, match=f"{known().hash.hex()}.*{bytes(32).hex()}"):
        list(decode_pictures(read_container(file), other))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"per_chunk": 5000}, "5,000 patches in a chunk"),
        ({"most": 65}, "65 images in a batch"),
        ({"per_chunk": 4096, "size": 4096}, "pixels in a chunk"),
        ({"entries": (PictureEntry("a", 1 << 31, 1 << 31),)}, "pixels in a picture"),
        ({"direct_step": 0}, "a step of 0"),
        ({"bins": 0}, "declares 0 values of a pixel"),
    ],
)
def test_absurd_sizes_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path, header = tmp_path / "absurd", read_container(BITS_BACK.path).header
    path.write_bytes(front_of(replace(header, **change)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        read_container(path)


def test_a_chunk_cannot_hold_more_than_its_bytes(file: Path, tmp_path: Path) -> None:
    """A header that declares 4,000 patches for a chunk of few bytes is refused before decoding."""
    container = read_container(file)
    entries = (PictureEntry("a", 8 * 80, 8 * 50),)
    front = front_of(replace(container.header, entries=entries, per_chunk=4000))
    path = tmp_path / "small"
    path.write_bytes(front + frame_chunk(front, 0, container.payload(0)[:6]))
    with pytest.raises(ValueError, match="cannot hold 4000 images"):
        list(decode_pictures(read_container(path), known()))


@pytest.mark.parametrize("value", [0, 16], ids=["black", "white"])
def test_pictures_of_one_value_are_packed_exactly(value: int, tmp_path: Path) -> None:
    """Of one pixel, or of a patch and a half; one, or several, which choose the units."""
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, size in zip(paths, [(1, 1), (8, 8), (9, 12)], strict=True):
        Image.new("L", size, value).save(path)
    out = tmp_path / "one.mrv"
    for chosen in (paths[:1], paths[1:2], paths):
        pictures = Pictures(tuple(chosen), known().network)
        pack(known(), pictures, out)
        found = [picture for _, picture in decode_pictures(read_container(out), known())]
        assert all(bool((picture == value).all()) for picture in found)
        assert [tuple(p.shape) for p in found] == [
            tuple(pictures.picture(i).shape) for i in range(len(chosen))
        ]


def test_a_file_that_does_not_decode_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = Pictures(draw_pictures(tmp_path, [(8, 8)]), known().network)
    wrong = CodingNetwork.of(known().network.model)
    with torch.no_grad():
        next(wrong.model.decoder.parameters()).add_(1e-2)
    monkeypatch.setattr(
        "mrvae.compression.format.packing.decode_pictures",
        lambda container, model, progress: decode_pictures(
            container, replace(model, network=wrong), progress
        ),
    )
    with pytest.raises(ValueError, match="other pixels"):
        pack(known(), pictures, tmp_path / "x.mrv")
    assert not (tmp_path / "x.mrv").exists()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["../../x", "/etc/passwd", "..", ""], ["x", "etc_passwd", "image", "image-2"]),
        (["a", "A", "a", "a-2"], ["a", "A-2", "a-3", "a-2-2"]),
        (["a\0b\nc\\d:e", "ü ß"], ["a_b_c_d_e", "ü ß"]),
    ],
)
def test_names_cannot_leave_the_folder_or_collide(names: list[str], expected: list[str]) -> None:
    found = file_names([PictureEntry(name, 1, 1) for name in names])
    assert found == tuple(f"{name}.png" for name in expected)
