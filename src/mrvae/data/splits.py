"""Which images are held out for validation, and which for the test, once for all.

The order comes from NumPy's ``RandomState``, whose streams are frozen for ever (NEP 19), with the
seed 11172018 of the published VDVAE code: for CIFAR-10 the first 5,000 of its permutation are
that code's validation images.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SPLITS = ("train", "validation", "test")
"""The names of the splits."""

_SEED = 11172018


def fixed_order(count: int) -> Tensor:
    """Return a permutation of 0 … count-1 that is the same on every machine and for ever.

    Example:
        >>> fixed_order(5).tolist()
        [3, 0, 2, 1, 4]

    """
    frozen = np.random.RandomState(_SEED)
    return torch.from_numpy(frozen.permutation(count)).long()


def held_out(split: str, count: int, validation: int, test: int = 0) -> Tensor:
    """Return the indices of a split of ``count`` images, ascending.

    The first ``validation`` images of the fixed order are for validation, the next ``test`` for
    the test, and the rest for training. Raises ``ValueError`` if a split would be empty.

    Example:
        >>> [held_out(split, 5, validation=1, test=2).tolist() for split in SPLITS]
        [[1, 4], [3], [0, 2]]

    """
    order = fixed_order(count)
    parts = {
        "train": order[validation + test :],
        "validation": order[:validation],
        "test": order[validation : validation + test],
    }
    if len(parts[split]) == 0:
        raise ValueError(f"{count} images are too few to hold some out for {split!r}")
    return parts[split].sort().values


def a_tenth(count: int) -> int:
    """Return how many of ``count`` training images to hold out: a tenth, at most 5,000."""
    return min(5000, count // 10)
