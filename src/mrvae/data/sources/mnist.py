"""MNIST, from the four-byte-header files it was published in.

An idx file of images is: the bytes 0, 0, 8 (unsigned bytes), 3 (axes); the three sizes N, H, W as
big-endian 32-bit integers; then N·H·W bytes. The last 5,000 images of a frozen permutation of the
60,000 training images are held out for validation.
"""

from __future__ import annotations

from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrvae.data.files.inflate import gunzip
from mrvae.data.files.untrusted import opened
from mrvae.data.images import Images
from mrvae.data.sources.download import Remote, find
from mrvae.data.splits import held_out

_MAGIC = b"\x00\x00\x08\x03"
_HEADER = 16
_SITE = "https://ossci-datasets.s3.amazonaws.com/mnist"
_FOLDERS = ("mnist", "MNIST/raw")
_TRAIN = Remote(
    f"{_SITE}/train-images-idx3-ubyte.gz",
    "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte", "train-images.idx3-ubyte"),
    _FOLDERS,
)
_TEST = Remote(
    f"{_SITE}/t10k-images-idx3-ubyte.gz",
    "md5:9fb629c4189551a2d022fa330f9573f3",
    ("t10k-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"),
    _FOLDERS,
)


def load_mnist(split: str, data_dir: Path | None) -> Images:
    """Return a split of MNIST, with shape (N, 1, 28, 28): 55,000, 5,000 or 10,000 images.

    Raises ``ValueError`` if the file is missing or damaged, or is not MNIST's.
    Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
    """
    count = 10_000 if split == "test" else 60_000
    path = find(_TEST if split == "test" else _TRAIN, data_dir)
    array = read_idx(path, (count, 28, 28))
    pixels = torch.from_numpy(array)[:, None]
    if split != "test":
        pixels = pixels[held_out(split, count, validation=5000)]
    return Images(pixels, "mnist", split)


def read_idx(path: Path, expected: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Read an idx file of images, plain or gzipped by its first bytes: uint8 (N, H, W).

    Never more is read or inflated than ``expected`` images take. Raises ``ValueError`` if it is not
    such a file, declares another shape, or holds more or fewer bytes than it declares.
    """
    with opened(path) as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        read = partial(gunzip, stream) if compressed else stream.read
        data = read(_HEADER + prod(expected) + 1)
    if len(data) < _HEADER or data[:4] != _MAGIC:
        raise ValueError(
            f"{path}: is no idx file of images (it begins with {data[:4].hex() or 'nothing'}, "
            f"not {_MAGIC.hex()}); get the file again"
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", 3, offset=4))
    if shape != expected:
        raise ValueError(
            f"{path}: holds images of shape {shape}, and MNIST's are {expected}; "
            f"fetch the published file from {_SITE}"
        )
    held = len(data) - _HEADER
    if held != prod(shape):
        length = "more" if held > prod(shape) else f"only {held:,}"
        raise ValueError(
            f"{path}: declares {shape} = {prod(shape):,} bytes and holds {length}; get the file "
            "again"
        )
    return np.frombuffer(bytearray(data), dtype=np.uint8, offset=_HEADER).reshape(shape)
