"""The 1,797 handwritten digits that come with scikit-learn: 8×8 pixels of 17 bins.

They need no download, and a model of them trains in seconds. The set has no published split; here
1,300 are for training, 100 for validation and 397 for the test, by the fixed order.
"""

from __future__ import annotations

import torch

from mrvae.data.images import Images
from mrvae.data.splits import held_out

_VALIDATION, _TEST = 100, 397


def load_digits(split: str) -> Images:
    """Return a split of the digits, with shape (N, 1, 8, 8) and 17 bins.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.

    Example:
        >>> [len(load_digits(split)) for split in ("train", "validation", "test")]
        [1300, 100, 397]

    """
    # Importing scikit-learn takes a second that no other data set should pay.
    from sklearn.datasets import load_digits as bundled

    pixels = torch.from_numpy(bundled().images).to(torch.uint8)[:, None]
    indices = held_out(split, len(pixels), _VALIDATION, _TEST)
    return Images(pixels[indices], "digits", split, bins=17)
