"""JPEG: depth, colours and scans from its markers (ITU-T T.81).

A file is a sequence of segments, each begun by a marker FF xx. A frame header (SOF) declares depth,
size and components. A scan (SOS) is followed by entropy-coded bytes, in which FF is followed by 00
or a restart marker. A progressive picture may have any number of scans, each of which costs a pass
over all pixels.

A decoder that finds too few bytes in a scan, or too many, goes on and tells nobody. :func:`probes`
makes variants of a file by which this is noticed. Damage that leaves the length of a scan right, as
of the bits of a coefficient, cannot be seen in a JPEG file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from mrvae.data.files.formats.declared import (
    Declared,
    Excess,
    check_pixels,
    exactly,
    unread,
)
from mrvae.data.files.formats.tiff import exif_orientation

MAGIC = b"\xff\xd8\xff"

MOST_SCANS = 32
"""Scans that one picture may have; encoders write about 10."""

_MOST_SEGMENTS = 10_000
_MOST_WORK = 1 << 30
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END, _APP1, _APP2 = 0xDA, 0xD9, 0xE1, 0xE2
_NEXT = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]", re.DOTALL)
_RESTART = re.compile(rb"(?=\xff[\xd0-\xd7])", re.DOTALL)
# The last byte of a scan holds at least one bit that is needed.
_SLACK = 2
# Bytes unlike the zeros that a decoder goes on with, and none of them FF.
_PADDING = bytes((97 * i + 199) % 255 for i in range(256))


def declare(stream: BinaryIO, name: str) -> Declared:
    """Return what a JPEG file declares; see :func:`mrvae.data.files.formats.declare`."""
    exactly(stream, 2)
    orientation, several = 1, False
    for _ in range(_MOST_SEGMENTS):
        marker = _marker(stream)
        length = int.from_bytes(exactly(stream, 2), "big") - 2
        if marker in _FRAMES:
            excess = ((Excess.SEVERAL, "holds several pictures (MPF)"),) if several else ()
            return _declared(exactly(stream, 6), name, orientation, excess)
        if marker in (_SCAN, _END) or length < 0:
            break
        following = stream.tell() + length
        if marker == _APP2:
            several |= exactly(stream, min(length, 4)) == b"MPF\0"
        if marker == _APP1 and stream.read(min(length, 6)) == b"Exif\0\0":
            orientation = exif_orientation(stream.read(length - 6))
        stream.seek(following)
    raise ValueError(f"{name}: cannot be read (it has no frame header); get the file again")


class Probes(NamedTuple):
    """Variants of a file whose decoding shows whether its scans are whole.

    ``padded`` has other bytes after every scan, and decodes to the same pixels unless a scan is too
    short. ``shortened`` ends before the last bytes of the only scan, and cannot be decoded unless
    the scan is too long; it is empty for a file of several scans, which decoders read to their end.
    """

    padded: bytes
    shortened: bytes


def probes(data: bytes, name: str, pixels: int) -> Probes:
    """Return the variants of a file that show whether its scans are whole.

    ``pixels`` is the size of the picture. Raises ``ValueError`` if the file ends before its last
    marker, or has more scans than ``MOST_SCANS``, or too many for its size.
    """
    pieces, place = [], 0
    scans: list[tuple[int, int]] = []
    for start, end in _scans(data, name):
        scans.append((start, end))
        if len(scans) > MOST_SCANS or len(scans) * pixels > _MOST_WORK:
            most = min(MOST_SCANS, _MOST_WORK // pixels)
            raise ValueError(
                f"{name}: has more than {most} scans for its {pixels:,} pixels; "
                "save it again, with fewer"
            )
        pieces += [data[place:start], _RESTART.sub(lambda _: _PADDING, data[start:end]), _PADDING]
        place = end
    padded = b"".join([*pieces, data[place:]])
    return Probes(padded, data[: scans[0][1] - _SLACK] if len(scans) == 1 else b"")


def _declared(
    frame: bytes, name: str, orientation: int, excess: tuple[tuple[Excess, str], ...]
) -> Declared:
    depth, components = frame[0], frame[5]
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if depth != 8:
        raise unread(name, f"has {depth} bits a channel")
    if components not in (1, 3, 4):
        raise unread(name, f"has {components} components")
    check_pixels(name, width, height)
    if components == 4:
        excess = ((Excess.CMYK, "is CMYK"), *excess)
    channels = 1 if components == 1 else 3
    return Declared("JPEG", channels, height, width, 255, orientation, excess)


def _marker(stream: BinaryIO) -> int:
    """Read a marker, which any number of FF may precede."""
    if exactly(stream, 1) != b"\xff":
        raise ValueError("a marker is missing")
    code = exactly(stream, 1)
    while code == b"\xff":
        code = exactly(stream, 1)
    return code[0]


def _scans(data: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Yield where the coded bytes of each scan begin and end, up to the end of the picture."""
    truncated = ValueError(f"{name}: cannot be read (it is truncated); get the file again")
    place = 2
    for _ in range(_MOST_SEGMENTS):
        found = _NEXT.search(data, place)
        if found is None:
            raise truncated
        marker, place = data[found.end() - 1], found.end()
        if marker == _END:
            return
        place += int.from_bytes(data[place : place + 2], "big")
        if marker == _SCAN:
            following = _NEXT.search(data, place)
            if following is None:
                raise truncated
            yield place, following.start()
            place = following.start()
    raise ValueError(f"{name}: has more than {_MOST_SEGMENTS:,} segments; save it again")
