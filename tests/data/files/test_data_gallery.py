"""Pictures of differing sizes: their order, their names, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_made_up import random_pixels
from PIL import Image

from mrvae.data import gallery


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kodak").mkdir()
    for number, size in enumerate([(3, 5), (5, 3), (2, 2)]):
        pixels = random_pixels(*size, 3, seed=number)
        Image.fromarray(pixels).save(tmp_path / "kodak" / f"k{3 - number}.png")
    (tmp_path / "kodak" / "README.md").write_text("no picture")
    return tmp_path


def test_pictures_come_in_the_order_of_their_names(folder: Path) -> None:
    found = gallery("kodak", folder)
    assert [picture.name for picture in found] == ["k1", "k2", "k3"]
    for number, picture in enumerate(reversed(found)):
        size = [(3, 5), (5, 3), (2, 2)][number]
        expected = random_pixels(*size, 3, seed=number)
        np.testing.assert_array_equal(picture.pixels.permute(1, 2, 0).numpy(), expected)
    assert [picture.name for picture in gallery("kodak", folder, limit=2)] == ["k1", "k2"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no folder kodak or .*kodak; put the pictures"):
        gallery("kodak", tmp_path)
    (tmp_path / "kodak").mkdir()
    with pytest.raises(ValueError, match="holds no pictures"):
        gallery("kodak", tmp_path)


def test_a_hostile_picture_is_refused(folder: Path) -> None:
    path = folder / "kodak" / "k2.png"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"k2\.png: cannot be read"):
        gallery("kodak", folder)
    Image.fromarray(random_pixels(4, 4)).save(path)
    with pytest.raises(ValueError, match=r"2 RGB .k1\.png., 1 grey .k2\.png.; set data\.mode=rgb"):
        gallery("kodak", folder)
