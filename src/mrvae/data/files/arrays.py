"""Images in NumPy's own files: one .npy array, or an .npz with x_train and x_test.

Both hold uint8 pixels, laid out as (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3. A .npy
file is mapped into memory and read a batch at a time, so it may be larger than memory; the arrays
of an .npz are read whole, and may not. Headers are read first: the type must
be uint8 (objects would need pickle), and the declared size must be what the file holds.
"""

from __future__ import annotations

import tokenize
import zipfile
from math import prod
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray

from mrvae.data.files.untrusted import brief, check_size, reading
from mrvae.data.images import Images
from mrvae.data.rows import ArrayRows
from mrvae.data.splits import a_tenth, held_out

_VALIDATION_KEYS = ("x_validation", "x_val")


class ArrayHeader(NamedTuple):
    """What a .npy header declares: the shape, the order of axes, and where the data begin."""

    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def end(self) -> int:
        """Length in bytes of the whole file, one byte per element."""
        return self.offset + prod(self.shape)


def load_npy(path: Path, split: str) -> Images:
    """Return a split of a .npy file: by the fixed order 80 % training and 10 % each of the others.

    Raises ``ValueError`` if the file is damaged, not uint8, or of another layout.
    """
    images = Images(map_npy(path), path.stem, split)
    tenth = len(images) // 10
    return images.subset(held_out(split, len(images), tenth, tenth))


def map_npy(path: Path) -> ArrayRows:
    """Map a .npy file into memory, as images that are read on demand.

    Raises ``ValueError`` as :func:`load_npy` does.
    """
    with reading(path):
        with path.open("rb") as stream:
            header = _read_header(stream, str(path))
        if header.end != path.stat().st_size:
            raise ValueError(
                f"{path}: declares {header.end:,} bytes and has {path.stat().st_size:,}; "
                "it is truncated or damaged, get the file again"
            )
        axes = layout(header.shape, str(path))
        order: Literal["F", "C"] = "F" if header.fortran else "C"
        array = np.memmap(path, np.uint8, "r", header.offset, header.shape, order)
    return ArrayRows(_with_channel(array), axes)


def load_npz(path: Path, split: str) -> Images:
    """Return a split of an .npz file with the uint8 arrays x_train and x_test.

    Validation images are x_validation (or x_val) if there, else min(5000, N // 10) of x_train, by
    the fixed order. Raises ``ValueError`` if an array is missing, damaged, not uint8, or of
    another layout.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> file = Path(folder.name) / "set.npz"
        >>> zeros = np.zeros((20, 4, 4), np.uint8)
        >>> np.savez(file, x_train=zeros, x_test=zeros[:5])
        >>> [len(load_npz(file, split)) for split in ("train", "validation", "test")]
        [18, 2, 5]
        >>> folder.cleanup()

    """
    with reading(path), zipfile.ZipFile(path) as archive:
        own = [key for key in _VALIDATION_KEYS if f"{key}.npy" in archive.namelist()]
        keys = {"train": "x_train", "test": "x_test", "validation": [*own, "x_train"][0]}
        array = _read_member(archive, keys[split], path)
    axes = layout(array.shape, f"{path}, {keys[split]}")
    pixels = torch.from_numpy(np.ascontiguousarray(_with_channel(array).transpose(axes)))
    images = Images(pixels, path.stem, split)
    if split == "test" or own:
        return images
    return images.subset(held_out(split, len(images), a_tenth(len(images))))


def layout(shape: tuple[int, ...], name: str) -> tuple[int, int, int, int]:
    """Return which stored axis is N, C, H and W; a grey (N, H, W) is read as (N, H, W, 1).

    Raises ``ValueError`` if the shape is none of the layouts, or of two.

    Example:
        >>> layout((9, 32, 32, 3), "colour"), layout((9, 1, 28, 28), "grey")
        ((0, 3, 1, 2), (0, 1, 2, 3))

    """
    if len(shape) == 3:
        return (0, 3, 1, 2)
    first, last = (len(shape) == 4 and shape[axis] in (1, 3) for axis in (1, -1))
    if first and last:
        raise ValueError(
            f"{name}: shape {shape} may be (N, C, H, W) or (N, H, W, C); use (N, H, W)"
        )
    if not (first or last):
        raise ValueError(
            f"{name}: shape is {shape}; expected (N, H, W), (N, H, W, C) or (N, C, H, W) with "
            "1 or 3 channels"
        )
    return (0, 1, 2, 3) if first else (0, 3, 1, 2)


def _with_channel(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Give a grey array of three axes a last axis of one channel."""
    return array[..., None] if array.ndim == 3 else array


def _read_member(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[np.uint8]:
    """Read one array of an .npz, into exactly the memory that its header declares."""
    if f"{key}.npy" not in archive.namelist():
        present = ", ".join(sorted(name.removesuffix(".npy") for name in archive.namelist())[:8])
        raise ValueError(f"{path}: holds no array {key!r} but {present or 'nothing'}; add {key!r}")
    member = archive.getinfo(f"{key}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{path}, {key}: is compressed in an unknown way; use numpy.savez")
    with archive.open(member) as stream:
        header = _read_header(stream, f"{path}, {key}")
        if header.end != member.file_size:
            raise ValueError(
                f"{path}, {key}: declares {header.end:,} bytes and has {member.file_size:,}; "
                "it is damaged, get the file again"
            )
        stored = min(member.compress_size, path.stat().st_size)
        check_size(path, header.end, stored, member.compress_type == zipfile.ZIP_DEFLATED)
        data = stream.read()
    array = np.frombuffer(bytearray(data), np.uint8, prod(header.shape))
    return array.reshape(header.shape, order="F" if header.fortran else "C")


def _read_header(stream: IO[bytes], name: str) -> ArrayHeader:
    """Read the header of a .npy file, and refuse every type but uint8."""
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"{name}: is no .npy array ({brief(error)}); use numpy.save") from error
    if dtype != np.uint8:
        raise ValueError(f"{name}: holds {dtype.name} and not uint8; store pixels 0…255 as uint8")
    if any(size < 1 for size in shape):
        raise ValueError(f"{name}: shape is {shape}; there must be at least one image")
    return ArrayHeader(shape, fortran, stream.tell())
