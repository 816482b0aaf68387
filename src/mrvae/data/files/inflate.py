"""DEFLATE with a bound: no more is inflated than is asked for."""

from __future__ import annotations

import zlib
from typing import BinaryIO

_PIECE = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


def gunzip(stream: BinaryIO, most: int) -> bytes:
    r"""Inflate the one member of a gzip stream, at most ``most`` bytes of it.

    Raises ``EOFError`` if the stream ends before, and ``zlib.error`` if it is damaged.

    Example:
        >>> import gzip, io
        >>> gunzip(io.BytesIO(gzip.compress(bytes(10**6))), most=3)
        b'\x00\x00\x00'

    """
    return _inflate(stream, most, zlib.decompressobj(_GZIP))


def inflate(stream: BinaryIO, most: int) -> bytes:
    """Inflate a zlib stream, at most ``most`` bytes of it.

    Raises ``EOFError`` and ``zlib.error`` as :func:`gunzip` does.
    """
    return _inflate(stream, most, zlib.decompressobj())


def _inflate(stream: BinaryIO, most: int, inflater: zlib._Decompress) -> bytes:
    pieces: list[bytes] = []
    left = most
    while left > 0 and not inflater.eof:
        waiting = inflater.unconsumed_tail or stream.read(_PIECE)
        if not waiting:
            raise EOFError("the compressed data end early")
        pieces.append(inflater.decompress(waiting, left))
        left -= len(pieces[-1])
    return b"".join(pieces)
