from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mrvae
from mrvae.data import Sizes, load, read_inputs
from mrvae.recipes import override

DIGITS = mrvae.recipe("digits-vdvae")
BINARY = override(DIGITS, ["data.binary=true", "likelihood=bernoulli"])


def write(path: Path, array: np.ndarray) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return str(path)


def test_all_kinds_of_sources_give_the_same_images_in_their_order(tmp_path: Path) -> None:
    digits = load("digits", "test").first(4).tensor()
    arrays = digits[:, 0].numpy()
    for index, array in enumerate(arrays):
        write(tmp_path / "folder" / "in" / f"{index}.png", array)
    np.save(tmp_path / "all.npy", arrays)
    np.savez(tmp_path / "sets.npz", x_train=arrays, x_test=arrays)
    (tmp_path / "shards").mkdir()
    for part in (0, 1):
        np.save(tmp_path / "shards" / f"{part}.npy", arrays[2 * part : 2 * part + 2])
    pictures = [str(tmp_path / "folder" / "in" / f"{index}.png") for index in range(4)]
    for sources, names in {
        (str(tmp_path / "folder"),): [f"in/{index}.png" for index in range(4)],
        (str(tmp_path / "all.npy"),): [f"all.npy[{index}]" for index in range(4)],
        (str(tmp_path / "sets.npz"),): [f"sets.npz[{index}]" for index in range(4)],
        (str(tmp_path / "shards"),): ["0.npy[0]", "0.npy[1]", "1.npy[0]", "1.npy[1]"],
        tuple(pictures): [f"{index}.png" for index in range(4)],
    }.items():
        inputs = read_inputs(DIGITS, sources)
        assert list(inputs.names) == names
        assert torch.equal(inputs.images.tensor(), digits)
        assert inputs.images.bins == 17
        assert inputs.first(2).names == tuple(names[:2])
        assert len(inputs.first(2).images) == 2


def test_the_split_of_a_folder_is_taken_where_there_is_one(tmp_path: Path) -> None:
    zero, one = np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)
    write(tmp_path / "train" / "a.png", zero)
    write(tmp_path / "test" / "b.png", one)
    assert read_inputs(DIGITS, [str(tmp_path)], "test").names == ("test/b.png",)
    assert read_inputs(DIGITS, [str(tmp_path)], "train").images.tensor().sum() == 0


def test_a_picture_is_binarised_alike_whatever_stands_beside_it(tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    paths = [
        write(tmp_path / f"{name}.png", stream.integers(0, 256, (8, 8), np.uint8)) for name in "abc"
    ]
    single = read_inputs(BINARY, paths[2:]).images.tensor()
    several = read_inputs(BINARY, paths).images
    assert several.bins == 2
    assert 0 < single.double().mean() < 1
    assert torch.equal(several.tensor()[2:], single)
    # A picture of one bit keeps its ink.
    ink = stream.integers(0, 2, (8, 8)).astype(bool)
    bits = read_inputs(BINARY, [write(tmp_path / "bits.png", ink)]).images.tensor()
    assert np.array_equal(bits[0, 0].numpy(), ink)


def test_larger_pictures_are_fitted_or_cut_as_their_own_loaders_do(tmp_path: Path) -> None:
    large = np.arange(17 * 25, dtype=np.uint8).reshape(17, 25) % 17
    path, array = write(tmp_path / "large.png", large), tmp_path / "large.npy"
    np.save(array, large[None])
    for source, name in ((path, "large.png"), (str(array), "large.npy[0]")):
        cut = read_inputs(DIGITS, [source], sizes=Sizes.CUT)
        assert list(cut.names) == [f"{name}[{index}]" for index in range(6)]
        assert np.array_equal(cut.images.tensor()[4, 0].numpy(), large[8:16, 8:16])
    assert read_inputs(DIGITS, [path], sizes=Sizes.FIT).images.shape == (1, 8, 8)
    fitted = override(DIGITS, ["data.fit=true", "data=x"])
    assert read_inputs(fitted, [path]).images.shape == (1, 8, 8)


def test_what_a_model_cannot_take_is_refused_with_what_would_mend_it(tmp_path: Path) -> None:
    large = write(tmp_path / "large.png", np.zeros((9, 12), np.uint8))
    small = write(tmp_path / "small.png", np.zeros((7, 9), np.uint8))
    colour = write(tmp_path / "colour.png", np.zeros((8, 8, 3), np.uint8))
    bright = write(tmp_path / "bright.png", np.full((8, 8), 255, np.uint8))
    (tmp_path / "a.txt").write_text("a")
    for sources, sizes, message in [
        ([], None, "no images are named"),
        ([large], None, "by --fit, or cut it into squares by --cut"),
        ([small], None, "resize and crop it by --fit$"),
        ([small], Sizes.CUT, "resize and crop it by --fit$"),
        ([colour], None, "3 channels and the model's images 1; convert it to grey"),
        ([bright], None, "holds a pixel of 255"),
        ([str(tmp_path / "a.txt")], None, "is not read; give a folder"),
        ([str(tmp_path / "none.png")], None, "there is no"),
    ]:
        with pytest.raises(ValueError, match=message):
            read_inputs(DIGITS, sources, sizes=sizes)
