from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_made_up import random_pixels
from numpy.typing import NDArray
from torch import Tensor

from mrvae.data import SPLITS, Conversion, Crop, Images, load
from mrvae.data.files.arrays import layout


def everything(images: Images) -> Tensor:
    return images.tensor()


def save(path: Path, array: NDArray[np.generic]) -> None:
    """One array as a .npy file, or as the x_test of an .npz file."""
    if path.suffix == ".npy":
        np.save(path, array)
    else:
        np.savez(path, x_train=random_pixels(20, 4, 4), x_test=array)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 5, 6), (1, 5, 6)),
        ((20, 5, 6, 3), (3, 5, 6)),
        ((20, 5, 6, 1), (1, 5, 6)),
        ((20, 3, 5, 6), (3, 5, 6)),
        ((20, 1, 5, 6), (1, 5, 6)),
    ],
)
def test_every_layout_becomes_channels_first(
    shape: tuple[int, ...], expected: tuple[int, int, int], tmp_path: Path
) -> None:
    for name in ["set.npy", "set.npz"]:
        for order in ["C", "F"]:
            array = random_pixels(*shape)
            save(tmp_path / name, np.asarray(array, order="F" if order == "F" else "C"))
            images = load(str(tmp_path / name), "test")
            assert images.shape == expected
            grey = array.reshape(20, 1, 5, 6) if expected[0] == 1 else array
            first = grey if grey.shape[1:] == expected else grey.transpose(0, 3, 1, 2)
            ours = {tuple(x.flatten().tolist()) for x in everything(images)}
            theirs = {tuple(x.flatten().tolist()) for x in torch.from_numpy(first.copy())}
            assert ours <= theirs
            assert len(ours) == len(images)


def test_an_npy_file_is_split_and_stays_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", np.arange(100, dtype=np.uint8).reshape(100, 1, 1))
    splits = [load("set.npy", split, tmp_path) for split in SPLITS]
    assert [len(images) for images in splits] == [80, 10, 10]
    values = torch.cat([everything(images) for images in splits]).flatten()
    assert values.sort().values.tolist() == list(range(100))
    assert not any(isinstance(images.pixels, Tensor) for images in splits)


@pytest.mark.parametrize("own", [None, "x_validation", "x_val"])
def test_an_npz_file_is_split(own: str | None, tmp_path: Path) -> None:
    for compressed in [False, True]:
        train = np.arange(200, dtype=np.uint8).reshape(200, 1, 1)
        arrays: dict[str, Any] = {"x_train": train, "x_test": train[:7]}
        if own is not None:
            arrays[own] = train[:9]
        (np.savez_compressed if compressed else np.savez)(tmp_path / "set.npz", **arrays)
        splits = [load("set.npz", split, tmp_path) for split in SPLITS]
        assert [len(images) for images in splits] == ([180, 20, 7] if own is None else [200, 9, 7])
        if own is None:
            values = torch.cat([everything(images) for images in splits[:2]]).flatten()
            assert values.sort().values.tolist() == list(range(200))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 4, 4)), "holds float64 and not uint8"),
        (np.full((20, 4, 4), np.nan, np.float32), "holds float32 and not uint8"),
        (np.zeros((20, 4, 4), np.int64), "holds int64 and not uint8"),
        (np.array([None] * 20, dtype=object), "holds object and not uint8"),
        (np.zeros((20, 4), np.uint8), r"shape is \(20, 4\)"),
        (np.zeros((), np.uint8), r"shape is \(\)"),
        (np.zeros((20, 4, 4, 2), np.uint8), r"shape is \(20, 4, 4, 2\)"),
        (np.zeros((20, 4, 4, 4), np.uint8), "1 or 3 channels"),
        (np.zeros((20, 3, 4, 3), np.uint8), r"may be \(N, C, H, W\) or \(N, H, W, C\)"),
        (np.zeros((0, 4, 4), np.uint8), "at least one image"),
    ],
)
def test_what_are_no_images_is_refused(
    array: NDArray[np.generic], message: str, tmp_path: Path
) -> None:
    for name in ["set.npy", "set.npz"]:
        save(tmp_path / name, array)
        with pytest.raises(ValueError, match=message) as caught:
            load(name, "test", tmp_path)
        assert str(caught.value).startswith(str(tmp_path / name))
        assert "\n" not in str(caught.value)


