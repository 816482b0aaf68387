from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import random_pixels, write_pictures
from PIL import Image

from mrvae.data import SPLITS, Conversion, Crop, load


def test_pictures_are_read_exactly_and_split(tmp_path: Path) -> None:
    write_pictures(tmp_path / "a", 12)
    write_pictures(tmp_path / "b" / "c", 8)
    (tmp_path / "notes.txt").write_text("no picture")
    splits = [load(str(tmp_path), split) for split in SPLITS]
    assert [len(images) for images in splits] == [16, 2, 2]
    x = torch.cat([images.tensor() for images in splits])
    written = [random_pixels(4, 5, 3, seed=n) for n in (*range(12), *range(8))]
    expected = torch.from_numpy(np.stack(written)).permute(0, 3, 1, 2)
    assert sorted(x.flatten(1).tolist()) == sorted(expected.flatten(1).tolist())


@pytest.mark.parametrize("name", ["validation", "val", "valid"])
def test_the_folders_of_the_splits_are_used(name: str, tmp_path: Path) -> None:
    for folder, count in (("train", 20), (name, 3), ("test", 4)):
        write_pictures(tmp_path / folder, count)
    assert [len(load(str(tmp_path), split)) for split in SPLITS] == [20, 3, 4]


def test_validation_pictures_are_held_out_of_training_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path / "train", 20)
    assert [len(load(str(tmp_path), split)) for split in SPLITS[:2]] == [18, 2]
    with pytest.raises(ValueError, match=r"has no folder test; add .*/test with images"):
        load(str(tmp_path), "test")


def test_pictures_of_two_sizes_are_refused_or_fitted(tmp_path: Path) -> None:
    write_pictures(tmp_path, 20)
    write_pictures(tmp_path / "wide", 1, size=(9, 4))
    with pytest.raises(ValueError, match=r"20 of 5×4 .*, 1 of 9×4 .*set data.fit=true to"):
        load(str(tmp_path), "test")
    assert load(str(tmp_path), "test", conversion=Conversion(framing=Crop(4, 4))).shape == (3, 4, 4)


def test_grey_among_colour_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, 20)
    Image.fromarray(random_pixels(4, 5)).save(tmp_path / "grey.png")
    for framing in (None, Crop(4, 4)):
        with pytest.raises(ValueError, match=r"20 RGB .*, 1 grey .grey.png.; .* set data.mode=rgb"):
            load(str(tmp_path), "train", conversion=Conversion(framing=framing))


def test_other_modes_are_refused(tmp_path: Path) -> None:
    for mode, reason in {
        "P": "1 RGB with a palette",
        "LA": "1 grey with transparency",
        "RGBA": "1 RGB with transparency",
        "I;16": "1 grey of 16 bits",
    }.items():
        write_pictures(tmp_path, 20)
        Image.new(mode, (5, 4)).save(tmp_path / "other.png")
        with pytest.raises(ValueError, match=rf"20 RGB .*, {reason} .other.png."):
            load(str(tmp_path), "train")


def test_a_shortened_picture_is_refused(tmp_path: Path) -> None:
    for keep in [0, 4, 40, 60, 90]:
        write_pictures(tmp_path / "test", 3)
        path = tmp_path / "test" / "001.png"
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(
            ValueError, match=f"^{path}: cannot be read .*again; or leave it out by"
        ):
            load(str(tmp_path), "test")


@pytest.mark.parametrize("size", [(9000, 9000), (12_000, 12_000), (65_535, 65_535)])
def test_a_decompression_bomb_is_refused_by_its_header(
    size: tuple[int, int], tmp_path: Path
) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = chunk(b"IHDR", struct.pack(">2I5B", *size, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + data)
    with pytest.raises(ValueError, match=r"bomb.png: .*(pixels|decompression bomb)"):
        load(str(tmp_path), "train")


def test_a_picture_in_name_only_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, 9)
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(ValueError, match=r"script.png: cannot be read .it begins as no"):
        load(str(tmp_path), "train")


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(ValueError, match=f"^{tmp_path}: holds no data; put files there"):
        load(str(tmp_path), "train")


def test_a_very_long_picture_is_fitted_in_little_memory(tmp_path: Path) -> None:
    Image.new("L", (200_000, 1), 7).save(tmp_path / "line.png")
    images = load(str(tmp_path), "train", conversion=Conversion(framing=Crop(32, 32)))
    assert torch.equal(images.take(torch.tensor([0])), torch.full((1, 1, 32, 32), 7).byte())
