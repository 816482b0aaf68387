"""Photographs of any size as many images of one size: a set whose rows are parts of pictures.

A picture belongs to one split, so that no two splits share a part of a photograph.
Picture i of the folder, in the order of names, is for the test if i ≡ fold (mod folds): k recipes
that differ only in their fold test every picture once. Of the other pictures a tenth, at least one,
are for validation, by the fixed order.

Training images overlap: with a stride of s there is one for each corner (s a, s b) that leaves room
for it. They are cut out on demand, and a picture is stored once. Only the pictures
of the split are read.
Images of validation and test lie side by side; what is left over at the right and below is in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.gallery import picture_paths, read_pictures
from mrvae.data.images import Images
from mrvae.data.rows import Shape
from mrvae.data.splits import a_tenth, held_out
from mrvae.recipes.cut import Patches

Member = TypeVar("Member")

_AS_STORED = Conversion()


@dataclass(frozen=True, eq=False)
class CutRows:
    """Rectangles of pictures, in the order of the pictures and of reading.

    Args:
        pictures: uint8 (C, H, W), of any sizes.
        size: height and width of an image.
        stride: between the corners of images, down and across.

    Example:
        >>> picture = torch.arange(8, dtype=torch.uint8).view(1, 2, 4)
        >>> CutRows((picture,), size=(2, 2), stride=(2, 2)).rows(torch.tensor([1])).tolist()
        [[[[2, 3], [6, 7]]]]
    """

    pictures: tuple[Tensor, ...]
    size: tuple[int, int]
    stride: tuple[int, int]

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return int(self._ends[-1]), len(self.pictures[0]), *self.size

    def rows(self, indices: Tensor) -> Tensor:
        """Cut out the rectangles at ``indices``."""
        images = torch.empty((len(indices), *self.shape[1:]), dtype=torch.uint8)
        owners = torch.searchsorted(self._ends, indices, right=True)
        for image, index, owner in zip(images, indices.tolist(), owners.tolist(), strict=True):
            before = int(self._ends[owner - 1]) if owner else 0
            row, column = divmod(index - before, self._grid(owner)[1])
            down, across = (
                slice(stride * i, stride * i + side)
                for i, stride, side in zip((row, column), self.stride, self.size, strict=True)
            )
            image.copy_(self.pictures[owner][:, down, across])
        return images

    @cached_property
    def _ends(self) -> Tensor:
        """Number of images up to the end of each picture."""
        counts = [prod(self._grid(owner)) for owner in range(len(self.pictures))]
        return torch.tensor(counts).cumsum(0)

    def _grid(self, owner: int) -> tuple[int, int]:
        """Return how many images of a picture are below and beside one another."""
        _, *lengths = self.pictures[owner].shape
        rooms = [length - side for length, side in zip(lengths, self.size, strict=True)]
        if min(rooms) < 0:
            return 0, 0
        down, across = (room // stride + 1 for room, stride in zip(rooms, self.stride, strict=True))
        return down, across


def load_patches(
    source: str,
    split: str,
    data_dir: Path | str | None,
    cut: Patches,
    shape: tuple[int, int, int],
    conversion: Conversion = _AS_STORED,
) -> Images:
    """Return a split of a folder of pictures, cut into images of ``shape`` (C, H, W).

    Raises:
        ValueError: if the folder is missing, holds too few pictures or pictures of other colours,
            or none of a split's is as large as an image.
    """
    channels, *size = shape
    paths = of_split(picture_paths(source, data_dir), split, cut)
    chosen = read_pictures(paths, conversion, channels)
    height, width = size
    stride = (cut.stride, cut.stride) if split == "train" else (height, width)
    rows = CutRows(tuple(picture.pixels for picture in chosen), (height, width), stride)
    if not chosen or not rows.shape[0]:
        raise ValueError(
            f"{source}: no picture for {split!r} has {height}×{width} pixels (height × width); "
            "give larger pictures"
        )
    return Images(rows, Path(source).name, split)


def of_split(pictures: Sequence[Member], split: str, cut: Patches) -> tuple[Member, ...]:
    """Return the pictures, or their paths, that are for a split.

    Raises:
        ValueError: if a split would be empty.

    Example:
        >>> of_split("abcde", "test", Patches(folds=2, fold=1))
        ('b', 'd')
        >>> len(of_split("abcde", "train", Patches(folds=2, fold=1)))
        2
    """
    tested = [picture for i, picture in enumerate(pictures) if i % cut.folds == cut.fold]
    others = [picture for i, picture in enumerate(pictures) if i % cut.folds != cut.fold]
    if len(others) < 2 or not tested:
        raise ValueError(
            f"{len(pictures)} pictures are too few for {cut.folds} folds; a fold needs one, and "
            "the others two, of which one is for validation"
        )
    if split == "test":
        return tuple(tested)
    indices = held_out(split, len(others), max(1, a_tenth(len(others))))
    return tuple(others[i] for i in indices.tolist())
