"""Photographs cut into images: no picture in two splits, and every square where it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mrvae.data import Images, gallery
from mrvae.data.files.patches import load_patches, of_split
from mrvae.data.splits import SPLITS
from mrvae.recipes.cut import Patches

SIZES = [(9, 14), (14, 9), (8, 8), (11, 12), (9, 9), (8, 15), (10, 10)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cut") / "photographs"
    root.mkdir()
    generator = np.random.default_rng(0)
    for i, (height, width) in enumerate(SIZES):
        pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"photo{i}.png")
    return root


def every(images: Images) -> torch.Tensor:
    return images.tensor()


@pytest.mark.parametrize("folds", [2, 3])
def test_a_picture_is_in_one_split_and_tested_in_one_fold(folder: Path, folds: int) -> None:
    pictures = gallery(str(folder))
    tested = []
    for fold in range(folds):
        cut = Patches(4, folds, fold)
        names = [each.name for split in SPLITS for each in of_split(pictures, split, cut)]
        assert sorted(names) == [each.name for each in pictures]
        tested += [each.name for each in of_split(pictures, "test", cut)]
    assert sorted(tested) == [each.name for each in pictures]


@pytest.mark.parametrize("split", SPLITS)
def test_images_are_those_of_their_pictures(folder: Path, split: str) -> None:
    cut = Patches(stride=3, folds=2, fold=1)
    for height, width in ((8, 8), (5, 9)):
        down, across = (3, 3) if split == "train" else (height, width)
        wanted = [
            picture.pixels[:, row : row + height, column : column + width]
            for picture in of_split(gallery(str(folder)), split, cut)
            for row in range(0, picture.pixels.shape[1] - height + 1, down)
            for column in range(0, picture.pixels.shape[2] - width + 1, across)
        ]
        found = load_patches(str(folder), split, None, cut, (3, height, width))
        assert torch.equal(every(found), torch.stack(wanted))
        backwards = torch.arange(len(found)).flip(0)
        assert torch.equal(found.take(backwards), torch.stack(wanted[::-1]))


def test_too_few_or_too_small_pictures_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="2 pictures are too few for 2 folds"):
        of_split(gallery(str(folder), limit=2), "train", Patches(4))
    with pytest.raises(ValueError, match="no picture for 'test' has 16×16 pixels"):
        load_patches(str(folder), "test", None, Patches(4), (3, 16, 16))
