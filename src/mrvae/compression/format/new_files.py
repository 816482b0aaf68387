"""New files in a folder, all of them or none, and none of another writer lost.

They are written into a hidden folder beside their final places, and get their names when all are
whole. A name is taken exclusively: if it exists, even since a moment ago, the names given before
are given back. A folder that was made for the files and holds none goes, too.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn


def check_absent(folder: Path, names: Sequence[str]) -> None:
    """Refuse names that are taken in a folder.

    Raises:
        ValueError: if a file of one of the names exists.
    """
    for name in names:
        if os.path.lexists(folder / name):
            _refuse(folder / name)


@contextmanager
def new_files(folder: Path, names: Sequence[str]) -> Iterator[Sequence[Path]]:
    """Yield a temporary path for each name; those that are written become files of the folder.

    Raises:
        ValueError: if a file of one of the names exists, before or after the block.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with new_files(Path(parent, "new"), ["a.txt", "b.txt"]) as (a, b):
        ...         _ = a.write_text("whole")
        ...     sorted(path.name for path in Path(parent, "new").iterdir())
        ['a.txt']
    """
    check_absent(folder, names)
    hidden = folder / f".{uuid.uuid4().hex}"
    made = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        # Another writer that failed may have taken the folder away again.
        hidden.mkdir(parents=True)
        written = [hidden / f"{index}{Path(name).suffix}" for index, name in enumerate(names)]
        yield written
        whole = [(path, name) for path, name in zip(written, names, strict=True) if path.exists()]
        _name([(path, folder / name) for path, name in whole])
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        if made:
            with suppress(OSError):
                folder.rmdir()


def _name(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Give all files their names, or none."""
    given: list[Path] = []
    try:
        for written, final in pairs:
            _take(written, final)
            given.append(final)
    except BaseException:
        for final in given:
            final.unlink(missing_ok=True)
        raise


def _take(written: Path, final: Path) -> None:
    """Give a whole file its name, unless there is such a file."""
    with written.open("rb") as file:
        os.fsync(file.fileno())
    try:
        os.link(written, final)
    except FileExistsError:
        _refuse(final)
    except OSError:
        # Not every file system has hard links. An empty file reserves the name there.
        _reserve(final)
        written.replace(final)


def _reserve(final: Path) -> None:
    try:
        final.open("xb").close()
    except FileExistsError:
        _refuse(final)


def _refuse(path: Path) -> NoReturn:
    raise ValueError(f"{path} exists; name another folder, or move it away") from None
