from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import random_pixels, write_idx

from mrvae.data import SPLITS, load
from mrvae.data.sources.mnist import read_idx


@pytest.mark.parametrize("name", ["images-idx3-ubyte", "images-idx3-ubyte.gz"])
def test_an_idx_file_is_read_back(name: str, tmp_path: Path) -> None:
    images = random_pixels(4, 5, 6)
    write_idx(tmp_path / name, images)
    assert np.array_equal(read_idx(tmp_path / name, images.shape), images)


def test_a_shortened_file_is_refused(tmp_path: Path) -> None:
    for length in [0, 3, 15, 16, 17, 135]:
        for suffix in ["", ".gz"]:
            path = tmp_path / f"images{suffix}"
            data = write_idx(path, random_pixels(4, 5, 6))
            shortened = data[:length]
            path.write_bytes(gzip.compress(shortened) if suffix else shortened)
            with pytest.raises(ValueError, match=f"^{path}: .*get the file again$"):
                read_idx(path, (4, 5, 6))


def test_a_shortened_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    write_idx(path, random_pixels(4, 5, 6))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"^{path}: cannot be read .*get the file again$"):
        read_idx(path, (4, 5, 6))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_with_more_than_it_declares_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"images{suffix}"
    data = write_idx(path, random_pixels(4, 5, 6)) + b"!"
    path.write_bytes(gzip.compress(data) if suffix else data)
    with pytest.raises(ValueError, match=r"declares \(4, 5, 6\) = 120 bytes and holds more"):
        read_idx(path, (4, 5, 6))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_declared_size_is_not_allocated_on_its_word(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"images{suffix}"
    data = b"\x00\x00\x08\x03" + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1)
    path.write_bytes(gzip.compress(data) if suffix else data)
    with pytest.raises(ValueError, match=r"shape \(4294967295, .*MNIST's are"):
        read_idx(path, (4, 5, 6))


def test_labels_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(b"\x00\x00\x08\x01" + struct.pack(">I", 12) + bytes(12))
    with pytest.raises(ValueError, match="begins with 00000801, not 00000803"):
        read_idx(path, (4, 5, 6))


def test_another_set_under_mnists_name_is_refused(tmp_path: Path) -> None:
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", random_pixels(4, 28, 28))
    with pytest.raises(ValueError, match=r"\(4, 28, 28\), and MNIST's are \(10000, 28, 28\)"):
        load("mnist", "test", tmp_path)


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
def test_mnist_is_found_in_the_usual_folders(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((10_000, 28, 28), np.uint8)
    pixels[:, 0, 0] = np.arange(10_000) % 251
    write_idx(tmp_path / folder / "t10k-images-idx3-ubyte", pixels)
    images = load("mnist", "test", tmp_path)
    assert torch.equal(images.take(torch.tensor([7, 300]))[:, 0, 0, 0], torch.tensor([7, 49]))


def test_training_and_validation_images_of_mnist_are_the_60000(tmp_path: Path) -> None:
    pixels = np.zeros((60_000, 28, 28), np.uint8)
    pixels[:, 0, :2] = np.arange(60_000, dtype=">u2").view(np.uint8).reshape(-1, 2)
    write_idx(tmp_path / "train-images-idx3-ubyte", pixels)
    numbers = []
    for split, count in zip(SPLITS[:2], (55_000, 5_000), strict=True):
        images = load("mnist", split, tmp_path)
        marks = images.tensor()[:, 0, 0, :2].long()
        numbers.append(marks[:, 0] * 256 + marks[:, 1])
        assert len(images) == count
    assert torch.equal(torch.cat(numbers).sort().values, torch.arange(60_000))
