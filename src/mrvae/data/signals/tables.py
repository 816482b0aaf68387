"""Series of numbers in NumPy arrays and in CSV.

An array is (N, T), or (N, C, T) with C channels, of whole or real numbers. A .npy file and a CSV
hold all series; an .npz has x_train and x_test, and perhaps x_validation (or x_val). A CSV has one
series a row, of one channel, without a header. What is not finite is refused.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mrvae.data.files.arrays import ArrayHeader, open_member, read_header, read_member
from mrvae.data.files.untrusted import brief, opened
from mrvae.data.signals.quantisers import Reals

_LARGEST_CSV, _LONGEST_LINE = 1 << 28, 1 << 25
_VALIDATION_KEYS = ("x_validation", "x_val")


def read_npy(path: Path) -> Iterator[Reals]:
    """Yield the series of a .npy file, each (T, C).

    Raises ``ValueError`` if the file is damaged, or holds no numbers or another layout.
    """
    with opened(path) as stream:
        header = _header(stream, str(path))
        length = os.fstat(stream.fileno()).st_size
        if header.end != length:
            raise ValueError(
                f"{path}: declares {header.end:,} bytes and has {length:,}; "
                "it is truncated or damaged, get the file again"
            )
        order: Literal["C", "F"] = "F" if header.fortran else "C"
        array = np.memmap(stream, header.dtype, "r", header.offset, header.shape, order)
        yield from _series(array, str(path))


def read_npz(path: Path, split: str) -> tuple[Iterator[Reals], bool]:
    """Return the series of an .npz from which a split is taken, and whether all are of it.

    Raises ``ValueError`` as :func:`read_npy` does, and if an array is missing.
    """
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        own = [key for key in _VALIDATION_KEYS if f"{key}.npy" in archive.namelist()]
        key = {"train": "x_train", "test": "x_test", "validation": [*own, "x_train"][0]}[split]
        with open_member(archive, key, path) as member:
            header = _header(member, f"{path}, {key}")
            flat = read_member(archive, key, path, member, header)
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    return _series(array, f"{path}, {key}"), split == "test" or bool(own)


def read_csv(path: Path) -> Iterator[Reals]:
    """Yield the series of a CSV, each (T, 1).

    Raises ``ValueError`` if a row holds what is no number, or is longer or shorter than the first.
    """
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > _LARGEST_CSV:
            raise ValueError(f"{path}: has {size:,} bytes; store so many numbers as a .npy file")
        first = None
        for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE), b""), start=1):
            name = f"{path}, line {number}"
            if len(line) == _LONGEST_LINE:
                raise ValueError(f"{name}: is too long; store such series as a .npy file")
            if not line.strip():
                continue
            row = _row(line, name)
            first = first or len(row)
            if len(row) != first:
                raise ValueError(
                    f"{name}: has {len(row):,} numbers and the rows before {first:,}; "
                    "make them equal"
                )
            yield _finite(row[:, None], name)


def _row(line: bytes, name: str) -> Reals:
    """Return the numbers of a line."""
    try:
        return np.array(line.decode("utf-8-sig").split(","), dtype=np.float64)
    except ValueError as error:
        raise ValueError(
            f"{name}: is no row of numbers separated by commas ({brief(error)}); "
            "remove headers and names"
        ) from error


def _header(stream: IO[bytes], name: str) -> ArrayHeader:
    """Read a header of numbers (N, T) or (N, C, T)."""
    header = read_header(stream, name)
    if header.dtype.kind not in "iuf":
        raise ValueError(f"{name}: holds {header.dtype.name}; store whole or real numbers")
    if len(header.shape) not in (2, 3):
        raise ValueError(f"{name}: shape is {header.shape}; expected (N, T) or (N, C, T)")
    return header


def _series(array: NDArray[Any], name: str) -> Iterator[Reals]:
    """Yield the series of an array, each (T, C)."""
    for index, one in enumerate(array):
        samples = one[:, None] if one.ndim == 1 else one.T
        yield _finite(np.asarray(samples, dtype=np.float64), f"{name}, series {index}")


def _finite(samples: Reals, name: str) -> Reals:
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise ValueError(f"{name}: {bad:,} of {samples.size:,} samples are no finite numbers")
    return samples
