"""A folder of pictures that are, or are converted to, one size, one depth, and grey or RGB.

If the folder has the sub-folders train, validation and test, these are the splits; without a
validation folder a tenth of the training pictures, at most 5,000, are held out. Else all pictures
in the folder are split by the fixed order: 80 % training and 10 % each of the others. Pictures are
taken in the order of their paths, at any depth; see :mod:`mrvae.data.files.listing` for names.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.image_files import SUFFIXES
from mrvae.data.files.listing import choose, names_and_sizes, warn
from mrvae.data.files.survey import decoded, survey
from mrvae.data.files.untrusted import check_expansion
from mrvae.data.images import Images, check_shape

Shape = tuple[int, int, int]

_USUAL = 255
_AS_STORED = Conversion()


def load_folder(
    folder: Path, split: str, conversion: Conversion = _AS_STORED, expected: Shape | None = None
) -> Images:
    """Return a split of a folder of pictures, each converted as ``conversion`` asks for.

    The order by which pictures are held out counts those that cannot be read, so that a picture
    stays in its split when another is mended.

    Raises ``ValueError`` if there are none, if two differ in size, depth or colours, if their shape
    is not ``expected``, or if one cannot be read and may not be left out.
    """
    chosen = choose(folder, split, SUFFIXES)
    known = survey(folder, chosen.paths)
    file = known.common(conversion, expected)
    shape = conversion.shape(file)
    if expected is not None:
        check_shape(folder.name, shape, expected)
    known.log(conversion)
    if (largest := conversion.largest(file)) < _USUAL:
        warn(f"mrvae: {folder}: values are 0…{largest} by their files, and are not scaled")
    indices = chosen.indices(len(chosen.paths)).tolist()
    paths = [path for i in indices if (path := chosen.paths[i]) in known.files]
    check_expansion(folder, len(paths) * prod(shape), sum(path.stat().st_size for path in paths))
    pixels = _decoded(folder, paths, shape, conversion)
    return Images(pixels, folder.name, split, files=names_and_sizes(folder, chosen.paths))


def _decoded(folder: Path, paths: Sequence[Path], shape: Shape, conversion: Conversion) -> Tensor:
    """Return the pixels of pictures of one shape."""
    pixels = torch.empty((len(paths), *shape), dtype=torch.uint8)
    count = 0
    for row, (_, image) in zip(pixels, decoded(folder, paths, conversion), strict=False):
        row.copy_(image)
        count += 1
    if count == 0:
        raise ValueError(f"{folder}: no picture of this split can be read; get the files again")
    return pixels[:count]
