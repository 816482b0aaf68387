"""CIFAR-10, from the batches it was published in, without running them.

A batch is a Python pickle, and to unpickle is to run a program that the file contains. Nothing of
it is run here. :func:`pickletools.genops` only *disassembles* the program into its instructions
and their operands; the pixels of 10,000 images are the one operand of exactly 10,000·3·32·32 bytes,
the raw contents of a uint8 array in C order. A file that would have called anything but NumPy's
reconstruction of an array is refused, although it could do no harm: it is not the published one.

The validation images are those of the published VDVAE code (Child 2021), which takes the first
5,000 of a frozen permutation of the 50,000.
"""

from __future__ import annotations

import io
import pickletools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pooch
import torch
from torch import Tensor

from mrvae.data.files.untrusted import brief, check_regular, opened, reading
from mrvae.data.images import Images
from mrvae.data.sources.download import Remote, find
from mrvae.data.splits import held_out

BATCH, VALIDATION = 10_000, 5_000
"""Images in a published batch, and those of the five training batches that are held out."""

_IMAGE = (3, 32, 32)
_NAMING = {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_ARRAY_NAMES = {
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
    "_codecs encode",
}
# A published batch has 31 MB, and some 30,000 instructions; the archive has 170 MB.
_LARGEST_FILE, _MOST_INSTRUCTIONS, _LARGEST_ARCHIVE = 1 << 25, 500_000, 1 << 28
_FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_REMOTE = Remote(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "md5:c58f30108f718f92721af3b95e74349a",
    (_FOLDER, "cifar-10-python.tar.gz", "data_batch_1"),
    (_FOLDER, "cifar10", "cifar-10"),
    "a part of it as an .npz file can be given by data.source=FILE.npz",
)


def load_cifar10(split: str, data_dir: Path | None) -> Images:
    """Return a split of CIFAR-10, with shape (N, 3, 32, 32): 45,000, 5,000 or 10,000 images.

    Raises ``ValueError`` if the batches are missing or damaged.
    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    path = find(_REMOTE, data_dir)
    if path.name == _TRAIN[0]:
        path = path.parent
    names = ("test_batch",) if split == "test" else _TRAIN
    with reading(path):
        batches = _from_folder(path, names) if path.is_dir() else _from_archive(path, names)
    named = zip(names, batches, strict=True)
    pixels = torch.cat([pixels_of(batch, f"{path}, {name}", BATCH) for name, batch in named])
    images = Images(pixels, "cifar10", split)
    if split == "test":
        return images
    return images.subset(held_out(split, len(images), VALIDATION))


def pixels_of(batch: bytes, name: str, count: int) -> Tensor:
    """Return the pixels in the bytes of a batch: uint8 of shape (count, 3, 32, 32).

    The batch is disassembled and never executed. Raises ``ValueError`` if it is not a pickle from
    beginning to end, or does not hold the pixels of ``count`` images exactly once.
    """
    wanted = count * 3 * 32 * 32
    try:
        operands = [o for o in _operands(batch) if isinstance(o, str | bytes) and len(o) == wanted]
        # Python 2 wrote byte strings, which are disassembled into one Latin-1 letter a byte.
        raw = [o.encode("latin-1") if isinstance(o, str) else o for o in operands]
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{name}: is no batch of CIFAR-10 ({brief(error)}); get the file again"
        ) from error
    if len(raw) != 1:
        raise ValueError(
            f"{name}: holds {len(raw)} arrays of {wanted:,} bytes, and a batch of CIFAR-10 has "
            f"one, the pixels of {count:,} images; get the file again"
        )
    return torch.frombuffer(bytearray(raw[0]), dtype=torch.uint8).view(count, *_IMAGE)


def _operands(batch: bytes) -> Iterator[object]:
    """Yield the operands of a pickle's instructions, if it names only what arrays are made of."""
    for number, (instruction, operand, _) in enumerate(pickletools.genops(io.BytesIO(batch))):
        if number >= _MOST_INSTRUCTIONS:
            raise ValueError(f"it has more than {_MOST_INSTRUCTIONS:,} instructions")
        if instruction.name in _NAMING and operand not in _ARRAY_NAMES:
            raise ValueError(f"it would call {operand or 'something unnamed'}")
        yield operand


def _from_folder(folder: Path, names: tuple[str, ...]) -> list[bytes]:
    """Read the named batches of an unpacked folder."""
    batches = []
    for name in names:
        path = folder / name
        if not path.exists():
            raise ValueError(f"{folder}: holds no {name}; unpack {_REMOTE.url} there")
        with opened(path) as stream:
            batch = stream.read(_LARGEST_FILE + 1)
        if len(batch) > _LARGEST_FILE:
            raise ValueError(f"{path}: is too large for a batch of CIFAR-10; get the file again")
        batches.append(batch)
    return batches


def _from_archive(path: Path, names: tuple[str, ...]) -> list[bytes]:
    """Read the named batches of the archive, if it is the published one; nothing is unpacked."""
    check_regular(path)
    if path.stat().st_size > _LARGEST_ARCHIVE:
        raise ValueError(f"{path}: is too large for CIFAR-10; get {_REMOTE.url} again")
    if f"md5:{pooch.file_hash(str(path), alg='md5')}" != _REMOTE.checksum:
        raise ValueError(f"{path}: is not the published archive; get {_REMOTE.url} again")
    with tarfile.open(path, "r:gz") as archive:
        members = [archive.extractfile(f"{_FOLDER}/{name}") for name in names]
        return [b"" if member is None else member.read() for member in members]
