"""Images that a user names beside a trained model, read as its recipe reads its own.

A source is a picture, a folder of pictures or of .npy files, a .npy or an .npz file, or the name of
a data set. Of a folder with a sub-folder for the split, of an .npz file and of a named data set the
split's images are taken; of everything else all of them. Each image has a name: that of its file in
the folder, or of its array with its index.

The values become those of the model as in :mod:`mrvae.data.prepare`: binary images are drawn by the
fixed seed and the index in their source, so that a picture is the same whatever stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.arrays import load_npz, open_npy
from mrvae.data.files.conversion import Conversion
from mrvae.data.files.formats import unread
from mrvae.data.files.image_files import SUFFIXES, examined, read
from mrvae.data.files.listing import choose, split_folders
from mrvae.data.files.patches import CutRows
from mrvae.data.files.shards import JoinedRows, is_sharded
from mrvae.data.files.untrusted import check_expansion
from mrvae.data.framing import Crop, Framing, Pad
from mrvae.data.images import Images
from mrvae.data.loading import NAMES, OTHERS, existing, load
from mrvae.data.location import data_folder
from mrvae.data.prepare import with_bins_of
from mrvae.data.rows import TensorRows
from mrvae.recipes.cut import Patches
from mrvae.recipes.data import SignalSpec
from mrvae.recipes.schema import Recipe

_ARRAYS = (".npy", ".npz")


class Sizes(Enum):
    """What happens to images that have not the size of the model's.

    EXACT refuses them. FIT resizes them and crops their centre, PAD shrinks and pads them, see
    :mod:`mrvae.data.framing`. CUT takes the rectangles of the model's size that lie side by side,
    each as an image; what is left over is in none.
    """

    EXACT = 1
    FIT = 2
    CUT = 3
    PAD = 4


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images, and the name of each.

    Example:
        >>> Inputs(Images(torch.zeros(2, 1, 4, 4).byte(), "two", "test"), ("a", "b")).first(1).names
        ('a',)
    """

    images: Images
    names: tuple[str, ...]

    def first(self, count: int | None) -> Inputs:
        """Return the first ``count``; all if None or fewer are there."""
        return Inputs(self.images.first(count), self.names[:count])


def usual_sizes(recipe: Recipe) -> Sizes:
    """Return how a recipe treats the sizes of its own images.

    Example:
        >>> import mrvae
        >>> usual_sizes(mrvae.recipe("digits-vdvae"))
        <Sizes.EXACT: 1>
    """
    if isinstance(recipe.data.cut, Patches):
        return Sizes.CUT
    if recipe.data.pad:
        return Sizes.PAD
    return Sizes.FIT if recipe.data.fit else Sizes.EXACT


def read_inputs(
    recipe: Recipe,
    sources: Sequence[str],
    split: str = "test",
    data_dir: Path | str | None = None,
    sizes: Sizes | None = None,
) -> Inputs:
    """Return the images of some sources, with the channels, size and bins of a recipe's model.

    ``sizes`` is by default that of the recipe. Raises ``ValueError`` if there is no source, or one
    is missing or damaged or does not fit the model.

    Example:
        >>> import mrvae
        >>> inputs = read_inputs(mrvae.recipe("digits-vdvae"), ["digits"], "validation")
        >>> inputs.images.shape, inputs.names[99]
        ((1, 8, 8), 'digits validation[99]')
    """
    if not sources:
        raise ValueError("no images are named; give a picture, a folder, an array or a data set")
    if isinstance(recipe.data.signal, SignalSpec):
        raise ValueError(
            f"{sources[0]}: this model is of signals, and is measured on those of its own recipe; "
            "name no files"
        )
    how = usual_sizes(recipe) if sizes is None else sizes
    reader = _Reader(recipe, split, data_folder(data_dir), how)
    parts = [reader.read(source) for source in sources]
    if len(parts) == 1:
        return parts[0]
    return _joined(parts, "images", split)


def read_whole(recipe: Recipe, source: str, data_dir: Path | str | None = None) -> Tensor:
    """Return one picture of any size (C, H, W), with the channels and bins of a recipe's model.

    Raises ``ValueError`` if it is missing or damaged, is no picture, or has other channels.
    """
    path = existing(source, data_folder(data_dir), NAMES, OTHERS)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} is no picture; name a file of {', '.join(SUFFIXES)}")
    conversion, file = Conversion(recipe.data.mode, recipe.data.alpha), examined(path)
    _check_channels(str(path), conversion.shape(file)[0], recipe.model.channels)
    image = read(path, conversion)
    pixels = Images(image[None], path.name, "test", conversion.largest(file) + 1)
    return with_bins_of(recipe, pixels).tensor()[0]


def _check_channels(name: str, channels: int, expected: int) -> None:
    """Refuse a grey picture for a model of colours, and the other way round."""
    if channels != expected:
        raise ValueError(
            f"{name} has {channels} channels and the model's images {expected}; convert it to "
            f"{'grey' if expected == 1 else 'RGB'}"
        )


def _joined(parts: Sequence[Inputs], name: str, split: str) -> Inputs:
    """Return the images of several sources, one source after the other."""
    pixels = [part.images.pixels for part in parts]
    rows = tuple(TensorRows(p) if isinstance(p, Tensor) else p for p in pixels)
    images = Images(JoinedRows(rows), name, split, parts[0].images.bins)
    return Inputs(images, tuple(name for part in parts for name in part.names))


