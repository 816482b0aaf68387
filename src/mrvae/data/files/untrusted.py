"""What is checked of every file before it is read.

Files are untrusted: a path may name a pipe that never ends, a header may declare more than the file
holds, a few compressed bytes may expand to gigabytes, and a parser may raise any error on damaged
input. So only regular files are opened, a declared size is compared with the file's length before
anything is allocated, and what a parser raises becomes one line that names the file.

Compressed data have two bounds. DEFLATE expands at most 1,032 to 1, so that a larger size is a
false one. And beyond ``FREE`` bytes, data that expand more than ``EXPANSION`` to 1 are refused:
photographs expand 2 to 1 as PNG, 30 to 1 as JPEG, binary digits 25 to 1, blank pages 1,000 to 1.
"""

from __future__ import annotations

import errno
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

LARGEST = 1 << 34
"""Bytes that a set read into memory may take (16 GiB)."""

FREE = 1 << 28
"""Bytes that any file may expand to (256 MiB)."""

EXPANSION = 50
"""How many times its stored bytes a set larger than ``FREE`` may take."""

_DEFLATE_RATIO = 1032
_SYSTEM_ERRORS = {
    errno.ENOENT: "there is no such file; check its path",
    errno.ENOTDIR: "there is no such file; check its path",
    errno.EISDIR: "is a folder, and a file is expected; name a file in it",
    errno.EACCES: "may not be read by this user; change its permissions",
    errno.EPERM: "may not be read by this user; change its permissions",
    errno.EMFILE: "cannot be opened, for this process has too many files open; raise `ulimit -n`",
    errno.ENFILE: "cannot be opened, for this machine has too many files open; close some",
    errno.ELOOP: "is a link that leads back to itself; mend the link",
    errno.ENOMEM: "needs more memory than there is; free some",
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever is raised about a file into a ``ValueError`` of one line that names it.

    Errors that name the file already pass. An error of the operating system, such as a missing
    permission, says what it is; only damaged bytes ask for another copy of the file. A parser's
    warnings are dropped, but for that of a decompression bomb, which is an error.
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
        raise ValueError(f"{path}: {_problem(error)}") from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file, or a link to one, and turn errors into one line as :func:`reading` does.

    Raises ``ValueError`` for a pipe, a socket or a device, whose reading might never end.
    """
    with reading(path):
        check_regular(path)
        with path.open("rb") as stream:
            yield stream


def check_regular(path: Path) -> None:
    """Refuse what is neither a regular file nor a link to one.

    Raises ``ValueError``, and ``OSError`` if there is nothing.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path}: {_SYSTEM_ERRORS[errno.EISDIR]}")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path}: is no regular file but a pipe, socket or device; name a file")


def check_size(path: Path, declared: int, stored: int, compressed: bool) -> None:
    """Refuse a declared size in bytes that ``stored`` bytes of a file cannot or should not hold.

    Raises ``ValueError``.
    """
    if declared > (stored * _DEFLATE_RATIO if compressed else stored):
        raise ValueError(
            f"{path}: declares {declared:,} bytes and cannot hold them in {stored:,}; "
            "it is truncated or damaged, get the file again"
        )
    check_expansion(path, declared, stored)


def check_expansion(path: Path, size: int, stored: int) -> None:
    """Refuse a set of ``size`` bytes in memory that is too large, or much larger than its files.

    Raises ``ValueError``.
    """
    mend = "store the images as one .npy file, which is read a batch at a time"
    if size > LARGEST:
        raise ValueError(f"{path}: its {size:,} bytes are more than are read into memory; {mend}")
    if size > FREE and size > EXPANSION * stored:
        raise ValueError(
            f"{path}: its {stored:,} bytes expand to {size:,}; beyond {FREE:,} bytes at most "
            f"{EXPANSION} times the stored size is read into memory; {mend}"
        )


def brief(error: BaseException) -> str:
    """Return an error's message on one line, at most 160 printable characters of it."""
    return printable(" ".join(str(error).split()) or type(error).__name__)[:160]


def printable(text: str) -> str:
    r"""Return a text whose control characters are escaped, so that a terminal shows them.

    Example:
        >>> print(printable("x\x1b[2J"))
        x\x1b[2J

    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _problem(error: Exception) -> str:
    """Say what is wrong, and what to do about it."""
    if isinstance(error, MemoryError):
        return _SYSTEM_ERRORS[errno.ENOMEM]
    if isinstance(error, OSError) and error.errno is not None:
        known = _SYSTEM_ERRORS.get(error.errno)
        return known or f"cannot be read ({error.strerror}); check the disk that holds it"
    return f"cannot be read ({brief(error)}); get the file again"
