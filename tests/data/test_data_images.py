from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import random_pixels
from PIL import Image
from torch import Tensor

from mrvae.data import Crop, Images, Rows, all_batches
from mrvae.data.files.arrays import open_npy


def in_memory(pixels: np.ndarray, bins: int = 256) -> Images:
    return Images(torch.from_numpy(pixels), "made up", "test", bins)


def on_disk(pixels: np.ndarray, folder: Path, bins: int = 256) -> Images:
    """The same images in a file of an (N, H, W, C) array."""
    np.save(folder / "pixels.npy", pixels.transpose(0, 2, 3, 1))
    return Images(open_npy(folder / "pixels.npy"), "made up", "test", bins)


def everything(images: Images) -> Tensor:
    return torch.cat([x for _, x in all_batches(images, 7)])


@pytest.mark.parametrize("transform", ["none", "binarised", "bits", "subset", "fitted", "composed"])
def test_images_on_disk_equal_images_in_memory(transform: str, tmp_path: Path) -> None:
    pixels = random_pixels(20, 3, 6, 9)
    transforms = {
        "none": lambda images: images,
        "binarised": lambda images: images.binarised(4),
        "bits": lambda images: images.keep_bits(3),
        "subset": lambda images: images.subset(torch.tensor([19, 0, 7])),
        "fitted": lambda images: images.framed(Crop(4, 4)),
        "composed": lambda images: (
            images.subset(torch.arange(5, 15)).framed(Crop(5, 5)).binarised(1)
        ),
    }
    memory = transforms[transform](in_memory(pixels))
    disk = transforms[transform](on_disk(pixels, tmp_path))
    assert not isinstance(disk.pixels, Tensor)
    assert (len(disk), disk.shape, disk.bins) == (len(memory), memory.shape, memory.bins)
    assert torch.equal(everything(disk), everything(memory))


def test_a_fixed_draw_depends_on_seed_and_index_alone() -> None:
    pixels = random_pixels(600, 1, 4, 4)
    whole = everything(in_memory(pixels).binarised(3))
    changed = pixels.copy()
    changed[1:] = 0
    assert torch.equal(everything(in_memory(changed).binarised(3))[0], whole[0])
    assert torch.equal(everything(in_memory(pixels[:300]).binarised(3)), whole[:300])
    assert not torch.equal(everything(in_memory(pixels).binarised(4)), whole)


@pytest.mark.parametrize("bins", [2, 17, 256])
def test_a_pixel_is_drawn_with_the_probability_of_its_value(bins: int) -> None:
    value = torch.arange(bins, dtype=torch.uint8)
    images = Images(value.expand(4000, 1, 1, bins).contiguous(), "ramp", "test", bins)
    binary = images.binarised(0)
    mean = everything(binary).double().mean(0).flatten()
    probability = value.double() / (bins - 1)
    error = (mean - probability).abs()
    assert (error <= 5 * (probability * (1 - probability) / 4000).sqrt()).all()
    assert binary.bins == 2


def test_binarising_twice_changes_nothing() -> None:
    binary = in_memory(random_pixels(10, 1, 5, 5)).binarised(0)
    assert torch.equal(everything(binary.binarised(9)), everything(binary))


def test_bits_kept_are_the_leading_ones() -> None:
    for bits in range(1, 9):
        pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
        kept = in_memory(pixels).keep_bits(bits)
        expected = [int(f"{value:08b}"[:bits], 2) for value in range(256)]
        assert everything(kept).flatten().tolist() == expected
        assert kept.bins == 2**bits


def test_bits_of_few_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="made up has 17 bins"):
        in_memory(np.zeros((1, 1, 2, 2), np.uint8), bins=17).keep_bits(3)
    with pytest.raises(ValueError, match="bits is 9"):
        in_memory(np.zeros((1, 1, 2, 2), np.uint8)).keep_bits(9)