def test_objects_are_refused_unread(tmp_path: Path) -> None:
    """An array of objects is a pickle; it must not run."""

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    save(tmp_path / "set.npz", np.array([Trap()] * 20, dtype=object))
    with pytest.raises(ValueError, match="holds object and not uint8"):
        load("set.npz", "test", tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_an_npy_file_of_another_length_is_refused(tmp_path: Path) -> None:
    for change in [-1, -100, -340, 1]:
        path = tmp_path / "set.npy"
        np.save(path, random_pixels(20, 4, 4))
        data = path.read_bytes()
        path.write_bytes(data[:change] if change < 0 else data + b"!")
        with pytest.raises(ValueError, match=f"^{path}: .*(declares 448 bytes|is no .npy array)"):
            load("set.npy", "test", tmp_path)


def test_an_npy_header_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "set.npy"
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 10**6, 10**6)}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(ValueError, match=r"declares 1,000,000,000,000,000,000,000,\d+ bytes"):
        load("set.npy", "test", tmp_path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """The archive declares 2⁴⁰ bytes, and so does the array in it; a kilobyte cannot hold them."""
    path = tmp_path / "set.npz"
    stream = io.BytesIO()
    shape = (2**20, 2**10, 2**10)
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_test.npy", stream.getvalue())
        archive.infolist()[0].file_size = len(stream.getvalue()) + 2**40
    with pytest.raises(ValueError, match="cannot hold them in"):
        load("set.npz", "test", tmp_path)


def test_an_array_in_an_npz_file_must_be_as_long_as_it_declares(tmp_path: Path) -> None:
    for change in [-1, 1, 1000]:
        stream = io.BytesIO()
        np.save(stream, random_pixels(20, 4, 4))
        data = stream.getvalue()
        with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
            archive.writestr("x_test.npy", data[:change] if change < 0 else data + bytes(change))
        with pytest.raises(
            ValueError, match=f"x_test: declares 448 bytes and has {448 + change:,}"
        ):
            load("set.npz", "test", tmp_path)


def test_a_shortened_npz_file_is_refused(tmp_path: Path) -> None:
    for compressed in [False, True]:
        for keep in [0.0, 0.3, 0.7, 0.99]:
            path = tmp_path / "set.npz"
            write = np.savez_compressed if compressed else np.savez
            write(path, x_train=random_pixels(20, 4, 4), x_test=random_pixels(20, 4, 4))
            data = path.read_bytes()
            path.write_bytes(data[: int(keep * len(data))])
            with pytest.raises(ValueError, match=f"^{path}: cannot be read .*get the file again$"):
                load("set.npz", "test", tmp_path)


def test_an_npz_file_without_the_split_names_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x_train=random_pixels(20, 4, 4), labels=np.zeros(3))
    with pytest.raises(ValueError, match="holds no array 'x_test' but labels, x_train; add"):
        load("set.npz", "test", tmp_path)


def test_an_array_is_fitted_when_asked(tmp_path: Path) -> None:
    for name in ("set.npy", "set.npz"):
        save(tmp_path / name, random_pixels(20, 3, 6, 8))
        assert load(name, "test", tmp_path, Conversion(framing=Crop(4, 4))).shape == (3, 4, 4)
        assert load(name, "test", tmp_path).shape == (3, 6, 8)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_image_of_three_pixels_is_ambiguous(channels: int) -> None:
    with pytest.raises(ValueError, match="may be"):
        layout((9, channels, 5, 3), "set")


def test_an_npz_of_a_single_array_is_split_as_a_npy_is(tmp_path: Path) -> None:
    pixels = np.arange(40 * 28 * 20, dtype=np.uint8).reshape(40, 28, 20)
    np.save(tmp_path / "faces.npy", pixels)
    np.savez(tmp_path / "faces.npz", ff=pixels)
    for split in ("train", "validation", "test"):
        alone, archived = (load(str(tmp_path / f"faces.{end}"), split) for end in ("npy", "npz"))
        assert torch.equal(alone.tensor(), archived.tensor())
    np.savez(tmp_path / "two.npz", a=pixels, b=pixels)
    with pytest.raises(ValueError, match="holds no array 'x_train'"):
        load(str(tmp_path / "two.npz"), "train")
