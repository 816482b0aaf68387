"""Images in NumPy's own files: one .npy array, or an .npz with x_train and x_test.

Both hold uint8 pixels, laid out as (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3. A .npy
file is read a batch at a time, so it may be larger than memory; the arrays of an .npz are read
whole, and may not. Headers are read first: the type must be uint8 (objects would need pickle), and
the declared size must be what the file holds.

A .npy file is opened for each batch and closed again. So any number of files may be shards of one
set, and a file that is changed while it is in use is noticed by its length, and never by a fault of
the memory that it was mapped into.
"""

from __future__ import annotations

import io
import os
import tokenize
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from mrvae.data.files.untrusted import brief, check_size, opened, printable
from mrvae.data.images import Images, check_shape
from mrvae.data.rows import Shape
from mrvae.data.splits import a_tenth, held_out

_VALIDATION_KEYS = ("x_validation", "x_val")
_HEADER_START = 12
_LONGEST_HEADER = 1 << 16
_LONGEST_LIST = 200
_PIECE = 1 << 20


class ArrayHeader(NamedTuple):
    """What a .npy header declares: shape, order of axes, where the data begin, and their type."""

    shape: tuple[int, ...]
    fortran: bool
    offset: int
    dtype: np.dtype[Any] = np.dtype(np.uint8)

    @property
    def size(self) -> int:
        """Length in bytes of the data."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def end(self) -> int:
        """Length in bytes of the whole file."""
        return self.offset + self.size


def load_npy(path: Path, split: str) -> Images:
    """Return a split of a .npy file: by the fixed order 80 % training and 10 % each of the others.

    Raises ``ValueError`` if the file is damaged, not uint8, or of another layout.
    """
    return _split(Images(open_npy(path), path.stem, split))


def _split(images: Images) -> Images:
    """Return the images of their split: 80 % training and 10 % each of the others."""
    tenth = len(images) // 10
    return images.subset(held_out(images.split, len(images), tenth, tenth))


def _single(archive: zipfile.ZipFile) -> str | None:
    """Return the name of an archive's only array, unless it is that of a split."""
    names = archive.namelist()
    name = names[0].removesuffix(".npy") if len(names) == 1 else ""
    of_splits = name in ("x_train", "x_test", *_VALIDATION_KEYS)
    # numpy.savez writes names of Python; any other is refused as a missing array, and escaped.
    return name if name.isidentifier() and not of_splits else None


@dataclass(frozen=True, eq=False)
class NpyRows:
    """The images of a .npy file, read when they are taken.

    ``axes`` permutes the stored axes to (N, C, H, W); a grey array of three axes is given one of
    length 1 first.
    """

    path: Path
    header: ArrayHeader
    axes: tuple[int, int, int, int]

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        stored = _with_channel_axis(self.header.shape)
        count, channels, height, width = (stored[axis] for axis in self.axes)
        return count, channels, height, width

    def rows(self, indices: Tensor) -> Tensor:
        """Read the images at ``indices``.

        Raises ``ValueError`` if the file is gone, or has another length than when it was opened.
        """
        with opened(self.path) as stream:
            self._check_length(stream)
            read = self._strided if self.header.fortran else self._contiguous
            images = read(stream, indices)
        images = images.reshape(len(indices), *_with_channel_axis(self.header.shape)[1:])
        return torch.from_numpy(np.ascontiguousarray(images.transpose(self.axes)))

    def _contiguous(self, stream: BinaryIO, indices: Tensor) -> NDArray[np.uint8]:
        """Read the images of an array in C order, each of which is one piece of the file."""
        size = prod(self.header.shape[1:])
        images = np.empty((len(indices), size), np.uint8)
        for row, index in zip(images, indices.tolist(), strict=True):
            stream.seek(self.header.offset + index * size)
            if stream.readinto(row.data) != size:  # type: ignore[attr-defined]
                self._check_length(stream)
        return images

    def _strided(self, stream: BinaryIO, indices: Tensor) -> NDArray[np.uint8]:
        """Copy the images of an array in Fortran order, of which each is spread over the file."""
        header = self.header
        array = np.memmap(stream, np.uint8, "r", header.offset, header.shape, "F")
        return np.ascontiguousarray(array[indices.numpy()])

    def _check_length(self, stream: BinaryIO) -> None:
        length = os.fstat(stream.fileno()).st_size
        if length != self.header.end:
            raise ValueError(
                f"{self.path}: had {self.header.end:,} bytes when it was opened and has "
                f"{length:,} now; put the old file back, then start again, a training by --resume"
            )


def open_npy(path: Path) -> NpyRows:
    """Return the images of a .npy file, to be read on demand.

    Raises ``ValueError`` as :func:`load_npy` does.
    """
    with opened(path) as stream:
        header = _pixel_header(stream, str(path))
        length = os.fstat(stream.fileno()).st_size
        if header.end != length:
            raise ValueError(
                f"{path}: declares {header.end:,} bytes and has {length:,}; "
                "it is truncated or damaged, get the file again"
            )
        return NpyRows(path, header, layout(header.shape, str(path)))


