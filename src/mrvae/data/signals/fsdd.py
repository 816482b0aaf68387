"""The Free Spoken Digit Dataset: which recordings are for training, validation and the test.

A file is named DIGIT_SPEAKER_TAKE.wav. The test holds out *speakers*, nicolas and theo, so that a
model is measured on voices that it never heard; the others, george, jackson and lucas, are for
training, but for their takes 0-4, which are for validation. (By the data set's own rule the takes
0-4 of all speakers are the test.) Recordings of other speakers are not used.

Source: Z. Jackson et al., Jakobovski/free-spoken-digit-dataset, Zenodo; CC BY-SA 4.0.
"""

from __future__ import annotations

import re
from pathlib import Path

from mrvae.data.files.listing import entries

_TRAINING, _TEST = ("george", "jackson", "lucas"), ("nicolas", "theo")
_VALIDATION_TAKES = 5
_NAME = re.compile(r"\d_([a-z]+)_(\d+)\.wav")
_PLACES = ("fsdd", "fsdd/recordings", "free-spoken-digit-dataset/recordings")


def fsdd_paths(split: str, root: Path | None) -> list[Path]:
    """Return the files of a split, in the order of their names.

    Raises ``ValueError`` if there is no such folder in the data folder, or none for the split.
    """
    folders = [] if root is None else [root / place for place in _PLACES]
    paths = [path for folder in folders if folder.is_dir() for path in entries(folder)]
    chosen = [path for path in paths if _split_of(path.name) == split]
    if not chosen:
        raise ValueError(
            f"{root or 'no data folder'}: holds no fsdd/0_george_0.wav and so on; get the "
            "recordings from https://github.com/Jakobovski/free-spoken-digit-dataset, and name "
            "the folder that holds fsdd with --data-dir"
        )
    return chosen


def _split_of(name: str) -> str | None:
    """Return the split of a file, None if it is of none."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in _TRAINING + _TEST:
        return None
    if found[1] in _TEST:
        return "test"
    return "validation" if int(found[2]) < _VALIDATION_TAKES else "train"
