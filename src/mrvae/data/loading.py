"""The one entry to data: a source's name or path, a split, and perhaps a folder.

A source is a known name (``digits``, ``mnist``, ``omniglot``, ``cifar10``), a path to a .npy file,
an .npz file or a folder of images or of .npy files, or ``hf:owner/name``. With a data folder, given
or in the environment variable MRVAE_DATA, nothing is downloaded but what ``hf:`` asks for by name.
Every way in which a source can be wrong is a ``ValueError`` of one line that names the file and
what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mrvae.data.files.arrays import load_npy, load_npz
from mrvae.data.files.conversion import Conversion
from mrvae.data.files.folder import load_folder
from mrvae.data.files.shards import is_sharded, load_shards
from mrvae.data.files.survey import log_cropped
from mrvae.data.images import Images
from mrvae.data.location import data_folder
from mrvae.data.sources.cifar10 import load_cifar10
from mrvae.data.sources.digits import load_digits
from mrvae.data.sources.hub import load_hub
from mrvae.data.sources.mnist import load_mnist
from mrvae.data.sources.omniglot import load_omniglot
from mrvae.data.splits import SPLITS
from mrvae.recipes.data import Stored
from mrvae.suggestions import did_you_mean

NAMES = ("digits", "mnist", "omniglot", "cifar10")
"""The sources that are known by name."""

Shape = tuple[int, int, int]

_AS_STORED = Conversion()
OTHERS = "a folder of images, a .npy or .npz file, or hf:owner/name"
"""What a source of images may be besides."""


def load(
    source: str,
    split: str,
    data_dir: Path | str | None = None,
    conversion: Conversion = _AS_STORED,
    expected: Shape | None = None,
) -> Images:
    """Return the images of a source's split.

    ``conversion`` is of colours and sizes; images of a named data set are resized when they are
    taken, to save memory. A relative path is looked up from the current folder, then from the data
    folder. ``expected`` is the shape (C, H, W) that the images must have then; if it is given, the
    files of another shape are refused by their headers, before any pixel is read.

    Raises ``ValueError`` for an unknown source or split, and for data that are missing, damaged or
    of the wrong kind.

    Example:
        >>> digits = load("digits", "test")
        >>> len(digits), digits.shape, digits.bins
        (397, (1, 8, 8), 17)

    """
    if split not in SPLITS:
        raise ValueError(f"{split!r} is no split; choose from {', '.join(SPLITS)}")
    root = data_folder(data_dir)
    if source not in NAMES:
        return _load_path(source, split, root, conversion, expected)
    return _converted(_load_named(source, split, root), conversion)


def _converted(images: Images, conversion: Conversion) -> Images:
    """Return images that come without files of their own, as ``conversion`` asks for."""
    images = images.in_mode(conversion.mode)
    if conversion.framing is None:
        return images
    log_cropped(images.name, conversion, [images.shape[1:]])
    framed = (conversion.framing.height, conversion.framing.width)
    return images if images.shape[1:] == framed else images.when_taken().framed(conversion.framing)


def _load_named(source: str, split: str, root: Path | None) -> Images:
    """Load a data set that is known by name."""
    match source:
        case "digits":
            return load_digits(split)
        case "mnist":
            return load_mnist(split, root)
        case "omniglot":
            return load_omniglot(split, root)
        case _:
            return load_cifar10(split, root)


def _load_path(
    source: str, split: str, root: Path | None, conversion: Conversion, expected: Shape | None
) -> Images:
    """Load a file, a folder or a hub data set."""
    if source.startswith("hf:"):
        return load_hub(source.removeprefix("hf:"), split, conversion)
    path = existing(source, root, NAMES, OTHERS)
    if path.is_dir():
        if not is_sharded(path):
            return load_folder(path, split, conversion, expected)
        images = load_shards(path, split)
    elif path.suffix.lower() == ".npy":
        images = load_npy(path, split)
    elif path.suffix.lower() == ".npz":
        as_stored = conversion.framing is None and isinstance(conversion.mode, Stored)
        images = load_npz(path, split, expected if as_stored else None)
    else:
        raise ValueError(f"{path} is not read; give a folder of images, a .npy or an .npz file")
    return _converted(images, conversion)


def existing(source: str, root: Path | None, names: Sequence[str], others: str) -> Path:
    """Return the path of a source: from the current folder, else from the data folder.

    Raises ``ValueError`` if there is none, with the nearest known name, and what ``others`` may be.
    """
    candidates = [Path(source)] if root is None else [Path(source), root / source]
    for path in candidates:
        if source and _exists(path):
            return path
    hint = did_you_mean(source, names, otherwise="check its path")
    tried = " or ".join(str(path) for path in candidates)
    raise ValueError(
        f"{source!r} is no known source, and there is no {tried}; known are "
        f"{', '.join(names)}, {others}; {hint}"
    )


def _exists(path: Path) -> bool:
    """Whether there is such a path; False for one that is too long for the operating system."""
    try:
        return path.exists()
    except OSError:
        return False
