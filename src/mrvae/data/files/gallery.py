"""Pictures one at a time, each of its own size: for evaluation, not for training.

A folder of photographs, such as the 24 of Kodak with their two orientations, is no tensor of
images. Here its pictures come with their names, in the order of these, and each in its own shape.
A header is checked before any pixel is read, see :mod:`mrvae.data.files.image_files`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from torch import Tensor

from mrvae.data.files.conversion import Conversion
from mrvae.data.files.image_files import SUFFIXES
from mrvae.data.files.listing import entries, is_hidden, kind_of, log_left_out
from mrvae.data.files.survey import decoded, survey
from mrvae.data.files.untrusted import check_expansion
from mrvae.data.location import data_folder

_COLOURS = 3
_AS_STORED = Conversion()


@dataclass(frozen=True)
class Picture:
    """A picture: uint8 pixels of shape (C, H, W), under its file's stem."""

    name: str
    pixels: Tensor


def gallery(
    name: str, data_dir: Path | str | None = None, limit: int | None = None
) -> tuple[Picture, ...]:
    """Return the RGB pictures that lie in a folder, sorted by file name.

    Args:
        name: path of the folder, from the current folder or from the data folder.
        data_dir: folder with the data; MRVAE_DATA's by default.
        limit: number of pictures, from the first; all by default.

    Raises:
        ValueError: if there is no such folder, it holds no pictures, or one of them cannot be read
            or is not RGB.

    Example:
        >>> gallery("no-such-folder", "/tmp")
        Traceback (most recent call last):
        ValueError: there is no folder no-such-folder or /tmp/no-such-folder; put ...
    """
    return read_pictures(picture_paths(name, data_dir)[:limit])


def picture_paths(name: str, data_dir: Path | str | None = None) -> tuple[Path, ...]:
    """Return the paths of the pictures that lie in a folder itself, sorted by file name.

    Raises ``ValueError`` if there is no such folder, or it holds no pictures.
    """
    folder = _folder(name, data_folder(data_dir))
    paths, left = [], Counter[str]()
    for path in entries(folder):
        if path.is_dir() and not is_hidden(path.name):
            left["folders"] += 1
        elif is_hidden(path.name) or path.suffix.lower() not in SUFFIXES:
            left[kind_of(path.name)] += 1
        else:
            paths.append(path)
    log_left_out(folder, left)
    if not paths:
        raise ValueError(f"{folder}: holds no pictures; put files there of {', '.join(SUFFIXES)}")
    return tuple(paths)


def read_pictures(
    paths: Sequence[Path], conversion: Conversion = _AS_STORED, channels: int = _COLOURS
) -> tuple[Picture, ...]:
    """Read pictures of one number of channels, once their headers have shown how large all are.

    Raises ``ValueError`` if one cannot be read or is of another kind, or all are too large for
    memory.
    """
    if not paths:
        return ()
    known = survey(paths[0].parent, paths)
    known.common(conversion, (channels, 0, 0), sizes=False)
    shapes = {path: conversion.shape(file) for path, file in known.files.items()}
    own, path = next((shape[0], path) for path, shape in shapes.items())
    if own != channels:
        mode = "rgb" if channels == _COLOURS else "grey"
        raise ValueError(
            f"{path}: is {'grey' if own == 1 else 'RGB'} and {mode} is needed; convert it, for a "
            f"model by data.mode={mode}, or move it"
        )
    known.log(conversion)
    size = sum(map(prod, shapes.values()))
    check_expansion(paths[0].parent, size, sum(path.stat().st_size for path in shapes))
    folder = paths[0].parent
    return tuple(Picture(path.stem, x) for path, x in decoded(folder, list(shapes), conversion))


def _folder(name: str, root: Path | None) -> Path:
    """Return the folder; the error lists the paths that were tried."""
    candidates = [Path(name)] if root is None else [Path(name), root / name]
    for folder in candidates:
        if folder.is_dir():
            return folder
    tried = " or ".join(str(path) for path in candidates)
    raise ValueError(
        f"there is no folder {tried}; put the pictures there, or name the folder that holds"
        f" {name} by --data-dir or MRVAE_DATA"
    )
