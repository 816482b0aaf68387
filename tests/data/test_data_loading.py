from __future__ import annotations

from pathlib import Path

import numpy as np
import pooch
import pytest
import torch
from data_made_up import random_pixels, write_idx
from PIL import Image

from mrvae.data import NAMES, Conversion, Crop, load


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnits", "'mnits' is no known source.*did you mean mnist"),
        ("cifar-10", "did you mean cifar10"),
        ("xyz", "known are digits, mnist, omniglot, cifar10, a folder"),
        ("", "'' is no known source"),
        ("set.npz", "there is no set.npz or"),
        ("x" * 5000, "is no known source"),
    ],
)
def test_an_unknown_source_is_refused_with_what_is_known(
    source: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        load(source, "train", tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"set.zip is not read; give a folder of images, a .npy"):
        load("set.zip", "train", tmp_path)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'valid' is no split; choose from train, validation"):
        load("digits", "valid")


def test_an_empty_folder_says_what_to_put_there(tmp_path: Path) -> None:
    for source in [name for name in NAMES if name != "digits"]:
        for split in ("train", "validation", "test"):
            with pytest.raises(ValueError, match=r"holds no .*put the file there \(from https://"):
                load(source, split, tmp_path)


def test_the_folders_own_sets_are_not_used_in_place_of_published_ones(tmp_path: Path) -> None:
    np.savez(tmp_path / "cifar10_8k.npz", x_test=random_pixels(9, 32, 32, 3))
    with pytest.raises(ValueError, match=r"can be given by data\.source=FILE\.npz"):
        load("cifar10", "test", tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=f"the data folder is {tmp_path}/none, which is no folder"):
        load("mnist", "test", tmp_path / "none")
    monkeypatch.setenv("MRVAE_DATA", str(tmp_path / "gone"))
    with pytest.raises(ValueError, match=f"MRVAE_DATA is {tmp_path}/gone, which is no folder"):
        load("mnist", "test")


def test_the_environment_names_the_folder_unless_one_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, count in (("given", 4), ("environment", 6)):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "set.npz", x_test=random_pixels(count, 4, 4))
    monkeypatch.setenv("MRVAE_DATA", str(tmp_path / "environment"))
    assert len(load("set.npz", "test")) == 6
    assert len(load("set.npz", "test", tmp_path / "given")) == 4
    monkeypatch.chdir(tmp_path / "given")
    assert len(load("set.npz", "test")) == 4


def test_a_named_set_is_resized_as_it_is_taken() -> None:
    small, large = (
        load("digits", "test", conversion=Conversion(framing=Crop(8, 8))),
        load("digits", "test", conversion=Conversion(framing=Crop(32, 32))),
    )
    assert large.shape == (1, 32, 32)
    indices = torch.tensor([5, 0])
    pictures = [Image.fromarray(x[0].numpy()) for x in small.take(indices)]
    resized = [picture.resize((32, 32), Image.Resampling.BICUBIC) for picture in pictures]
    expected = np.stack([np.asarray(picture) for picture in resized])[:, None].clip(max=16)
    assert np.array_equal(large.take(indices).numpy(), expected)
    assert not isinstance(large.pixels, torch.Tensor)


@pytest.mark.parametrize("source", [name for name in NAMES if name != "digits"])
def test_without_a_network_the_place_for_the_file_is_named(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    with pytest.raises(ValueError, match=f"could not be downloaded to {tmp_path}/.*no route to"):
        load(source, "test")


def test_with_a_folder_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        pytest.fail("a file was fetched")

    monkeypatch.setattr(pooch, "retrieve", fail)
    with pytest.raises(ValueError, match="holds no"):
        load("mnist", "test", tmp_path)


def test_a_download_is_checked_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file in the cache has another checksum than the published one: it is fetched anew."""
    asked = []

    def retrieve(url: str, known_hash: str, fname: str, path: Path) -> str:
        asked.append((url, known_hash, fname))
        write_idx(path / fname, np.zeros((10_000, 28, 28), np.uint8))
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setattr(pooch, "os_cache", lambda _: tmp_path)
    assert len(load("mnist", "test")) == 10_000
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz"
    assert asked == [(url, "md5:9fb629c4189551a2d022fa330f9573f3", url.rsplit("/", 1)[1])]
