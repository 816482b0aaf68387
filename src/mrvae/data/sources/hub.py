"""Data sets of the Hugging Face hub, behind the extra ``mrvae[hub]``.

The set must have exactly one column of images. Its own splits are used; without one for
validation, a tenth of the training images, at most 5,000, are held out by the fixed order. Images
are decoded when they are taken, so the set may be larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.image_files import decode
from mrvae.data.files.untrusted import brief
from mrvae.data.images import Images
from mrvae.data.rows import Shape
from mrvae.data.splits import a_tenth, held_out

_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
_AS_STORED = Conversion()


class HubTable(Protocol):
    """What is used of a ``datasets.Dataset``."""

    @property
    def features(self) -> Mapping[str, object]:
        """The type of each column."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Image.Image]: ...


@dataclass(frozen=True, eq=False)
class HubRows:
    """The pictures of one column of a table, each of shape ``image`` = (C, H, W)."""

    table: HubTable
    column: str
    name: str
    image: tuple[int, int, int]
    conversion: Conversion

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return (len(self.table), *self.image)

    def rows(self, indices: Tensor) -> Tensor:
        """Decode the pictures at ``indices``."""
        images = torch.empty((len(indices), *self.image), dtype=torch.uint8)
        for row, index in zip(images, indices.tolist(), strict=True):
            image = decode(self.table[index][self.column], f"{self.name}[{index}]", self.conversion)
            if tuple(image.shape) != self.image:
                raise ValueError(
                    f"{self.name}: image 0 has shape {self.image} and image {index} has "
                    f"{tuple(image.shape)}; set data.mode=rgb or data.mode=grey, and data.fit=true "
                    "or data.pad=true"
                )
            row.copy_(image)
        return images


def load_hub(name: str, split: str, conversion: Conversion = _AS_STORED) -> Images:
    """Return a split of the hub's data set ``owner/name``.

    Raises ``ValueError`` if the extra is not installed, the hub cannot be reached, or the data set
    has no such split or not one column of images.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"hf:{name} is no data set of the hub; write hf:owner/name")
    datasets = _library(name)
    try:
        published = datasets.get_dataset_split_names(name)
        own = next((own for own in _NAMES[split] if own in published), None)
        if own is None and (split != "validation" or "train" not in published):
            raise ValueError(f"it has no {split} split but {', '.join(published)}")
        table: HubTable = datasets.load_dataset(name, split=own or "train")
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"hf:{name} cannot be loaded: {brief(error)}; check the name and the network, "
            "or give a folder or file of images"
        ) from error
    images = Images(_rows(table, _column(table, datasets, name), name, conversion), name, split)
    if split == "test" or any(own in published for own in _NAMES["validation"]):
        return images
    return images.subset(held_out(split, len(images), a_tenth(len(images))))


def _library(name: str) -> ModuleType:
    """Import the hub's library, which takes seconds and is an extra."""
    try:
        import datasets
    except ImportError as error:
        raise ValueError(f"hf:{name} needs the extra: pip install 'mrvae[hub]'") from error
    module: ModuleType = datasets
    return module


def _column(table: HubTable, datasets: ModuleType, name: str) -> str:
    """Return the one column that holds images."""
    columns = [key for key, kind in table.features.items() if isinstance(kind, datasets.Image)]
    if len(columns) != 1:
        raise ValueError(f"hf:{name} has {len(columns)} columns of images; it must have one")
    return columns[0]


def _rows(table: HubTable, column: str, name: str, conversion: Conversion) -> HubRows:
    """Take the shape of all pictures from the first."""
    if len(table) == 0:
        raise ValueError(f"hf:{name} holds no images in this split; choose another data set")
    channels, height, width = decode(table[0][column], f"hf:{name}[0]", conversion).shape
    return HubRows(table, column, f"hf:{name}", (channels, height, width), conversion)
