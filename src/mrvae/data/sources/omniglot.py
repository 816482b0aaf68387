"""OMNIGLOT at 28×28, from the file ``chardata.mat`` of the importance-weighted autoencoder.

The file holds 24,345 training and 8,070 test images as columns of numbers in [0, 1], each image
transposed. A number v becomes the pixel round(255·v): a grey value is a probability of ink, and it
is kept to within 1/510. 1,000 of the training images are held out for validation by the fixed
order, as many as in the published DCT-VAE code; which ones that code took is not known.

The publisher gives no checksum, so the counts and the range of values are checked instead. Other
cuts of OMNIGLOT have other images and give other numbers.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrvae.data.files import mat
from mrvae.data.files.untrusted import opened
from mrvae.data.images import Images
from mrvae.data.sources.download import Remote, find
from mrvae.data.splits import held_out

TRAIN, TEST, VALIDATION = 24_345, 8_070, 1_000
"""Images in the published file for training and for the test, and those held out."""

_SIDE = 28
# Bytes of a matrix that are not its values.
_OVERHEAD = 4096
_REMOTE = Remote(
    "https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/chardata.mat",
    None,
    ("chardata.mat",),
    ("omniglot", "OMNIGLOT"),
    "another cut of it as an .npz file can be given by data.source=FILE.npz",
)


def load_omniglot(split: str, data_dir: Path | None) -> Images:
    """Return a split of OMNIGLOT, with shape (N, 1, 28, 28): 23,345, 1,000 or 8,070 images.

    Raises ``ValueError`` if the file is missing or damaged, or is not that of the paper.
    Source: Y. Burda, R. Grosse and R. Salakhutdinov, Importance weighted autoencoders, 2016.
    """
    path = find(_REMOTE, data_dir)
    key, count = ("testdata", TEST) if split == "test" else ("data", TRAIN)
    images = Images(torch.from_numpy(read_pixels(path, key, count)), "omniglot", split)
    if split == "test":
        return images
    return images.subset(held_out(split, count, VALIDATION))


def read_pixels(path: Path, key: str, count: int) -> NDArray[np.uint8]:
    """Read ``count`` images of a .mat file's array: uint8 of shape (count, 1, 28, 28).

    Raises ``ValueError`` if there is no real array ``key`` of shape (784, count) in [0, 1].
    """
    # Importing scipy.io takes a moment that no other data set should pay.
    from scipy.io import loadmat, whosmat

    expected = (_SIDE * _SIDE, count)
    with opened(path) as stream:
        matrix = mat.only(stream, key, 8 * prod(expected) + _OVERHEAD)
        declared = [(shape, kind) for name, shape, kind in whosmat(matrix) if name == key]
        if declared not in ([(expected, "double")], [(expected, "single")]):
            raise ValueError(f"declares {key!r} as {declared or 'absent'}, not real of {expected}")
        matrix.seek(0)
        values = loadmat(matrix, variable_names=[key])[key]
        if values.shape != expected or values.dtype.kind not in "fiu":
            raise ValueError(f"{key!r} is {values.dtype} of {values.shape}, not real of {expected}")
        if not (values.min() >= 0 and values.max() <= 1):
            raise ValueError(f"{key!r} has values outside [0, 1]")
    columns = np.empty(expected, np.uint8)
    for rows, real in zip(columns, values, strict=True):
        rows[:] = np.rint(real * 255.0)
    upright = columns.T.reshape(count, 1, _SIDE, _SIDE).swapaxes(2, 3)
    return np.ascontiguousarray(upright)
