from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from data_made_up import distinct, random_pixels
from PIL import Image

from mrvae.data import SPLITS, Conversion, Crop, load


class Column:
    """Stands for the hub library's type of a column of images."""


class Table:
    """A table of numbered pictures; the sixth is of another size if ``mixed``."""

    def __init__(self, count: int, columns: int = 1, mixed: bool = False) -> None:
        self.count, self.mixed = count, mixed
        self.features = {f"image{i}": Column() for i in range(columns)} | {"label": object()}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Image.Image]:
        width = 9 if self.mixed and index == 5 else 6
        return {"image0": Image.fromarray(random_pixels(6, width, 3, seed=index))}


def install(monkeypatch: pytest.MonkeyPatch, splits: dict[str, Table | Exception]) -> None:
    """Put a library in the place of the real one, which needs a network."""

    def load_dataset(name: str, split: str) -> Table:
        assert name == "owner/name"
        found = splits[split]
        if isinstance(found, Exception):
            raise found
        return found

    library = ModuleType("datasets")
    library.__dict__.update(
        Image=Column, load_dataset=load_dataset, get_dataset_split_names=lambda name: list(splits)
    )
    monkeypatch.setitem(sys.modules, "datasets", library)


def test_the_hubs_own_splits_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"train": Table(20), "valid": Table(3), "test": Table(4)})
    assert [len(load("hf:owner/name", split)) for split in SPLITS] == [20, 3, 4]
    x = load("hf:owner/name", "train").take(torch.tensor([7, 2]))
    expected = torch.from_numpy(random_pixels(6, 6, 3, seed=2)).permute(2, 0, 1)
    assert torch.equal(x[1], expected)


def test_validation_images_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"train": Table(20), "test": Table(4)})
    train, validation = (
        load("hf:owner/name", split, conversion=Conversion(framing=Crop(3, 3)))
        for split in SPLITS[:2]
    )
    x = torch.cat([i.tensor() for i in (train, validation)])
    assert (len(train), len(validation), distinct(x)) == (18, 2, 20)
    assert train.shape == (3, 3, 3)


def test_images_of_two_sizes_are_refused_or_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, {"test": Table(8, mixed=True)})
    images = load("hf:owner/name", "test")
    with pytest.raises(ValueError, match=r"image 0 has shape \(3, 6, 6\) and image 5 has"):
        images.take(torch.arange(8))
    fitted = load("hf:owner/name", "test", conversion=Conversion(framing=Crop(4, 4)))
    assert len(fitted.take(torch.arange(8))) == 8


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": Table(20)}, "it has no test split but train"),
        ({"test": Table(20, columns=2)}, "has 2 columns of images"),
        ({"test": Table(20, columns=0)}, "has 0 columns of images"),
        ({"test": Table(0)}, "holds no images"),
        ({"test": ConnectionError("no\nroute")}, "cannot be loaded: no route; check the name"),
    ],
)
def test_what_cannot_be_used_is_refused(
    splits: dict[str, Table | Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, splits)
    with pytest.raises(ValueError, match=f"^hf:owner/name.*{message}"):
        load("hf:owner/name", "test")


def test_the_extra_is_named_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"needs the extra: pip install 'mrvae\[hub\]'"):
        load("hf:owner/name", "test")


def test_what_is_no_name_on_the_hub_is_refused() -> None:
    for name in ["", "name", "a/b/c", "owner/", "own er/name"]:
        with pytest.raises(ValueError, match="write hf:owner/name"):
            load(f"hf:{name}", "test")