def load_npz(path: Path, split: str, expected: tuple[int, int, int] | None = None) -> Images:
    """Return a split of an .npz file with the uint8 arrays x_train and x_test.

    Validation images are x_validation (or x_val) if there, else min(5000, N // 10) of x_train, by
    the fixed order. A file of a single array of another name is split as a .npy file is. Raises
    ``ValueError`` if an array is missing, damaged, not uint8, or of
    another layout, or if its images are not of the shape ``expected``.

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
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        single = _single(archive)
        if single is not None:
            return _split(Images(_read_member(archive, single, path, expected), path.stem, split))
        own = [key for key in _VALIDATION_KEYS if f"{key}.npy" in archive.namelist()]
        keys = {"train": "x_train", "test": "x_test", "validation": [*own, "x_train"][0]}
        pixels = _read_member(archive, keys[split], path, expected)
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
        _check_many(shape, name)
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


def _check_many(shape: tuple[int, ...], name: str) -> None:
    """Refuse a photograph, whose three axes would be taken for many grey images."""
    first, height, last = shape
    colour = last in (1, 3) and height > 1
    if colour or first == 3:
        one = "(H, W, C)" if colour else "(C, H, W)"
        raise ValueError(
            f"{name}: shape {shape} may be one picture {one} or {first} grey images; store "
            "array[None] for the one, array[..., None] for the others"
        )


def _with_channel_axis(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Give the shape of a grey array of three axes a last axis of one channel."""
    return (*shape, 1) if len(shape) == 3 else shape


def _read_member(
    archive: zipfile.ZipFile, key: str, path: Path, expected: tuple[int, int, int] | None
) -> Tensor:
    """Read one array of an .npz as uint8 (N, C, H, W), into the memory that its header declares."""
    name = f"{path}, {key}"
    with open_member(archive, key, path) as stream:
        header = _pixel_header(stream, name)
        axes = layout(header.shape, name)
        shape = _with_channel_axis(header.shape)
        if expected is not None:
            _, channels, height, width = (shape[axis] for axis in axes)
            check_shape(name, (channels, height, width), expected)
        array = read_member(archive, key, path, stream, header)
    array = array.reshape(shape, order="F" if header.fortran else "C")
    return torch.from_numpy(np.ascontiguousarray(array.transpose(axes)))


def open_member(archive: zipfile.ZipFile, key: str, path: Path) -> IO[bytes]:
    """Open an array of an .npz.

    Raises ``ValueError`` if there is none of this name, or it is compressed in an unknown way.
    """
    if f"{key}.npy" not in archive.namelist():
        present = ", ".join(sorted(n.removesuffix(".npy") for n in archive.namelist())[:8])
        held = printable(present)[:_LONGEST_LIST] or "nothing"
        raise ValueError(f"{path}: holds no array {key!r} but {held}; add {key!r}")
    member = archive.getinfo(f"{key}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{path}, {key}: is compressed in an unknown way; use numpy.savez")
    return archive.open(member)


def read_member(
    archive: zipfile.ZipFile, key: str, path: Path, stream: IO[bytes], header: ArrayHeader
) -> NDArray[Any]:
    """Read the data that follow the header of an .npz's array, flat and in the order stored.

    Raises ``ValueError`` if the header declares another size than the archive, or too large a one.
    """
    member = archive.getinfo(f"{key}.npy")
    if header.end != member.file_size:
        raise ValueError(
            f"{path}, {key}: declares {header.end:,} bytes and has {member.file_size:,}; "
            "it is damaged, get the file again"
        )
    stored = min(member.compress_size, path.stat().st_size)
    check_size(path, header.end, stored, member.compress_type == zipfile.ZIP_DEFLATED)
    return _read_bytes(stream, header.size).view(header.dtype)


def _read_bytes(stream: IO[bytes], count: int) -> NDArray[np.uint8]:
    """Read ``count`` bytes piece by piece, so that only one copy of them is made."""
    array = np.empty(count, np.uint8)
    place = 0
    while place < count:
        piece = stream.read(min(_PIECE, count - place))
        if not piece:
            raise EOFError("an array ends early")
        array[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
        place += len(piece)
    # At its end a member is compared with its CRC.
    stream.read(1)
    return array


def _pixel_header(stream: IO[bytes], name: str) -> ArrayHeader:
    """Read the header of a .npy file, and refuse every type but uint8."""
    header = read_header(stream, name)
    if header.dtype != np.uint8:
        raise ValueError(
            f"{name}: holds {header.dtype.name} and not uint8; store pixels 0…255 as uint8"
        )
    return header


def read_header(stream: IO[bytes], name: str) -> ArrayHeader:
    """Read the header of a .npy file.

    Raises ``ValueError`` if it is none, or the array has no elements.
    """
    try:
        start = stream.read(_HEADER_START)
        version = npy.read_magic(io.BytesIO(start))
        size = 2 if version == (1, 0) else 4
        length = int.from_bytes(start[8 : 8 + size], "little")
        if length > _LONGEST_HEADER:
            raise ValueError(f"its header has {length:,} bytes")
        head = io.BytesIO(start + stream.read(8 + size + length - len(start)))
        head.seek(8)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(head)
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"{name}: is no .npy array ({brief(error)}); use numpy.save") from error
    if any(size < 1 for size in shape):
        raise ValueError(f"{name}: shape is {shape}; there must be at least one image")
    return ArrayHeader(shape, fortran, 8 + size + length, dtype)
