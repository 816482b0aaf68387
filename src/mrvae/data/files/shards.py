"""A folder of .npy files, the *shards*, as one data set that may be larger than memory.

Sorted by their paths, the shards are one after the other: of shards of n_1, n_2, … images, image i
lies in the first shard k with n_1 + … + n_k > i. Each is opened when images of it are taken. The
images of a split or a batch depend on their order only, not on how they are cut into files. Splits
are as those of a folder of pictures: the sub-folders train, validation and test, or a tenth held
out of the training images, or 80 %, 10 % and 10 % of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.arrays import open_npy
from mrvae.data.files.image_files import SUFFIXES
from mrvae.data.files.listing import choose, first_with, names_and_sizes
from mrvae.data.images import Images
from mrvae.data.rows import Rows, Shape

_SUFFIXES = (".npy",)


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
    return first_with(folder, _SUFFIXES) is not None


def load_shards(folder: Path, split: str) -> Images:
    """Return a split of a folder of .npy files.

    Raises ``ValueError`` if the folder holds pictures too, a shard is damaged, not uint8 or of
    another layout or shape than the first, or the split has no folder.
    """
    mixed = first_with(folder, SUFFIXES)
    if mixed is not None:
        raise ValueError(f"{folder}: holds .npy files and pictures, such as {mixed}; keep one kind")
    chosen = choose(folder, split, _SUFFIXES)
    sources = tuple(map(open_npy, chosen.paths))
    for path, source in zip(chosen.paths, sources, strict=True):
        if source.shape[1:] != sources[0].shape[1:]:
            raise ValueError(
                f"{chosen.paths[0]} has images of shape (C, H, W) = {sources[0].shape[1:]} and "
                f"{path} of {source.shape[1:]}; make their shapes equal"
            )
    files = names_and_sizes(folder, chosen.paths)
    images = Images(JoinedRows(sources), folder.name, split, files=files)
    return images if chosen.whole else images.subset(chosen.indices(len(images)))
