"""The electrocardiogram that comes with PyWavelets: 1,024 samples at 360 Hz, whole numbers.

It needs no download. The first 60 % are for training, the next 20 % for validation, the last 20 %
for the test.
"""

from __future__ import annotations

import numpy as np

from mrvae.data.signals.quantisers import Reals

_ENDS = {"train": (0, 614), "validation": (614, 819), "test": (819, 1024)}


def load_ecg(split: str) -> list[Reals]:
    """Return the samples of a split as one recording (T, 1), in -112 … 250.

    Source: the record of the MIT-BIH Arrhythmia Database in PyWavelets, ``pywt.data.ecg``.

    Example:
        >>> [len(load_ecg(split)[0]) for split in ("train", "validation", "test")]
        [614, 205, 205]
    """
    # Importing PyWavelets takes a moment that no other data should pay.
    import pywt

    first, end = _ENDS[split]
    return [pywt.data.ecg()[first:end, None].astype(np.float64)]
