"""A folder of .npy files, the *shards*, as one data set that may be larger than memory.

Sorted by their paths, the shards are one after the other: of shards of n_1, n_2, … images, image i
lies in the first shard k with n_1 + … + n_k > i. Each is mapped into memory and read on demand. The
images of a split or a batch depend on their order only, not on how they are cut into files. Splits
are as those of a folder of pictures: the sub-folders train, validation and test, or a tenth held
out of the training images, or 80 %, 10 % and 10 % of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.arrays import map_npy
from mrvae.data.files.folder import sub_folders
from mrvae.data.files.image_files import SUFFIXES
from mrvae.data.images import Images
from mrvae.data.rows import Rows, Shape
from mrvae.data.splits import a_tenth, held_out


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """The images of several sources of one shape, one after the other.

    Example:
        >>> from mrvae.data.rows import TensorRows
        >>> pixels = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1)
        >>> joined = JoinedRows((TensorRows(pixels[:2]), TensorRows(pixels[2:])))
        >>> joined.shape, joined.rows(torch.tensor([4, 0, 2])).flatten().tolist()
        ((5, 1, 1, 1), [4, 0, 2])
    """

    sources: tuple[Rows, ...]

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return (int(self._ends()[-1]), *self.sources[0].shape[1:])

    def rows(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``, each from its source."""
        ends = self._ends()
        owners = torch.searchsorted(ends, indices, right=True)
        images = torch.empty((len(indices), *self.shape[1:]), dtype=torch.uint8)
        for owner in sorted(set(owners.tolist())):
            source = self.sources[owner]
            mine = owners == owner
            images[mine] = source.rows(indices[mine] - (ends[owner] - source.shape[0]))
        return images

    def _ends(self) -> Tensor:
        """Return n_1, n_1 + n_2, …."""
        return torch.tensor([source.shape[0] for source in self.sources]).cumsum(0)


def is_sharded(folder: Path) -> bool:
    """Tell whether a folder holds .npy files, at any depth."""
    return bool(_shards(folder))


def load_shards(folder: Path, split: str) -> Images:
    """Return a split of a folder of .npy files.

    Raises ``ValueError`` if the folder holds pictures too, a shard is damaged, not uint8 or of
    another layout or shape than the first, or the split has no folder.
    """
    mixed = next((p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES), None)
    if mixed is not None:
        raise ValueError(f"{folder}: holds .npy files and pictures, such as {mixed}; keep one kind")
    own = sub_folders(folder)
    if all(path is None for path in own.values()):
        images = _joined(folder, folder.name, split)
        tenth = len(images) // 10
        return images.subset(held_out(split, len(images), tenth, tenth))
    chosen = own[split] or (own["train"] if split == "validation" else None)
    if chosen is None:
        raise ValueError(f"{folder}: has no folder {split}; add {folder / split} with .npy files")
    images = _joined(chosen, folder.name, split)
    if split == "test" or own["validation"] is not None:
        return images
    return images.subset(held_out(split, len(images), a_tenth(len(images))))


def _joined(folder: Path, name: str, split: str) -> Images:
    """Return all shards of a folder as one set."""
    paths = _shards(folder)
    if not paths:
        raise ValueError(f"{folder}: holds no .npy files; put the images of {split} there")
    sources = tuple(map(map_npy, paths))
    for path, source in zip(paths, sources, strict=True):
        if source.shape[1:] != sources[0].shape[1:]:
            raise ValueError(
                f"{paths[0]} has images of shape (C, H, W) = {sources[0].shape[1:]} and {path} of "
                f"{source.shape[1:]}; make their shapes equal"
            )
    return Images(JoinedRows(sources), name, split)


def _shards(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".npy" and p.is_file())
