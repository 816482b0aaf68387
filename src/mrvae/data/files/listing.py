"""Which files of a folder are data, and of which split each is.

Hidden files and folders (``.ipynb_checkpoints``, ``._x.png``, ``.DS_Store``, ``__MACOSX``) are
skipped, links are followed, and how many files were left out, and of which kind, is logged in one
line as a warning of the logger ``mrvae.data``; without other orders it appears on stderr.

Sub-folders train (or training), validation (or valid, val) and test (or testing) are splits, in
upper or lower case. What merely resembles one of these, such as ``test_images``, is refused, and so
is a folder for one split inside that of another, two names of one split, and one file under two
names: taken for something else, they would bring test images into training.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.untrusted import check_regular, printable, reading
from mrvae.data.splits import SPLITS, a_tenth, held_out

_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_SPLITS = {name: split for split, names in _NAMES.items() for name in names}
_LIKE = re.compile(
    r"(training|train|validation|valid|val|testing|test)(s|set|data|images|imgs|split|[^a-z].*)?"
)
_MISSPELT = {"".join(sorted(name)): _SPLITS[name] for name in ("train", "validation", "test")}
_OTHER_NAMES = {"eval": "validation", "evaluation": "validation", "dev": "validation"}

_LOGGER = logging.getLogger("mrvae.data")


@dataclass(frozen=True)
class Chosen:
    """The files from which the images of a split are taken.

    Args:
        paths: of the files, sorted.
        split: train, validation or test.
        whole: every image of the files is of the split.
        tested: the test images are elsewhere, so that none is held out of these.
    """

    paths: tuple[Path, ...]
    split: str
    whole: bool
    tested: bool

    def indices(self, count: int) -> Tensor:
        """Return which of the files' ``count`` images are of the split, by the fixed order.

        Raises ``ValueError`` if a split would be empty.
        """
        if self.whole:
            return torch.arange(count)
        if self.tested:
            return held_out(self.split, count, a_tenth(count))
        return held_out(self.split, count, count // 10, count // 10)


@dataclass
class _Left:
    """What is left out, by kind, and the files seen, by their identity on disk."""

    kinds: Counter[str] = field(default_factory=Counter)
    seen: dict[tuple[int, int], Path] = field(default_factory=dict)


def choose(folder: Path, split: str, suffixes: Sequence[str]) -> Chosen:
    """Return the files of a folder, at any depth, from which a split's images are taken.

    Files have one of the ``suffixes``, in lower case. Raises ``ValueError`` if there are none for
    the split, or the folder's names are ambiguous.
    """
    own, left = split_folders(folder), _Left()
    if not own:
        paths = sorted(_files(folder, None, suffixes, left, ()))
        _check_names(paths)
        log_left_out(folder, left.kinds)
        return Chosen(_some(folder, paths, suffixes), split, whole=False, tested=False)
    # All of them are listed, so that a file of two splits is noticed whichever is read.
    of_splits = {
        name: sorted(_files(place, name, suffixes, left, ())) for name, place in own.items()
    }
    _count_beside(folder, own, left)
    log_left_out(folder, left.kinds)
    source = split if split in own or split == "test" else "train"
    if source not in own:
        raise ValueError(f"{folder}: has no folder {source}; add {folder / source} with images")
    chosen = _some(own[source], of_splits[source], suffixes)
    whole = split == "test" or "validation" in own
    return Chosen(chosen, split, whole, tested=True)


def names_and_sizes(folder: Path, paths: Sequence[Path]) -> str:
    """Return a digest of the names in a folder and the sizes of files."""
    digest = hashlib.sha256()
    for path in paths:
        name = str(path.relative_to(folder)).encode("utf-8", "surrogateescape")
        digest.update(b"%s\0%d\n" % (name, path.stat().st_size))
    return digest.hexdigest()


def split_folders(folder: Path) -> dict[str, Path]:
    """Return the sub-folders of splits, as far as there are any.

    Raises ``ValueError`` if two are of one split, or one resembles a split's name.
    """
    own: dict[str, Path] = {}
    for path in entries(folder):
        meaning = None if is_hidden(path.name) else _meaning(path.name)
        if meaning is None or not path.is_dir():
            continue
        if path.name.lower() not in _SPLITS:
            raise ValueError(
                f"{path}: resembles the name of a split and is none; rename it to {meaning}, or to "
                "something else"
            )
        if meaning in own:
            raise ValueError(f"{path}: is {meaning}, and so is {own[meaning]}; keep one of them")
        own[meaning] = path
    return {split: own[split] for split in SPLITS if split in own}


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted.

    Raises ``ValueError`` if it cannot be listed.
    """
    with reading(folder):
        return sorted(folder.iterdir())


