"""Files of every kind that the data room reads, small and made up."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image


def random_pixels(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def distinct(x: torch.Tensor) -> int:
    """The number of different rows."""
    return len({tuple(row) for row in x.flatten(1).tolist()})


def write_idx(path: Path, images: NDArray[np.uint8]) -> bytes:
    """Write an idx file, gzipped if the name ends so, and return its plain bytes."""
    data = b"\x00\x00\x08\x03" + struct.pack(">3I", *images.shape) + images.tobytes()
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return data


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (5, 4)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = random_pixels(size[1], size[0], 3, seed=number)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


def cifar_batch(pixels: NDArray[np.uint8]) -> bytes:
    """A batch as Python 2 wrote it (protocol 2, byte strings), put together by hand."""
    raw = pixels.tobytes()
    return (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03"
        b"cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05(K\x01"
        + b"J"
        + struct.pack("<i", len(pixels))
        + b"M\x00\x0c\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R"
        + b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<i", len(raw))
        + raw
        + b"tbU\x06labels]q\x07(K\x03K\x04eu."
    )
