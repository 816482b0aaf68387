"""Small files that declare much: names in linear time, limits by size, and no model of NaN."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from helpers.damage import write
from helpers.tiny_codec import draw_pictures, images, known
from helpers.tiny_vdvae import tiny_vdvae
from mrvae.compression import (
    CodingModel,
    CodingNetwork,
    PackedFile,
    PackedProgressiveFile,
    Pictures,
    pack,
    pack_layers,
    read_container,
    unpack,
)
from mrvae.compression.coding.latents import all_active
from mrvae.compression.coding.unit_masks import masks_to_bytes
from mrvae.compression.format.container import Container, frame_chunk, front_of
from mrvae.compression.format.header import Mode, PictureEntry
from mrvae.compression.format.limits import most_pictures, most_values
from mrvae.compression.format.unpacking import decode_pictures, file_names
from mrvae.data import Images
from mrvae.evaluation import evaluate, state_norms
from mrvae.models import HVAE


def named(names: list[str]) -> tuple[str, ...]:
    return file_names([PictureEntry(name, 1, 1) for name in names])


def test_equal_names_take_linear_time() -> None:
    for name in ("", "a", "\u5b57" * 85, "x" * 255):
        began = time.process_time()
        names = named([name, f"{name}-2", f"{name}-4"] + [name] * 16_000)
        assert time.process_time() - began < 2
        assert len({found.lower() for found in names}) == len(names)
        assert max(len(found.encode()) for found in names) <= 255
    # Many stems that only differ where a number would stand take no longer.
    stems = [f"{'x' * 246}{number:05}" for number in range(6_000)]
    began = time.process_time()
    assert len(set(named(stems * 2))) == 12_000
    assert time.process_time() - began < 2


def test_numbers_follow_the_order_of_the_pictures() -> None:
    assert named(["a", "A-2", "a", "a", "b", "A"]) == (
        "a.png", "A-2.png", "a-3.png", "a-4.png", "b.png", "A-5.png",
    )  # fmt: skip


def test_a_long_name_comes_back_as_it_was(tmp_path: Path) -> None:
    stems = ["\u5b57" * 80, "n" * 251, "\u5b57" * 83 + "ab"]
    for stem in stems:
        Image.new("L", (8, 8)).save(tmp_path / f"{stem}.png")
    paths = tuple(sorted(tmp_path.glob("*.png")))
    pack(known(), Pictures(paths, known().network), tmp_path / "x.mrv", rounds=0)
    written = unpack(read_container(tmp_path / "x.mrv"), known(), tmp_path / "out")
    assert [path.name for path in written] == [path.name for path in paths]


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the coarsest latent only, of few bits."""
    folder = tmp_path_factory.mktemp("lossy")
    pictures, out = Pictures(draw_pictures(folder, [(8, 8)]), known().network), folder / "x.mrv"
    pack_layers(known(), pictures, out, keep=1, calibration=images(8))
    return out


def test_a_file_declares_no_more_pictures_or_pixels_than_its_size_allows(
    lossy: Path, tmp_path: Path
) -> None:
    container, path = read_container(lossy), tmp_path / "forged"
    declared: dict[str, Callable[[int], tuple[PictureEntry, ...]]] = {
        "pictures": lambda more: (PictureEntry("", 1, 1),) * (1024 + more),
        "pixel values": lambda more: (PictureEntry("", 8, 8 * (4096 + 16 * more)),),
    }
    for name, entries in declared.items():
        for more, refused in ((0, False), (10_000, True)):
            front = front_of(replace(container.header, entries=entries(more)))
            path.write_bytes(front + frame_chunk(front, 0, container.payload(0)))
            if not refused:
                assert read_container(path).cuts
                continue
            with pytest.raises(ValueError, match=f"declares .* {name} in .*--yes-large"):
                read_container(path)
            assert read_container(path, large=True).cuts
    assert most_pictures(0) == 1024
    assert most_values(0) == 4096 * 64


def test_a_header_of_a_million_pictures_is_refused_before_they_are_read(
    lossy: Path, tmp_path: Path
) -> None:
    header, path = read_container(lossy).header, tmp_path / "forged"
    path.write_bytes(front_of(replace(header, entries=(PictureEntry("", 1, 1),) * 1_000_000)))
    assert path.stat().st_size < 20_000
    began = time.process_time()
    with pytest.raises(ValueError, match="declares 1,000,000 pictures"):
        read_container(path)
    assert time.process_time() - began < 0.5


