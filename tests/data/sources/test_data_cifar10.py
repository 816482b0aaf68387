from __future__ import annotations

import tarfile
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import cifar_batch, random_pixels

from mrvae.data import load
from mrvae.data.sources import cifar10

COUNT = 40


@pytest.fixture
def batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An unpacked CIFAR-10 of small batches, whose pixels hold their image's number."""
    monkeypatch.setattr(cifar10, "BATCH", COUNT)
    monkeypatch.setattr(cifar10, "VALIDATION", 20)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        images = np.arange(number * COUNT, (number + 1) * COUNT, dtype=np.uint8)
        (folder / name).write_bytes(cifar_batch(images.repeat(3072).reshape(COUNT, 3072)))
    return folder


def numbers(data_dir: Path, split: str) -> list[int]:
    images = load("cifar10", split, data_dir)
    assert images.shape == (3, 32, 32)
    return images.tensor()[:, 1, 30, 2].tolist()


def test_the_pixels_of_a_batch_are_read_in_their_order() -> None:
    pixels = random_pixels(5, 3072)
    read = cifar10.pixels_of(cifar_batch(pixels), "batch", 5)
    assert torch.equal(read, torch.from_numpy(pixels).view(5, 3, 32, 32))


def test_the_batches_are_split(batches: Path) -> None:
    train, validation = (numbers(batches.parent, split) for split in ("train", "validation"))
    assert sorted(train + validation) == list(range(200))
    assert len(validation) == 20
    assert numbers(batches.parent, "test") == list(range(200, 240))
    assert numbers(batches, "test") == list(range(200, 240))


def test_the_published_archive_is_read_unpacked_or_not(
    batches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "elsewhere" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        archive.add(batches, "cifar-10-batches-py")
    with pytest.raises(ValueError, match="is not the published archive"):
        load("cifar10", "test", path.parent)
    checksum = f"md5:{md5(path.read_bytes(), usedforsecurity=False).hexdigest()}"
    monkeypatch.setattr(cifar10, "_REMOTE", replace(cifar10._REMOTE, checksum=checksum))
    for split in ("train", "test"):
        assert numbers(path.parent, split) == numbers(batches, split)


@pytest.mark.parametrize(
    "call",
    [b"cos\nsystem\n(U\x09touch ./xtR0", b"(U\x09touch ./xios\nsystem\n0", b"\x82\x010"],
)
def test_a_batch_that_would_call_something_is_refused_unrun(
    call: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    batch = cifar_batch(random_pixels(5, 3072))
    with pytest.raises(ValueError, match=r"^batch: is no batch of CIFAR-10 \(it would call"):
        cifar10.pixels_of(batch[:2] + call + batch[2:], "batch", 5)
    assert not list(tmp_path.iterdir())


def test_a_shortened_batch_is_refused() -> None:
    for length in [0, 1, 50, 9000, -1]:
        with pytest.raises(ValueError, match=r"^batch: .*get the file again$"):
            cifar10.pixels_of(cifar_batch(random_pixels(5, 3072))[:length], "batch", 5)


def test_a_batch_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"holds 0 arrays of 18,432 bytes.*pixels of 6 images"):
        cifar10.pixels_of(cifar_batch(random_pixels(5, 3072)), "batch", 6)


def test_a_missing_batch_is_named(batches: Path) -> None:
    (batches / "data_batch_3").unlink()
    with pytest.raises(ValueError, match="holds no data_batch_3; unpack https://"):
        load("cifar10", "train", batches.parent)
