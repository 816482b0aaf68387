"""The published images themselves, where MRVAE_DATA names a folder that holds them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from mrvae.data import SPLITS, Conversion, Crop, load

FOLDER = os.environ.get("MRVAE_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="MRVAE_DATA does not name a data folder")


def mean_of(source: str, splits: tuple[str, ...]) -> float:
    x = torch.cat([torch.as_tensor(load(source, split, FOLDER).pixels) for split in splits])
    return float(x.double().mean()) / 255


def have(name: str) -> None:
    if not (Path(FOLDER or "") / name).exists():
        pytest.skip(f"MRVAE_DATA holds no {name}")


def test_mnist_is_the_published_one() -> None:
    """The mean of the 60,000 training images is quoted everywhere as 0.1307."""
    have("mnist")
    assert [len(load("mnist", split, FOLDER)) for split in SPLITS] == [55_000, 5_000, 10_000]
    assert mean_of("mnist", ("train", "validation")) == pytest.approx(0.1307, abs=5e-5)
    assert mean_of("mnist", ("test",)) == pytest.approx(0.1325, abs=5e-5)


def test_the_part_of_cifar_is_what_it_says() -> None:
    """The means of all of CIFAR-10 are 0.4914, 0.4822 and 0.4465."""
    have("cifar10_8k.npz")
    splits = [load("cifar10_8k.npz", split, FOLDER) for split in SPLITS]
    assert [len(images) for images in splits] == [7200, 800, 2000]
    x = torch.cat([torch.as_tensor(images.pixels) for images in splits]).double() / 255
    means = torch.tensor([0.4914, 0.4822, 0.4465], dtype=torch.float64)
    assert torch.allclose(x.mean((0, 2, 3)), means, atol=5e-3)


def test_the_drawings_are_bright_ink_on_black() -> None:
    have("omniglot28.npz")
    splits = [load("omniglot28.npz", split, FOLDER) for split in SPLITS]
    assert sum(len(images) for images in splits) == 32_460
    assert splits[2].shape == (1, 28, 28)
    x = torch.as_tensor(splits[2].pixels)
    assert float(x.double().mean()) / 255 < 0.2
    assert float((x == 0).double().mean()) > 0.5


def test_a_binarised_test_set_keeps_the_mean_of_mnist() -> None:
    have("mnist")
    images = load("mnist", "test", FOLDER).subset(torch.arange(1000))
    grey = float(torch.as_tensor(images.pixels).double().mean()) / 255
    binary = float(torch.as_tensor(images.binarised(0).pixels).double().mean())
    assert binary == pytest.approx(grey, abs=2e-3)


def test_photographs_of_two_orientations_are_fitted() -> None:
    have("kodak")
    with pytest.raises(ValueError, match=r"18 of 768×512 .*, 6 of 512×768 .kodim04.png.; set"):
        load("kodak", "test", FOLDER)
    assert load("kodak", "test", FOLDER, Conversion(framing=Crop(32, 32))).shape == (3, 32, 32)
