"""The most that a file may make its reader do, in proportion to its size.

Pictures may be nearly certain under the model, and then take nearly no bytes: a few hundred bytes
can declare hours of work. So a reader refuses a file of n bytes that declares more than

    1,024 + n pictures,        2¹⁸ + 1,024 n pixel values, all patches counted whole,

unless its caller asks for it. The second is about what a PNG can come to: deflate makes data at
most 1,032 times smaller. Only pictures that are nearly constant need more.
"""

from __future__ import annotations

from pathlib import Path

from mrvae.compression.format.header import FileHeader

_FREE_PICTURES, _FREE_VALUES, _VALUES_PER_BYTE = 1 << 10, 1 << 18, 1 << 10


def most_pictures(size: int) -> int:
    """Return how many pictures a file of ``size`` bytes may hold.

    Example:
        >>> most_pictures(437)
        1461
    """
    return _FREE_PICTURES + size


def most_values(size: int) -> int:
    """Return how many pixel values a file of ``size`` bytes may hold, all patches counted whole.

    Example:
        >>> most_values(894)
        1177600
    """
    return _FREE_VALUES + _VALUES_PER_BYTE * size


def within_limits(size: int, header: FileHeader) -> bool:
    """Return whether a file of ``size`` bytes is read without being asked for."""
    return len(header.entries) <= most_pictures(size) and header.values <= most_values(size)


def check_pictures(path: Path, size: int, count: int) -> None:
    """Refuse a file of more pictures than its size allows.

    Raises:
        ValueError: naming both numbers.
    """
    _check(path, size, f"{count:,} pictures", count, most_pictures(size))


def check_values(path: Path, size: int, header: FileHeader) -> None:
    """Refuse a file of more pixel values than its size allows.

    Raises:
        ValueError: naming both numbers.
    """
    _check(path, size, f"{header.values:,} pixel values", header.values, most_values(size))


def _check(path: Path, size: int, declared: str, count: int, most: int) -> None:
    if count > most:
        raise ValueError(
            f"{path} declares {declared} in {size:,} bytes; at most {most:,} are decoded from so "
            "few, unless --yes-large (large=True) asks for more"
        )
