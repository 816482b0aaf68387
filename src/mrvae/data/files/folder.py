"""A folder of pictures, all of one size, of one depth, and all grey or all RGB.

If the folder has the sub-folders train, validation and test, these are the splits; without a
validation folder a tenth of the training pictures, at most 5,000, are held out. Else all pictures
in the folder are split by the fixed order: 80 % training and 10 % each of the others. Pictures are
taken in the order of their paths, at any depth; see :mod:`mrvae.data.files.listing` for names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import torch

from mrvae.data.files.formats import Declared
from mrvae.data.files.image_files import SUFFIXES, declared, read
from mrvae.data.files.listing import choose, warn
from mrvae.data.files.untrusted import check_expansion
from mrvae.data.images import Images, check_shape

Shape = tuple[int, int, int]

_USUAL = 255


def load_folder(
    folder: Path, split: str, fit: int | None = None, expected: Shape | None = None
) -> Images:
    """Return a split of a folder of pictures; ``fit`` resizes and crops each to that side.

    Raises ``ValueError`` if there are none, if two differ in size, depth or channels (the sizes may
    be made equal by ``fit``), if their shape is not ``expected``, or if one cannot be read.
    """
    chosen = choose(folder, split, SUFFIXES)
    file = _common(chosen.paths, fit)
    shape = file.shape
    if expected is not None:
        check_shape(folder.name, shape, expected)
    if file.largest < _USUAL:
        warn(f"mrvae: {folder}: values are 0…{file.largest} by their files, and are not scaled")
    indices = chosen.indices(len(chosen.paths)).tolist()
    paths = [chosen.paths[i] for i in indices]
    check_expansion(folder, len(paths) * prod(shape), sum(path.stat().st_size for path in paths))
    pixels = torch.empty((len(paths), *shape), dtype=torch.uint8)
    for row, path in zip(pixels, paths, strict=True):
        row.copy_(read(path, fit))
    return Images(pixels, folder.name, split)


def _common(paths: Sequence[Path], fit: int | None) -> Declared:
    """Return the shape that all pictures have once they are fitted, and their largest value."""
    first = _fitted(declared(paths[0]), fit)
    for path in paths:
        other = _fitted(declared(path), fit)
        if other.shape != first.shape:
            raise ValueError(
                f"{paths[0]} has shape (C, H, W) = {first.shape} and {path} has {other.shape}; "
                "make them equal, or set data.fit=true if only their sizes differ"
            )
        if other.largest != first.largest:
            raise ValueError(
                f"{paths[0]} has values 0…{first.largest} and {path} 0…{other.largest}; store "
                "them with one depth"
            )
    return first


def _fitted(file: Declared, fit: int | None) -> Declared:
    return file if fit is None else replace(file, height=fit, width=fit)
