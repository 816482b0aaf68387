"""The 1,797 handwritten digits that come with scikit-learn: 8×8 pixels of 17 bins.

They need no download, and a model of them trains in seconds. The set has no published split; here
1,300 are for training, 100 for validation and 397 for the test, by the fixed order.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from mrvae.data.images import Images
from mrvae.data.splits import held_out

_VALIDATION, _TEST = 100, 397
_PLACE = "datasets", "data", "digits.csv.gz"
_SIDE = 8


def load_digits(split: str) -> Images:
    """Return a split of the digits, with shape (N, 1, 8, 8) and 17 bins.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.

    Example:
        >>> [len(load_digits(split)) for split in ("train", "validation", "test")]
        [1300, 100, 397]

    """
    pixels = _pixels()
    indices = held_out(split, len(pixels), _VALIDATION, _TEST)
    return Images(pixels[indices], "digits", split, bins=17)


def _pixels() -> torch.Tensor:
    """Return all digits, uint8 (1797, 1, 8, 8), from the file that scikit-learn brings."""
    spec = find_spec("sklearn")
    folders = [] if spec is None else spec.submodule_search_locations or []
    path = next((p for p in (Path(folder, *_PLACE) for folder in folders) if p.is_file()), None)
    if path is None:
        # Another version may keep it elsewhere. The import takes as long as that of torch.
        from sklearn.datasets import load_digits as bundled

        return torch.from_numpy(bundled().images.astype(np.uint8))[:, None]
    # Each row is 64 pixels and the digit that they show.
    text = gzip.decompress(path.read_bytes()).decode().replace("\n", ",")
    rows = np.fromstring(text, sep=",").reshape(-1, _SIDE * _SIDE + 1)
    return torch.from_numpy(rows[:, :-1].astype(np.uint8)).view(-1, 1, _SIDE, _SIDE)
