"""Tables of text: one series a row, numbers separated by commas, semicolons or tabs.

Rows may have any lengths. An empty line is skipped; a row with a word, such as a heading, is
refused by its number.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mrvae.data.files.untrusted import brief, opened
from mrvae.data.signals.windows import Series

SUFFIXES = (".csv",)
"""Endings of the files that are read as tables."""

_MOST_BYTES = 1 << 28
_SEPARATORS = re.compile(r"[,;\t]")


def read(path: Path) -> list[Series]:
    r"""Return the rows of a table, float32 of shape (1, T) each.

    Raises ``ValueError`` if there is none, one holds anything but finite numbers, or the file is
    very large.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "two.csv").write_text("1, 2.5\n\n-3;4;5\n")
        ...     [row.tolist() for row in read(Path(folder, "two.csv"))]
        [[[1.0, 2.5]], [[-3.0, 4.0, 5.0]]]

    """
    rows = []
    with opened(path) as stream:
        if (length := path.stat().st_size) > _MOST_BYTES:
            raise ValueError(
                f"{path}: has {length:,} bytes; tables of up to {_MOST_BYTES:,} are read, store "
                "the series as .npy"
            )
        for number, line in enumerate(stream, 1):
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if text:
                rows.append(_row(text, f"{path}, row {number}"))
    if not rows:
        raise ValueError(f"{path}: holds no series; write one a row")
    return rows


def _row(text: str, name: str) -> Series:
    words = _SEPARATORS.split(text.rstrip(",;\t"))
    try:
        values = np.array([float(word) for word in words], np.float32)
    except ValueError as error:
        raise ValueError(f"{name}: {brief(error)}; write numbers only") from None
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: holds a number that is not finite; write others")
    return values[None]
