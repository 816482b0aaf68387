"""A folder of pictures, all of one size and all grey or all RGB.

If the folder has the sub-folders train, validation (or val, valid) and test, these are the splits;
without a validation folder a tenth of the training pictures, at most 5,000, are held out. Else all
pictures in the folder are split by the fixed order: 80 % training and 10 % each of the others.
Pictures are taken in the order of their paths, at any depth.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import torch

from mrvae.data.files.image_files import SUFFIXES, header, read
from mrvae.data.files.untrusted import LARGEST
from mrvae.data.images import Images
from mrvae.data.splits import SPLITS, a_tenth, held_out

_FOLDERS = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}


def load_folder(folder: Path, split: str, fit: int | None = None) -> Images:
    """Return a split of a folder of pictures; ``fit`` resizes and crops each to that side.

    Raises ``ValueError`` if there are none, if two differ in size or channels (and are not made
    equal by ``fit``), or if one cannot be read.
    """
    every, paths = _choose(folder, split)
    image = _common_shape(every, fit)
    if len(paths) * prod(image) > LARGEST:
        raise ValueError(f"{folder}: is larger than memory; store the pictures as .npy files")
    pixels = torch.empty((len(paths), *image), dtype=torch.uint8)
    for row, path in zip(pixels, paths, strict=True):
        row.copy_(read(path, fit))
    return Images(pixels, folder.name, split)


def _choose(folder: Path, split: str) -> tuple[list[Path], list[Path]]:
    """Return the pictures whose shapes must agree, and those of them in the split."""
    own = sub_folders(folder)
    if all(path is None for path in own.values()):
        every = _pictures(folder)
        tenth = len(every) // 10
        indices = held_out(split, len(every), tenth, tenth)
        return every, [every[i] for i in indices.tolist()]
    chosen = own[split] or (own["train"] if split == "validation" else None)
    if chosen is None:
        raise ValueError(f"{folder}: has no folder {split}; add {folder / split} with pictures")
    every = _pictures(chosen)
    if split == "test" or own["validation"] is not None:
        return every, every
    indices = held_out(split, len(every), a_tenth(len(every)))
    return every, [every[i] for i in indices.tolist()]


def sub_folders(folder: Path) -> dict[str, Path | None]:
    """Return the sub-folder of every split, as far as there are any."""
    return {name: _first_folder(folder, _FOLDERS[name]) for name in SPLITS}


def _first_folder(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the first of the sub-folders that there is."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _pictures(folder: Path) -> list[Path]:
    """Return the paths of all pictures in a folder, sorted."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ValueError(f"{folder}: holds no pictures; put files there of {', '.join(SUFFIXES)}")
    return paths


def _common_shape(paths: list[Path], fit: int | None) -> tuple[int, int, int]:
    """Return the shape (C, H, W) that all pictures have once they are fitted."""
    shapes = [header(path) for path in paths]
    if fit is not None:
        shapes = [(channels, fit, fit) for channels, _, _ in shapes]
    for path, shape in zip(paths, shapes, strict=True):
        if shape != shapes[0]:
            raise ValueError(
                f"{paths[0]} has shape (C, H, W) = {shapes[0]} and {path} has {shape}; make them "
                "equal, or set data.fit=true if only their sizes differ"
            )
    return shapes[0]
