"""Atomic writing of files.

A file is written under a temporary name in the folder of its final one, flushed to the disk, and
renamed over it. A reader, or a run killed at any moment, sees the old file or the new one. What a
killed run leaves under temporary names is deleted when it is resumed.
"""

from __future__ import annotations

import json
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}(\..*)?")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` if the block ends without an error.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic(Path(folder) / "a.txt") as temporary:
        ...         _ = temporary.write_text("whole")
        ...     sorted(p.name for p in Path(folder).iterdir())
        ['a.txt']
    """
    # The suffix stays last: writers such as matplotlib choose the format by it.
    written = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        yield written
        _flush(written)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete the temporary files that killed processes left in ``folder``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     left = Path(folder) / f".a.{uuid.uuid4().hex}.txt"
        ...     _ = left.write_text("hal"), (Path(folder) / ".mine.txt").write_text("whole")
        ...     sweep(Path(folder))
        ...     sorted(p.name for p in Path(folder).iterdir())
        ['.mine.txt']
    """
    for path in folder.iterdir():
        if temporary(path):
            path.unlink(missing_ok=True)


def temporary(path: Path) -> bool:
    """Tell whether a file has the name of one that is, or was, being written.

    Example:
        >>> temporary(Path(".a.txt"))
        False
    """
    return _TEMPORARY.fullmatch(path.name) is not None and path.is_file()


def check_regular(path: Path, largest: int) -> None:
    """Refuse to read what is no regular file after links, or has more than ``largest`` bytes.

    Reading a pipe waits for a writer, and a device such as /dev/zero has no end.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is of another kind, or larger.

    Example:
        >>> check_regular(Path("/dev/null"), 100)
        Traceback (most recent call last):
        ValueError: /dev/null is no regular file; put the file itself there
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no regular file; put the file itself there")
    if status.st_size > largest:
        raise ValueError(f"{path} has {status.st_size:,} bytes; at most {largest:,} are read")


def _flush(path: Path) -> None:
    """Force the file's bytes to the disk before the rename makes them visible."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def writable(path: Path) -> None:
    """Refuse a path that could not be written, before any work is done for it.

    Raises:
        ValueError: if the folder of ``path`` is missing or read-only, or ``path`` is a folder.
    """
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"cannot write {path}: the folder {folder} does not exist; make it first")
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"cannot write {path}: the folder {folder} is read-only")


def reason(error: OSError) -> str:
    """Return the operating system's message, with the path where there is one.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory", "a.txt"))
        'a.txt: No such file or directory'
    """
    message = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {message}" if error.filename else message
