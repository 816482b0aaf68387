"""Pictures one at a time, each of its own size: for evaluation, not for training.

A folder of photographs, such as the 24 of Kodak with their two orientations, is no tensor of
images. Here its pictures come with their names, in the order of these, and each in its own shape.
A header is checked before any pixel is read, see :mod:`mrvae.data.files.image_files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mrvae.data.files.image_files import SUFFIXES, header, read
from mrvae.data.location import data_folder

_COLOURS = 3


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
    paths = _paths(_folder(name, data_folder(data_dir)))[:limit]
    for path in paths:
        channels, _, _ = header(path)
        if channels != _COLOURS:
            raise ValueError(f"{path}: is grey; a gallery has RGB pictures, convert it or move it")
    return tuple(Picture(path.stem, read(path, None)) for path in paths)


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


def _paths(folder: Path) -> list[Path]:
    """Return the pictures that lie in the folder itself."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ValueError(f"{folder}: holds no pictures; put files there of {', '.join(SUFFIXES)}")
    return paths
