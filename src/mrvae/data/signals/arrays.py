"""Signals in NumPy's files: real or whole numbers of shape (N, T) or (N, C, T).

A .npy file is one array, an .npz file has one for each split. Headers are read first, as for
images: objects, which would need pickle, are refused, and so is a size that the file does not hold.
"""

from __future__ import annotations

import zipfile
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from mrvae.data.files.arrays import any_header, read_bytes
from mrvae.data.files.untrusted import check_size, opened
from mrvae.data.signals.windows import Series

_KINDS, _BYTES = "iuf", (1, 2, 4, 8)


def read_npy(path: Path) -> list[Series]:
    """Return the signals of a .npy file, float32 of shape (C, T) each.

    Raises ``ValueError`` if it is damaged, or of another type or layout.
    """
    with opened(path) as stream:
        return _read(stream, str(path), path, path.stat().st_size, compressed=False)


def read_npz(path: Path, key: str) -> list[Series]:
    """Return the signals of an array of an .npz file, float32 of shape (C, T) each.

    Raises ``ValueError`` if the array is missing, damaged, or of another type or layout.
    """
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        if f"{key}.npy" not in archive.namelist():
            raise ValueError(f"{path}: holds no array {key!r}; add it")
        member = archive.getinfo(f"{key}.npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{path}, {key}: is compressed in an unknown way; use numpy.savez")
        stored = min(member.compress_size, path.stat().st_size)
        deflated = member.compress_type == zipfile.ZIP_DEFLATED
        with archive.open(member) as array:
            return _read(array, f"{path}, {key}", path, stored, compressed=deflated)


def keys(path: Path) -> list[str]:
    """Return the names of the arrays of an .npz file.

    Raises ``ValueError`` if it is none.
    """
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        return sorted(name.removesuffix(".npy") for name in archive.namelist())


def _read(
    stream: IO[bytes], name: str, path: Path, stored: int, *, compressed: bool
) -> list[Series]:
    """Read an array into the memory that its header declares and its file can hold."""
    header, dtype = any_header(stream, name)
    if dtype.kind not in _KINDS or dtype.itemsize not in _BYTES:
        raise ValueError(f"{name}: holds {dtype.name}; store real or whole numbers")
    if len(header.shape) not in (2, 3) or min(header.shape) < 1:
        raise ValueError(
            f"{name}: shape is {header.shape}; signals are (N, T) or (N, C, T), and there must be "
            "at least one sample"
        )
    size = prod(header.shape) * dtype.itemsize
    check_size(path, header.offset + size, stored, compressed)
    array = read_bytes(stream, size).view(dtype)
    array = array.reshape(header.shape, order="F" if header.fortran else "C")
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: holds a number that is not finite; store others")
    return list(values[:, None] if values.ndim == 2 else values)
