"""A folder means what it looks like: no test image is trained on, and nothing is lost unnoticed."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from data_made_up import random_pixels, write_pictures

from mrvae.data import SPLITS, gallery, load


def write_shards(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        np.save(folder / f"{number}.npy", random_pixels(1, 4, 4, seed=number))


WRITERS = (write_pictures, write_shards)


def lengths(folder: Path) -> list[int]:
    return [len(load(str(folder), split)) for split in SPLITS]


def refusal(folder: Path) -> str:
    """What is said of a folder that is refused for training."""
    with pytest.raises(ValueError, match=r"^/") as caught:
        load(str(folder), "train")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_hidden_files_and_folders_are_no_data(tmp_path: Path) -> None:
    for write in WRITERS:
        folder = tmp_path / write.__name__
        write(folder / "train", 20)
        write(folder / "test", 4)
        for hidden in (".ipynb_checkpoints", "__MACOSX"):
            shutil.copytree(folder / "test", folder / "train" / hidden)
            shutil.copytree(folder / "test", folder / hidden)
        for path in list((folder / "test").iterdir()):
            shutil.copy(path, folder / "train" / f"._{path.name}")
        (folder / "train" / ".DS_Store").write_bytes(b"x")
        assert lengths(folder) == [18, 2, 4]


def test_names_of_splits_are_known_in_any_case(tmp_path: Path) -> None:
    for write in WRITERS:
        for train in ("Train", "TRAINING", "train"):
            for validation in ("Val", "Valid", "VALIDATION"):
                for test in ("Test", "testing"):
                    folder = tmp_path / write.__name__ / train / validation / test
                    write(folder / train, 5)
                    write(folder / validation, 2)
                    write(folder / test, 3)
                    assert lengths(folder) == [5, 2, 3]


@pytest.mark.parametrize(
    "name",
    ["tests", "Test2", "test_images", "testset", "train-old", "trainset", "trian", "tset", "eval"],
)
def test_what_resembles_a_split_is_refused(name: str, tmp_path: Path) -> None:
    for write in WRITERS:
        folder = tmp_path / write.__name__
        write(folder / "train", 5)
        write(folder / name, 5)
        assert f"{folder / name}: resembles the name of a split" in refusal(folder)


def test_classes_are_no_splits(tmp_path: Path) -> None:
    for name in ("testudo", "valley", "trainer", "rest"):
        write_pictures(tmp_path / name, 5)
    assert sum(lengths(tmp_path)) == 20


def test_a_split_in_another_place_is_refused(tmp_path: Path) -> None:
    for write in WRITERS:
        made = tmp_path / write.__name__
        write(made / "a" / "set" / "train", 5)
        write(made / "a" / "set" / "test", 5)
        assert "is named after a split, and is not directly in" in refusal(made / "a")
        write(made / "b" / "train" / "cats", 5)
        write(made / "b" / "train" / "Test", 5)
        assert "Test: is test and lies in train" in refusal(made / "b")
        write(made / "c" / "train", 5)
        write(made / "c" / "Training", 5)
        assert "is train, and so is" in refusal(made / "c")


def test_files_named_after_splits_are_not_mixed(tmp_path: Path) -> None:
    for write in WRITERS:
        folder = tmp_path / write.__name__
        write(folder, 20)
        suffix = next(folder.iterdir()).suffix
        for path, name in zip(sorted(folder.iterdir()), ("train_1", "test_1"), strict=False):
            path.rename(folder / f"{name}{suffix}")
        assert "test_1" in refusal(folder)


def test_links_are_followed_but_not_to_the_same_file(tmp_path: Path) -> None:
    for write in WRITERS:
        store, folder = tmp_path / "store" / write.__name__, tmp_path / write.__name__
        write(store / "a", 12)
        write(store / "b", 8)
        folder.mkdir()
        (folder / "one").symlink_to(store / "a")
        (folder / "two").symlink_to(store / "b")
        assert lengths(folder) == [16, 2, 2]
        (folder / "three").symlink_to(store / "b")
        assert "is the same file as" in refusal(folder)
        (folder / "three").unlink()
        (folder / "one" / "up").symlink_to(folder)
        assert "is a link to a folder that holds it" in refusal(folder)


def test_no_test_image_is_trained_on_through_a_link(tmp_path: Path) -> None:
    for write in WRITERS:
        folder = tmp_path / write.__name__
        write(folder / "train", 20)
        write(folder / "test", 5)
        own = next((folder / "test").iterdir())
        for make in (os.symlink, os.link):
            extra = folder / "train" / f"extra{own.suffix}"
            make(own, extra)
            assert "is the same file as" in refusal(folder)
            extra.unlink()


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path, 20)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    assert "gone.png: there is no such file" in refusal(tmp_path)


def test_many_files_need_few_descriptors(tmp_path: Path) -> None:
    """As many pictures and shards as 12 times the descriptors that are left to the process."""
    own = Path("/proc/self/fd")
    most = 6 + len(list(own.iterdir())) if own.is_dir() else 64
    for write in WRITERS:
        write(tmp_path / write.__name__, 72)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        for write in WRITERS:
            sets = [load(str(tmp_path / write.__name__), split) for split in SPLITS]
            assert sum(len(images.tensor()) for images in sets) == 72
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_is_left_out_is_counted_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_pictures(tmp_path / "train", 20)
    write_pictures(tmp_path / "test", 4)
    write_pictures(tmp_path / "more", 2)
    for number in range(30):
        (tmp_path / "train" / f"{number}.GIF").write_bytes(b"GIF89a")
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "test" / "._0.png").write_bytes(b"x")
    assert lengths(tmp_path) == [18, 2, 4]
    counts = "33 entries are left out (30 .gif, 1 folder, 1 hidden, 1 without ending)"
    assert caplog.messages == [f"mrvae: {tmp_path}: {counts}"]
    caplog.clear()
    write_pictures(tmp_path / "kodak" / "deeper", 1)
    write_pictures(tmp_path / "kodak", 3)
    assert len(gallery("kodak", tmp_path)) == 3
    assert caplog.messages == [f"mrvae: {tmp_path / 'kodak'}: 1 entry is left out (1 folder)"]
