"""Atomic writing of files.

A file is written under a temporary name in the folder of its final one, flushed to the disk, and
renamed over it. A reader, or a run killed at any moment, sees the old file or the new one. What a
killed run leaves under temporary names is deleted when it is resumed. A device, a FIFO or a
descriptor such as ``/dev/fd/3`` cannot be renamed over: the finished bytes are copied into it.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk, a quota or a size limit that leaves no room for a file."""

# The second form is what earlier versions wrote.
_TEMPORARY = re.compile(r"\.mrvae-[0-9a-f]{16}(\.\w{1,15})?|\..+\.[0-9a-f]{32}(\..*)?")
_SHORT_SUFFIX = re.compile(r"\.\w{1,15}", re.ASCII)
_DESCRIPTORS = re.compile(r"/dev/fd|/proc/self/fd|/proc/(?P<process>\d+)(/task/\d+)?/fd")
_MOST_LINKS = 40
_STDOUT = 1


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` if the block ends without an error.

    Raises:
        OSError: if ``path`` cannot be written. A full disk is reported with ``path`` as its file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic(Path(folder) / "a.txt") as temporary:
        ...         _ = temporary.write_text("whole")
        ...     sorted(p.name for p in Path(folder).iterdir())
        ['a.txt']
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / f"output{_suffix(path)}"
            with _reported_as(path, written):
                yield written
                _copy(written, path)
        return
    written = path.with_name(f".mrvae-{uuid.uuid4().hex[:16]}{_suffix(path)}")
    try:
        with _reported_as(path, written):
            yield written
            _flush(written)
            written.replace(path)
    finally:
        with suppress(OSError):
            written.unlink(missing_ok=True)


def _suffix(path: Path) -> str:
    """Return the suffix, by which writers choose the format, unless it is long."""
    return path.suffix if _SHORT_SUFFIX.fullmatch(path.suffix) else ""


@contextmanager
def _reported_as(path: Path, written: Path) -> Iterator[None]:
    """Give errors of a full disk or a closed pipe the name of the final file."""
    try:
        yield
    except OSError as error:
        known = error.errno in DISK_FULL or error.errno == errno.EPIPE
        if known and error.filename in (None, str(written), written):
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise


def sweep(folder: Path) -> None:
    """Delete the temporary files that killed processes left in ``folder``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     left = Path(folder) / f".mrvae-{uuid.uuid4().hex[:16]}.txt"
        ...     _ = left.write_text("hal"), (Path(folder) / ".mine.txt").write_text("whole")
        ...     sweep(Path(folder))
        ...     sorted(p.name for p in Path(folder).iterdir())
        ['.mine.txt']
    """
    for path in folder.iterdir():
        if temporary(path):
            path.unlink(missing_ok=True)


def temporary(path: Path) -> bool:
    """Return whether a file has the name of one that is, or was, being written.

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


def cache_folder() -> Path | None:
    """Return mrvae's folder in the user's cache, existing or not; None for a user without a home.

    A container may run under a user id that no user database knows, without ``HOME``.

    Example:
        >>> folder = cache_folder()
        >>> folder is None or folder.name
        'mrvae'
    """
    import pooch

    try:
        folder = Path(pooch.os_cache("mrvae"))
    except (RuntimeError, KeyError, OSError):
        return None
    # An unknown home may also stay in the path as "~".
    return folder if folder.is_absolute() else None


def _flush(path: Path) -> None:
    """Force the file's bytes to the disk before the rename makes them visible."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, stream: Path) -> None:
    """Copy a finished file into a device, a FIFO or an open descriptor."""
    number = _descriptor(stream)
    if number == _STDOUT:
        # What was printed before comes first.
        sys.stdout.flush()
    target = stream if number is None else os.dup(number)
    with source.open("rb") as read, open(target, "wb") as write:  # noqa: PTH123
        shutil.copyfileobj(read, write)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def is_stream(path: Path) -> bool:
    """Return whether ``path`` is a device, a FIFO or an open descriptor of this process.

    Example:
        >>> is_stream(Path("/dev/null")), is_stream(Path("missing.txt"))
        (True, False)
    """
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_stdout(path: Path) -> bool:
    """Return whether ``path`` names this process's standard output.

    Example:
        >>> is_stdout(Path("/dev/fd/1")), is_stdout(Path("/dev/null"))
        (True, False)
    """
    return _descriptor(path) == _STDOUT


def _descriptor(path: Path) -> int | None:
    """Return the descriptor of this process that a path names, such as 3 for ``/dev/fd/3``."""
    for _ in range(_MOST_LINKS):
        folder = Path(os.path.realpath(path.parent))
        match = _DESCRIPTORS.fullmatch(str(folder))
        if match and path.name.isdecimal():
            return int(path.name) if match["process"] in (None, str(os.getpid())) else None
        if not os.path.islink(path):  # noqa: PTH114 (never fails, on a long name neither)
            return None
        path = folder / path.readlink()
    return None


def writable(path: Path) -> None:
    """Refuse a path that could not be written, before any work is done for it.

    Raises:
        ValueError: if the folder of ``path`` is missing or read-only, ``path`` is a folder, its
            name is too long, or it is a stream that is not open for writing.
    """
    if is_stream(path):
        _check_stream(path)
        return
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"cannot write {path}: the folder {folder} does not exist; make it first")
    _check_name(path)
    if path.is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; name a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"cannot write {path}: the folder {folder} is read-only")


def _check_name(path: Path) -> None:
    """Refuse a name that is too long for the file system."""
    if sys.platform == "win32":
        return
    longest, length = os.pathconf(path.parent, "PC_NAME_MAX"), len(os.fsencode(path.name))
    if length > longest:
        raise ValueError(
            f"cannot write {path}: its name has {length} bytes, and {longest} are allowed"
        )


def _check_stream(path: Path) -> None:
    """Refuse a stream that is not open for writing; a FIFO is not opened for it."""
    number = _descriptor(path)
    if number is None:
        if not os.access(path, os.W_OK):
            raise ValueError(f"cannot write {path}: no permission to write to it")
        return
    import fcntl

    try:
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        raise ValueError(f"cannot write {path}: descriptor {number} is not open") from None
    if mode == os.O_RDONLY:
        raise ValueError(f"cannot write {path}: descriptor {number} is open for reading only")


def reason(error: OSError) -> str:
    """Return the operating system's message, with the path where there is one.

    Example:
        >>> reason(FileNotFoundError(2, "No such file or directory", "a.txt"))
        'a.txt: No such file or directory'
    """
    message = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {message}" if error.filename else message