@dataclass(frozen=True)
class _Reader:
    """How the sources of one call are read."""

    recipe: Recipe
    split: str
    root: Path | None
    sizes: Sizes

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of the model's images."""
        return self.recipe.model.image

    @property
    def conversion(self) -> Conversion:
        """How pictures become images of the model: in the recipe's colours, as ``sizes`` says."""
        _, height, width = self.shape
        framing: Framing | None = None
        if self.sizes is Sizes.FIT:
            framing = Crop(height, width)
        elif self.sizes is Sizes.PAD:
            framing = Pad(height, width)
        return Conversion(self.recipe.data.mode, self.recipe.data.alpha, framing)

    def read(self, source: str) -> Inputs:
        """Return the images of one source."""
        if source in NAMES or source.startswith("hf:"):
            return self._array(load(source, self.split, self.root), f"{source} {self.split}")
        path = existing(source, self.root, NAMES, OTHERS)
        if path.is_dir():
            return self._folder(path)
        if path.suffix.lower() in SUFFIXES:
            return self._pictures(path, [path], [path.name])
        if path.suffix.lower() == ".npz":
            return self._array(load_npz(path, self.split), path.name)
        if path.suffix.lower() == ".npy":
            return self._array(Images(open_npy(path), path.stem, self.split), path.name)
        known = ", ".join((*SUFFIXES, *_ARRAYS))
        raise ValueError(f"{path} is not read; give a folder, or a file of {known}")

    def _folder(self, folder: Path) -> Inputs:
        """Return all images of a folder; with folders of splits, those of the split."""
        sharded = is_sharded(folder)
        chosen = choose(folder, self._present(folder), (".npy",) if sharded else SUFFIXES)
        names = [str(path.relative_to(folder)) for path in chosen.paths]
        if not sharded:
            return self._pictures(folder, chosen.paths, names)
        parts = [
            self._array(Images(open_npy(path), path.stem, self.split), name)
            for path, name in zip(chosen.paths, names, strict=True)
        ]
        return _joined(parts, folder.name, self.split)

    def _present(self, folder: Path) -> str:
        """Return the split, which decides nothing in a folder without folders of splits."""
        return self.split if split_folders(folder) else "test"

    def _pictures(self, place: Path, paths: Sequence[Path], names: Sequence[str]) -> Inputs:
        """Return pictures, whose headers are compared with the model before any is decoded."""
        conversion = self.conversion
        files = [examined(path) for path in paths]
        for path, file in zip(paths, files, strict=True):
            if obstacles := conversion.obstacles(file):
                raise unread(str(path), obstacles[0])
            self._check(str(path), conversion.shape(file))
            if conversion.largest(file) != conversion.largest(files[0]):
                raise ValueError(
                    f"{paths[0]} has values 0…{files[0].largest} and {path} 0…{file.largest}; "
                    "store them with one depth"
                )
        shapes = [conversion.shape(file) for file in files]
        check_expansion(place, sum(map(prod, shapes)), sum(p.stat().st_size for p in paths))
        pixels = [read(path, conversion) for path in paths]
        bins = conversion.largest(files[0]) + 1
        if self.sizes is Sizes.CUT:
            return self._cut(pixels, names, place.name, bins)
        return self._prepared(Images(torch.stack(pixels), place.name, self.split, bins), names)

    def _array(self, images: Images, name: str) -> Inputs:
        """Return the images of an array or of a data set."""
        images = images.in_mode(self.recipe.data.mode)
        self._check(name, images.shape)
        names = [f"{name}[{index}]" for index in range(len(images))]
        framing = self.conversion.framing
        if framing is not None:
            return self._prepared(images.framed(framing), names)
        if self.sizes is Sizes.CUT and images.shape != self.shape:
            return self._cut(list(images.tensor()), names, images.name, images.bins)
        return self._prepared(images, names)

    def _cut(self, pixels: Sequence[Tensor], names: Sequence[str], name: str, bins: int) -> Inputs:
        """Return the rectangles of pictures, side by side."""
        _, height, width = self.shape
        cut = CutRows(tuple(pixels), (height, width), (height, width))
        counts = [(p.shape[1] // height) * (p.shape[2] // width) for p in pixels]
        own = [f"{n}[{i}]" for n, count in zip(names, counts, strict=True) for i in range(count)]
        return self._prepared(Images(cut, name, self.split, bins), own)

    def _prepared(self, images: Images, names: Sequence[str]) -> Inputs:
        return Inputs(with_bins_of(self.recipe, images), tuple(names))

    def _check(self, name: str, shape: tuple[int, int, int]) -> None:
        """Refuse an image that the model cannot take, with the option that changes it."""
        channels, height, width = shape
        expected, high, wide = self.shape
        _check_channels(name, channels, expected)
        if self.conversion.framing is not None or (height, width) == (high, wide):
            return
        if self.sizes is Sizes.CUT and height >= high and width >= wide:
            return
        larger = height >= high and width >= wide
        more = ", or cut it into squares by --cut (reconstruct also has --tile)" if larger else ""
        raise ValueError(
            f"{name} has {height}×{width} pixels and the model's images {high}×{wide}; resize and "
            f"crop it by --fit{more}"
        )
