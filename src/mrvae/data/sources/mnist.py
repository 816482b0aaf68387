"""MNIST, from the four-byte-header files it was published in.

An idx file of images is: the bytes 0, 0, 8 (unsigned bytes), 3 (axes); the three sizes N, H, W as
big-endian 32-bit integers; then N·H·W bytes. The last 5,000 images of a frozen permutation of the
60,000 training images are held out for validation.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from mrvae.data.files.untrusted import check_size, reading
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
    array = read_idx(path)
    if array.shape != (count, 28, 28):
        raise ValueError(
            f"{path}: holds images of shape {array.shape}, and MNIST's are ({count}, 28, 28); "
            f"fetch the published file from {_SITE}"
        )
    pixels = torch.from_numpy(array)[:, None]
    if split != "test":
        pixels = pixels[held_out(split, count, validation=5000)]
    return Images(pixels, "mnist", split)


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an idx file of images, plain or gzipped by its first bytes: uint8 (N, H, W).

    Raises ``ValueError`` if it is not such a file, or holds more or fewer bytes than it declares.
    """
    with reading(path), path.open("rb") as plain:
        compressed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not compressed:
            return _read_images(plain, path, compressed)
        with gzip.GzipFile(fileobj=plain) as inflated:
            return _read_images(inflated, path, compressed)


def _read_images(
    stream: BinaryIO | gzip.GzipFile, path: Path, compressed: bool
) -> NDArray[np.uint8]:
    """Read header and pixels, never more than one byte beyond what is declared."""
    header = stream.read(_HEADER)
    if len(header) < _HEADER or header[:4] != _MAGIC:
        raise ValueError(
            f"{path}: is no idx file of images (it begins with {header[:4].hex() or 'nothing'}, "
            f"not {_MAGIC.hex()}); get the file again"
        )
    shape = tuple(int(size) for size in np.frombuffer(header, dtype=">u4", offset=4))
    declared = shape[0] * shape[1] * shape[2]
    check_size(path, declared + _HEADER, path.stat().st_size, compressed)
    data = stream.read(declared + 1)
    if len(data) != declared:
        length = "more" if len(data) > declared else f"only {len(data):,}"
        raise ValueError(
            f"{path}: declares {shape} = {declared:,} bytes and holds {length}; get the file again"
        )
    return np.frombuffer(bytearray(data), dtype=np.uint8).reshape(shape)
