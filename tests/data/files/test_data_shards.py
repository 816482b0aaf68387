"""A folder of .npy shards is the array that it was cut from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mrvae.data import Stream, load
from mrvae.data.splits import SPLITS


def numbers(count: int, side: int = 4) -> NDArray[np.uint8]:
    """Return images that differ from one another."""
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def cut(folder: Path, array: NDArray[np.uint8], *ends: int) -> Path:
    """Store an array as shards that end there."""
    folder.mkdir(parents=True)
    for index, piece in enumerate(np.split(array, ends)):
        np.save(folder / f"{index:03d}.npy", piece)
    return folder


@pytest.mark.parametrize("ends", [(), (7,), (1, 2, 39), (10, 20, 30)])
def test_shards_are_one_array_however_it_is_cut(tmp_path: Path, ends: tuple[int, ...]) -> None:
    array = numbers(40)
    np.save(tmp_path / "whole.npy", array)
    folder = cut(tmp_path / "shards", array, *ends)
    for split in SPLITS:
        whole, joined = (load(str(p), split) for p in (tmp_path / "whole.npy", folder))
        assert len(joined) == len(whole)
        order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(1)).repeat(2)
        assert torch.equal(joined.take(order), whole.take(order))
    streams = [Stream(load(str(p), "train"), 5, 3) for p in (tmp_path / "whole.npy", folder)]
    assert all(torch.equal(streams[0].batch(n), streams[1].batch(n)) for n in range(9))


def test_every_split_may_have_its_own_shards(tmp_path: Path) -> None:
    array = numbers(30)
    cut(tmp_path / "set" / "train", array[:20], 8)
    cut(tmp_path / "set" / "test", array[20:], 3)
    lengths = {split: len(load(str(tmp_path / "set"), split)) for split in SPLITS}
    assert lengths == {"train": 18, "validation": 2, "test": 10}
    test = load(str(tmp_path / "set"), "test").take(torch.arange(10))
    assert torch.equal(test, torch.from_numpy(array[20:]).permute(0, 3, 1, 2))
    cut(tmp_path / "set" / "val", array[:4])
    assert len(load(str(tmp_path / "set"), "validation")) == 4
    assert len(load(str(tmp_path / "set"), "train")) == 20


def test_shards_are_not_read_before_they_are_asked_for(tmp_path: Path) -> None:
    """A sparse file of 64 GiB, of which a few images are read."""
    folder = cut(tmp_path / "large", numbers(4, side=256))
    count = (64 << 30) // (256 * 256 * 3)
    with (folder / "001.npy").open("wb") as file:
        shape = (count, 256, 256, 3)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * 256 * 256 * 3)
    images = load(str(folder / "001.npy"), "test")
    assert len(images) == count // 10
    assert int(images.take(torch.tensor([0, len(images) - 1])).sum()) == 0


def spoil(folder: Path, kind: str) -> None:
    """Add a second shard that does not fit."""
    path = folder / "999.npy"
    match kind:
        case "objects":
            np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        case "float":
            np.save(path, numbers(4).astype(np.float32))
        case "shape":
            np.save(path, numbers(4, side=5))
        case "cut short":
            np.save(path, numbers(4))
            path.write_bytes(path.read_bytes()[:-1])
        case "overflow":
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**62, 4, 4, 3)}
            with path.open("wb") as file:
                np.lib.format.write_array_header_1_0(file, header)
        case "picture":
            (folder / "one.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("objects", "999.npy: holds object and not uint8"),
        ("float", "999.npy: holds float32 and not uint8"),
        ("shape", "999.npy of (3, 5, 5); make their shapes equal"),
        ("cut short", "999.npy: declares 320 bytes and has 319"),
        ("overflow", f"999.npy: declares {2**62 * 48 + 128:,} bytes and has 128"),
        ("picture", "holds .npy files and pictures, such as"),
    ],
)
def test_a_shard_that_does_not_fit_is_refused_by_its_name(
    tmp_path: Path, kind: str, message: str
) -> None:
    folder = cut(tmp_path / "shards", numbers(20))
    spoil(folder, kind)
    with pytest.raises(ValueError, match=r"999|one\.png") as error:
        load(str(folder), "train")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