def test_a_picture_of_many_chunks_is_joined_in_linear_time(
    lossy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one patch a chunk, as a hostile header may declare."""
    count, container = 30_000, read_container(lossy)
    units = masks_to_bytes(all_active(known().network.shapes))
    header = replace(container.header, mode=Mode.DIRECT, layers=1, per_chunk=1, direct_units=units)
    header = replace(header, entries=(PictureEntry("", 8, 8 * count),))
    patch = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    monkeypatch.setattr(Container, "payload", lambda self, index: b"")
    monkeypatch.setattr("mrvae.compression.format.unpacking.decode_chunk", lambda *arguments: patch)
    many = replace(container, header=header, places=container.places[:1] * count)
    began = time.process_time()
    ((_, picture),) = decode_pictures(many, known())
    assert picture.shape == (1, 8, 8 * count)
    assert time.process_time() - began < 2


def packed_uniform(tmp_path: Path) -> list[PackedFile | PackedProgressiveFile]:
    Image.new("L", (8 * 8, 8 * 8)).save(tmp_path / "a.png")
    pictures = Pictures((tmp_path / "a.png",), known().network)
    nothing = torch.zeros(8, 1, 8, 8, dtype=torch.uint8)
    return [
        pack(known(), pictures, tmp_path / "a.mrv", False, nothing, rounds=0, verify=False),
        pack_layers(known(), pictures, tmp_path / "b.mrv", None, None, nothing, verify=False),
    ]


@pytest.mark.parametrize("per_byte", [1, 1024])
def test_a_packed_file_tells_whether_it_is_within_the_limits_and_where_it_is_cut(
    per_byte: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mrvae.compression.format.limits._FREE_VALUES", 0)
    monkeypatch.setattr("mrvae.compression.format.limits._VALUES_PER_BYTE", per_byte)
    for name, packed in zip("ab", packed_uniform(tmp_path), strict=True):
        path = tmp_path / f"{name}.mrv"
        assert packed.cuts == read_container(path, large=True).cuts
        assert packed.limited == (per_byte > 1)
        if packed.limited:
            assert read_container(path).cuts == packed.cuts
            continue
        with pytest.raises(ValueError, match="declares 4,096 pixel values"):
            read_container(path)


def broken(factor: float) -> HVAE:
    """Return a model whose weights are finite, and whose numbers are not."""
    model = tiny_vdvae()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model


def message(act: Callable[[], object]) -> str:
    with pytest.raises(ValueError, match="computes no finite numbers") as raised:
        act()
    return str(raised.value)


@pytest.mark.parametrize("factor", [1e6, 3e38])
def test_a_model_that_computes_no_finite_numbers_is_one_sentence_everywhere(
    factor: float, tmp_path: Path
) -> None:
    model = broken(factor)
    coding = CodingModel(Path("broken"), bytes(32), CodingNetwork.of(model))
    pictures = Pictures(draw_pictures(tmp_path, [(8, 16)]), coding.network)
    digits = Images(images(3), "digits", "test", 17)
    found = {
        message(lambda: pack(coding, pictures, tmp_path / "a", calibration=images(4))),
        message(lambda: pack(coding, pictures, tmp_path / "a", True, images(4))),
        message(lambda: pack_layers(coding, pictures, tmp_path / "a", calibration=images(4))),
        message(lambda: pack_layers(coding, pictures, tmp_path / "a")),
        message(lambda: evaluate(model.float(), digits, samples=2)),
        message(lambda: state_norms(model.float(), digits)),
    }
    assert len(found) == 1
    assert not (tmp_path / "a").exists()


def test_what_is_compared_is_the_file_and_not_what_was_read_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that drops a bit of every pixel makes files that are exact to itself only."""
    pictures = Pictures(draw_pictures(tmp_path, [(8, 8)]), known().network)
    exact = Pictures.picture

    def reduced(self: Pictures, index: int) -> Tensor:
        return exact(self, index) & 0xFE

    monkeypatch.setattr(Pictures, "picture", reduced)
    for write_file in (pack, pack_layers):
        with pytest.raises(ValueError, match=r"picture 0\.png is not decoded exactly"):
            write_file(known(), pictures, tmp_path / "x.mrv")
    assert [path.name for path in tmp_path.iterdir()] == ["picture 0.png"]


def reports(container: Container) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    list(decode_pictures(container, known(), lambda done, size: seen.append((done, size))))
    return seen


def test_progress_ends_with_all_patches_and_all_bytes(tmp_path: Path) -> None:
    for mode in ("direct", "bitsback", "progressive"):
        (folder := tmp_path / mode).mkdir()
        container = read_container(write(known(), folder, mode))
        seen = reports(container)
        assert seen == sorted(seen)
        assert seen[-1][0] == container.header.patches
        assert 0 <= container.size - seen[-1][1] <= 8 * len(container.places)
