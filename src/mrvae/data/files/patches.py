"""Photographs of any size as many images of one size: a set whose rows are squares of pictures.

A picture belongs to one split, so that no two splits share a part of a photograph.
Picture i of the folder, in the order of names, is for the test if i ≡ fold (mod folds): k recipes
that differ only in their fold test every picture once. Of the other pictures a tenth, at least one,
are for validation, by the fixed order.

Training images overlap: with a side of n and a stride of s there is one for each corner (s a, s b)
that leaves room for it. They are cut out on demand, and a picture is stored once.
Images of validation and test lie side by side; what is left over at the right and below is in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.gallery import Picture, gallery
from mrvae.data.images import Images
from mrvae.data.rows import Shape
from mrvae.data.splits import a_tenth, held_out
from mrvae.recipes.cut import Patches


@dataclass(frozen=True, eq=False)
class CutRows:
    """Squares of pictures.

    Args:
        pictures: uint8 (C, H, W), of any sizes.
        places: of each square, its picture and its upper left corner (picture, row, column),
            int64 (N, 3).
        side: of a square.
    """

    pictures: tuple[Tensor, ...]
    places: Tensor
    side: int

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return len(self.places), len(self.pictures[0]), self.side, self.side

    def rows(self, indices: Tensor) -> Tensor:
        """Cut out the squares at ``indices``."""
        squares = torch.empty((len(indices), *self.shape[1:]), dtype=torch.uint8)
        for square, (picture, row, column) in zip(squares, self.places[indices], strict=True):
            down, across = slice(row, row + self.side), slice(column, column + self.side)
            square.copy_(self.pictures[picture][:, down, across])
        return squares


def load_patches(
    source: str, split: str, data_dir: Path | str | None, cut: Patches, side: int
) -> Images:
    """Return a split of a folder of RGB pictures, cut into squares of ``side`` pixels.

    Raises:
        ValueError: if the folder is missing, holds too few pictures, or none of a split's is as
            large as a square.
    """
    chosen = of_split(gallery(source, data_dir), split, cut)
    stride = cut.stride if split == "train" else side
    pictures = tuple(picture.pixels for picture in chosen)
    places = torch.cat([_corners(pixels, side, stride, i) for i, pixels in enumerate(pictures)])
    if not len(places):
        raise ValueError(
            f"{source}: no picture for {split!r} has {side} pixels a side; give larger pictures"
        )
    return Images(CutRows(pictures, places, side), Path(source).name, split)


def of_split(pictures: Sequence[Picture], split: str, cut: Patches) -> tuple[Picture, ...]:
    """Return the pictures that are for a split.

    Raises:
        ValueError: if a split would be empty.

    Example:
        >>> five = [Picture(name, torch.zeros(3, 1, 1)) for name in "abcde"]
        >>> [picture.name for picture in of_split(five, "test", Patches(folds=2, fold=1))]
        ['b', 'd']
        >>> len(of_split(five, "train", Patches(folds=2, fold=1)))
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


def _corners(picture: Tensor, side: int, stride: int, number: int) -> Tensor:
    """Return (number, row, column) of every square of a picture, int64 (n, 3)."""
    _, *lengths = picture.shape
    rows, columns = (torch.arange(0, max(0, length - side + 1), stride) for length in lengths)
    return torch.cartesian_prod(torch.tensor([number]), rows, columns)
