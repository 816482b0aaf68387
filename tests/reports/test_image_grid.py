from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrvae.reports.image_grid import GAP, LINE, ImageGrid, arrange, grey, most_images, write_png

GRIDS = [(1, None), (5, 3), (6, 3), (7, 1), (10, None), (3, 3)]


def _images(count: int, channels: int, bins: int, size: tuple[int, int]) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, bins, (count, channels, *size), dtype=np.uint8)


@pytest.mark.parametrize(("count", "columns"), GRIDS)
@pytest.mark.parametrize(("channels", "enlarge"), [(1, 3), (3, 1)])
def test_every_image_can_be_read_back_from_the_file(
    tmp_path: Path, count: int, columns: int | None, channels: int, enlarge: int
) -> None:
    images = _images(count, channels, 256, (5, 4))
    write_png(tmp_path / "grid.png", arrange(images, 256, columns, enlarge))
    picture = np.asarray(Image.open(tmp_path / "grid.png"))
    grid = ImageGrid(count, columns or int(np.ceil(np.sqrt(count))), 5, 4, enlarge)
    assert picture.shape == (*grid.shape, 3)
    for index, image in enumerate(images):
        top, left = grid.corner(index)
        block = picture[top : top + 5 * enlarge, left : left + 4 * enlarge]
        for down in range(enlarge):
            for right in range(enlarge):
                seen = block[down::enlarge, right::enlarge].transpose(2, 0, 1)
                assert np.array_equal(seen, np.broadcast_to(image, (3, 5, 4)))
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


@pytest.mark.parametrize(("count", "columns"), GRIDS)
def test_what_is_no_image_is_a_line(count: int, columns: int | None) -> None:
    picture = arrange(np.zeros((count, 1, 4, 4), dtype=np.uint8), 2, columns, enlarge=2)
    assert (picture == LINE).sum() + (picture == 0).sum() == picture.size
    assert (picture == 0).sum() == count * 8 * 8 * 3
    for edge in (picture[:GAP], picture[-GAP:], picture[:, :GAP], picture[:, -GAP:]):
        assert (edge == LINE).all()


@pytest.mark.parametrize("bins", [2, 5, 17, 32, 256])
def test_bins_span_black_to_white_evenly(bins: int) -> None:
    shown = grey(np.arange(bins), bins)
    assert np.array_equal(shown, np.floor(np.linspace(0, 255, bins) + 0.5))


def test_means_are_shown_between_the_bins() -> None:
    assert grey(np.array([0.0, 0.25, 0.5, 1.0]), 2).tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("value", [17, -1, float("nan")])
def test_a_pixel_outside_the_bins_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"with 17 bins they must be in 0…16"):
        grey(np.array([0.0, value]), 17)


def test_small_images_are_enlarged_and_large_ones_are_not() -> None:
    assert arrange(np.zeros((1, 1, 8, 8)), 2).shape == (64 + 2 * GAP, 64 + 2 * GAP, 3)
    assert arrange(np.zeros((1, 1, 100, 100)), 2).shape == (100 + 2 * GAP, 100 + 2 * GAP, 3)


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (4, 4), (1, 2, 4, 4), (1, 1, 0, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="images have shape"):
        arrange(np.zeros(shape), 2)


@pytest.mark.parametrize(("columns", "enlarge"), [(-1, 1), (1, -1)])
def test_a_grid_is_positive(columns: int, enlarge: int) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        arrange(np.zeros((1, 1, 4, 4)), 2, columns, enlarge)


@pytest.mark.parametrize("side", [1, 8, 28, 64, 300])
def test_the_most_images_fit_into_a_picture_of_bounded_size(side: int) -> None:
    most, enlarge = most_images(side, side), max(1, 64 // side)
    columns = int(np.ceil(np.sqrt(most)))
    height, width = ImageGrid(most, columns, side, side, enlarge).shape
    assert 0.9 * 2**27 < height * width <= 2**27