def first_with(folder: Path, suffixes: Sequence[str]) -> Path | None:
    """Return a file with one of the suffixes, at any depth and through links; None without any."""
    visited = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        identity = _identity(Path(place))
        folders[:] = [] if identity in visited else sorted(f for f in folders if not is_hidden(f))
        visited.add(identity)
        for name in sorted(names):
            if not is_hidden(name) and Path(name).suffix.lower() in suffixes:
                return Path(place, name)
    return None


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name is skipped.

    Example:
        >>> [is_hidden(name) for name in (".ipynb_checkpoints", "._x.png", "x.png")]
        [True, True, False]

    """
    return name.startswith(".") or name == "__MACOSX"


def kind_of(name: str) -> str:
    """Return in which class of files a file is counted that is left out.

    Example:
        >>> kind_of("a.GIF"), kind_of("._a.png"), kind_of("LICENSE")
        ('.gif', 'hidden', 'without ending')

    """
    return "hidden" if is_hidden(name) else Path(name).suffix.lower() or "without ending"


def log_left_out(folder: Path, kinds: Counter[str]) -> None:
    """Log in one line how many files of a folder are not read."""
    if kinds:
        counts = ", ".join(
            f"{count} {'folder' if (kind, count) == ('folders', 1) else kind}"
            for kind, count in sorted(kinds.items())
        )
        total = kinds.total()
        are = "entry is" if total == 1 else "entries are"
        warn(f"mrvae: {folder}: {total} {are} left out ({counts})")


@cache
def warn(line: str) -> None:
    """Log a line once a process: every split of a folder is read by itself."""
    _LOGGER.warning("%s", printable(line))


def _files(
    folder: Path,
    split: str | None,
    suffixes: Sequence[str],
    left: _Left,
    above: tuple[tuple[int, int], ...],
) -> Iterator[Path]:
    """Yield the files of a folder at any depth, through links."""
    here = _identity(folder)
    if here in above:
        raise ValueError(f"{folder}: is a link to a folder that holds it; remove the link")
    for path in entries(folder):
        if is_hidden(path.name):
            left.kinds["hidden"] += 1
        elif path.is_dir():
            _check_folder(path, split)
            yield from _files(path, split, suffixes, left, (*above, here))
        elif path.suffix.lower() not in suffixes:
            left.kinds[kind_of(path.name)] += 1
        else:
            _check_file(path, left)
            yield path


def _check_file(path: Path, left: _Left) -> None:
    """Refuse what is no regular file, and a file that was met under another name."""
    with reading(path):
        check_regular(path)
    other = left.seen.setdefault(_identity(path), path)
    if other != path:
        raise ValueError(f"{path}: is the same file as {other}; remove one of them")


def _check_folder(path: Path, split: str | None) -> None:
    """Refuse a folder that is named after another split than the one that it is in."""
    meaning = _meaning(path.name)
    if meaning is None or split in (meaning, "test"):
        return
    if split is None:
        raise ValueError(
            f"{path}: is named after a split, and is not directly in the folder of the data; name "
            f"{path.parent} as the source, or rename it"
        )
    if path.name.lower() in _SPLITS:
        raise ValueError(f"{path}: is {meaning} and lies in {split}; move it or rename it")


def _check_names(paths: Sequence[Path]) -> None:
    """Refuse files named after splits that are not in folders of splits."""
    named: dict[str, Path] = {}
    for path in paths:
        if (meaning := _meaning(path.stem)) is not None:
            named.setdefault(meaning, path)
    if len(named) > 1:
        first, second = list(named.values())[:2]
        raise ValueError(
            f"{first}: is named after a split, and so is {second}; put the files of each split "
            f"into a folder of its name, {' or '.join(SPLITS)}"
        )


def _meaning(name: str) -> str | None:
    """Return the split that a name means or resembles, None if it does neither."""
    lower = name.lower()
    if (found := _LIKE.fullmatch(lower)) is not None:
        return _SPLITS[found[1]]
    return _OTHER_NAMES.get(lower) or _MISSPELT.get("".join(sorted(lower)))


def _count_beside(folder: Path, own: dict[str, Path], left: _Left) -> None:
    """Count what lies beside the folders of splits."""
    for path in entries(folder):
        if path not in own.values():
            kind = "folders" if path.is_dir() and not is_hidden(path.name) else kind_of(path.name)
            left.kinds[kind] += 1


def _identity(path: Path) -> tuple[int, int]:
    """Return what the names of one file have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


def _some(folder: Path, paths: list[Path], suffixes: Sequence[str]) -> tuple[Path, ...]:
    if not paths:
        raise ValueError(f"{folder}: holds no data; put files there of {', '.join(suffixes)}")
    return tuple(paths)
