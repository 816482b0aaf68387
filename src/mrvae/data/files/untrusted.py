"""What is checked of every file before it is read.

Files are untrusted: a header may declare more than the file holds, a few compressed bytes may
expand to gigabytes, and a parser may raise any error on damaged input. So a declared
size is compared with the file's length before anything is allocated, compressed data with
DEFLATE's largest ratio, which is 1,032 to 1, and what a parser raises becomes one line that names
the file.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

LARGEST = 1 << 34
"""Bytes that a set read into memory may take (16 GiB)."""

_DEFLATE_RATIO = 1032


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a parser raises about a file into a ``ValueError`` of one line that names it.

    Errors that name the file already pass. A parser's warnings are dropped, but for that of a
    decompression bomb, which is an error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    # Every parser has errors of its own, and damage makes it raise others too.
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: cannot be read ({brief(error)}); get the file again") from error


def check_size(path: Path, declared: int, stored: int, compressed: bool) -> None:
    """Refuse a declared size in bytes that ``stored`` bytes of a file cannot hold.

    Raises ``ValueError``.
    """
    if declared > (stored * _DEFLATE_RATIO if compressed else stored):
        raise ValueError(
            f"{path}: declares {declared:,} bytes and cannot hold them in {stored:,}; "
            "it is truncated or damaged, get the file again"
        )
    if declared > LARGEST:
        raise ValueError(
            f"{path}: its {declared:,} bytes are more than are read into memory; "
            "store the images as one .npy file, which is read a batch at a time"
        )


def brief(error: BaseException) -> str:
    """Return an error's message on one line, at most 160 characters of it."""
    return (" ".join(str(error).split()) or type(error).__name__)[:160]