def test_all_batches_visit_every_image_once() -> None:
    for batch in [1, 4, 5, 9, 100]:
        pixels = random_pixels(9, 1, 2, 2)
        visited = list(all_batches(in_memory(pixels), batch))
        assert [index for indices, _ in visited for index in indices] == list(range(9))
        assert torch.equal(torch.cat([x for _, x in visited]), torch.from_numpy(pixels))


def test_the_pixels_above_the_bins_are_refused(tmp_path: Path) -> None:
    pixels = np.full((3, 1, 2, 2), 16, np.uint8)
    assert len(in_memory(pixels).with_bins(17)) == 3
    message = "made up: holds a pixel of 16, but with 16 bins the largest is 15"
    with pytest.raises(ValueError, match=message):
        in_memory(pixels).with_bins(16)
    lazy = on_disk(pixels, tmp_path).with_bins(16)
    for images in (
        lazy,
        lazy.binarised(0),
        lazy.framed(Crop(1, 1)),
        lazy.subset(torch.tensor([1])),
    ):
        with pytest.raises(ValueError, match=message):
            images.take(torch.tensor([0]))


def test_resizing_few_bins_stays_within_them() -> None:
    """Bicubic resizing overshoots at an edge: 16 would become 17."""
    edge = np.zeros((1, 1, 8, 8), np.uint8)
    edge[..., 4:] = 16
    fitted = in_memory(edge, bins=17).framed(Crop(16, 16))
    assert int(everything(fitted).max()) == 16


def test_fitting_takes_the_centre_of_the_longer_side() -> None:
    """Compared with resizing the whole image, then cropping it."""
    wide = random_pixels(1, 3, 8, 24)
    whole = Image.fromarray(wide[0].transpose(1, 2, 0)).resize((12, 4), Image.Resampling.BICUBIC)
    expected = torch.from_numpy(np.array(whole))[:, 4:8].permute(2, 0, 1)
    assert torch.equal(everything(in_memory(wide).framed(Crop(4, 4)))[0], expected)
    tall = np.ascontiguousarray(wide.swapaxes(2, 3))
    assert torch.equal(everything(in_memory(tall).framed(Crop(4, 4)))[0], expected.mT)


def test_an_index_outside_the_set_is_refused(tmp_path: Path) -> None:
    for index in [-1, 3]:
        for lazily in [False, True]:
            pixels = random_pixels(3, 1, 2, 2)
            images = on_disk(pixels, tmp_path) if lazily else in_memory(pixels)
            for ask in (images.take, images.subset):
                with pytest.raises(ValueError, match=r"not all in 0…2"):
                    ask(torch.tensor([0, index]))


@pytest.mark.parametrize(
    ("pixels", "bins", "message"),
    [
        (torch.zeros(1, 1, 2, 2), 256, "pixels are torch.float32; give them as uint8"),
        (torch.zeros(2, 2, 2, dtype=torch.uint8), 256, r"shape is \(2, 2, 2\)"),
        (torch.zeros(0, 1, 2, 2, dtype=torch.uint8), 256, r"shape is \(0, 1, 2, 2\)"),
        (torch.zeros(1, 1, 2, 2, dtype=torch.uint8), 257, "bins is 257"),
    ],
)
def test_what_are_no_images_is_refused(pixels: Tensor | Rows, bins: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Images(pixels, "made up", "test", bins)


@pytest.mark.parametrize("lazily", [False, True])
def test_the_first_images_are_those_of_the_whole_set(lazily: bool, tmp_path: Path) -> None:
    pixels = random_pixels(5, 1, 2, 2)
    images = on_disk(pixels, tmp_path) if lazily else in_memory(pixels)
    for count in (1, 3, 5, 9, None):
        part = images.first(count)
        assert torch.equal(everything(part), torch.from_numpy(pixels)[:count])
        assert (part.name, part.split, part.bins) == (images.name, images.split, images.bins)
    with pytest.raises(ValueError, match="count is 0; take at least 1 image of made up"):
        images.first(0)
