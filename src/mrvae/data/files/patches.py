"""Photographs of any size as many images of one size: a set whose rows are squares of pictures.

A picture belongs to one split, so that no two splits share a part of a photograph.
Picture i of the folder, in the order of names, is for the test if i ≡ fold (mod folds): k recipes
that differ only in their fold test every picture once. Of the other pictures a tenth, at least one,
are for validation, by the fixed order.

Training images overlap: with a side of n and a stride of s there is one for each corner (s a, s b)
that leaves room for it. They are cut out on demand, and a picture is stored once. Only the pictures
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

from mrvae.data.files.gallery import picture_paths, read_pictures
from mrvae.data.images import Images
from mrvae.data.rows import Shape
from mrvae.data.splits import a_tenth, held_out
from mrvae.recipes.cut import Patches

Member = TypeVar("Member")


@dataclass(frozen=True, eq=False)
class CutRows:
    """Squares of pictures, in the order of the pictures and of reading.

    Args:
        pictures: uint8 (C, H, W), of any sizes.
        side: of a square.
        stride: between the corners of squares, along both axes.

    Example:
        >>> picture = torch.arange(8, dtype=torch.uint8).view(1, 2, 4)
        >>> CutRows((picture,), side=2, stride=2).rows(torch.tensor([1])).tolist()
        [[[[2, 3], [6, 7]]]]
    """

    pictures: tuple[Tensor, ...]
    side: int
    stride: int

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return int(self._ends[-1]), len(self.pictures[0]), self.side, self.side

    def rows(self, indices: Tensor) -> Tensor:
        """Cut out the squares at ``indices``."""
        squares = torch.empty((len(indices), *self.shape[1:]), dtype=torch.uint8)
        owners = torch.searchsorted(self._ends, indices, right=True)
        for square, index, owner in zip(squares, indices.tolist(), owners.tolist(), strict=True):
            before = int(self._ends[owner - 1]) if owner else 0
            row, column = divmod(index - before, self._grid(owner)[1])
            down, across = (
                slice(self.stride * i, self.stride * i + self.side) for i in (row, column)
            )
            square.copy_(self.pictures[owner][:, down, across])
        return squares

    @cached_property
    def _ends(self) -> Tensor:
        """Number of squares up to the end of each picture."""
        counts = [prod(self._grid(owner)) for owner in range(len(self.pictures))]
        return torch.tensor(counts).cumsum(0)

    def _grid(self, owner: int) -> tuple[int, int]:
        """Return how many squares of a picture are below and beside one another."""
        _, *lengths = self.pictures[owner].shape
        rows, columns = (max(0, length - self.side) // self.stride + 1 for length in lengths)
        return (rows, columns) if min(lengths) >= self.side else (0, 0)


def load_patches(
    source: str, split: str, data_dir: Path | str | None, cut: Patches, side: int
) -> Images:
    """Return a split of a folder of RGB pictures, cut into squares of ``side`` pixels.

    Raises:
        ValueError: if the folder is missing, holds too few pictures, or none of a split's is as
            large as a square.
    """
    chosen = read_pictures(of_split(picture_paths(source, data_dir), split, cut))
    stride = cut.stride if split == "train" else side
    squares = CutRows(tuple(picture.pixels for picture in chosen), side, stride)
    if not squares.shape[0]:
        raise ValueError(
            f"{source}: no picture for {split!r} has {side} pixels a side; give larger pictures"
        )
    return Images(squares, Path(source).name, split)


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
