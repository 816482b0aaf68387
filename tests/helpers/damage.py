"""What may befall a file of mrvae compress, and what may come of it.

A file is damaged by chance, and every byte of it has a check, so that it is refused; but for a cut
between two chunks, which leaves a file of fewer pictures, or of coarser ones. Or its bytes are
changed and all checks made right again, which chance does not do, but malice: then it need only be
harmless.
"""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from unittest.mock import patch

import torch
from torch import Tensor

from helpers.tiny_codec import draw_pictures, images
from mrvae.compression import CodingModel, Pictures, pack, pack_layers, read_container
from mrvae.compression.format.container import MAGIC
from mrvae.compression.format.unpacking import decode_pictures

Damage = Callable[[bytes, Random], bytes]
SIZES = [(8, 8), (11, 5), (20, 17), (1, 1), (8, 16)]
MODES = ("direct", "bitsback", "progressive")
REFUSED, PREFIX, SAME = "refused", "decoded as the prefix", "not changed"
RIGHT = "right all the same"


@dataclass(frozen=True)
class Victim:
    """A file of five pictures, and the pictures of each beginning that is no damage.

    Attributes:
        name: its mode.
        model: by which it is decoded.
        data: its bytes.
        prefixes: for each length at which it may be cut, the pictures of what is left.
    """

    name: str
    model: CodingModel
    data: bytes
    prefixes: Mapping[int, Sequence[Tensor]]


def write(model: CodingModel, folder: Path, mode: str) -> Path:
    """Write five pictures into a file of a mode, in chunks of four patches."""
    pictures, out = Pictures(draw_pictures(folder, SIZES), model.network), folder / "all.mrv"
    with (
        patch("mrvae.compression.format.packing._CHUNK_PATCHES", 4),
        patch("mrvae.compression.chunks.FIRST_GROWTH", 1),
    ):
        if mode == "progressive":
            pack_layers(model, pictures, out, calibration=images(30))
        else:
            pack(model, pictures, out, mode == "bitsback", images(30))
    return out


def victim(model: CodingModel, folder: Path, mode: str) -> Victim:
    """Write a file, and decode all of its beginnings from the file that is whole."""
    container = read_container(write(model, folder, mode))
    ends = [len(container.front), *(start + length + 4 for start, length in container.places)]
    prefixes = {
        end: [
            picture
            for _, picture in decode_pictures(
                replace(container, places=container.places[:count]), model
            )
        ]
        for count, end in enumerate(ends)
    }
    return Victim(mode, model, container.path.read_bytes(), prefixes)


def flip(data: bytes, rng: Random) -> bytes:
    """Turn one bit over."""
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


def shorten(data: bytes, rng: Random) -> bytes:
    """Cut the end off, anywhere."""
    return data[: rng.randrange(len(data))]


def splice(data: bytes, rng: Random) -> bytes:
    """Leave a part of the file out, or repeat it somewhere."""
    a, b = sorted(rng.randrange(len(data)) for _ in range(2))
    if rng.randrange(2):
        return data[:a] + data[b:]
    c = rng.randrange(len(data))
    return data[:c] + data[a:b] + data[c:]


def overwrite(data: bytes, rng: Random) -> bytes:
    """Write random bytes over some."""
    place, length = rng.randrange(len(data)), rng.randrange(1, 40)
    return (data[:place] + rng.randbytes(length) + data[place + length :])[: len(data)]


def noise(data: bytes, rng: Random) -> bytes:
    """Let random bytes stand behind a magic number and a version that are right."""
    return MAGIC + bytes([1]) + rng.randbytes(rng.randrange(80))


def checked_noise(data: bytes, rng: Random) -> bytes:
    """Put random bytes, of the right length and with the right check, in place of the header."""
    body = rng.randbytes(rng.randrange(200))
    if rng.randrange(2):
        # As far as the parser goes: a mode and a precision that are known.
        body = bytes([rng.randrange(1, 4), 64]) + body
    front = MAGIC + struct.pack("<BI", 1, len(body)) + body
    return front + struct.pack("<I", zlib.crc32(front)) + data[rng.randrange(len(data)) :]


CHANCES: Mapping[str, Damage] = {
    "flip": flip,
    "cut": shorten,
    "splice": splice,
    "overwritten": overwrite,
    "random header": noise,
    "random header, checked": checked_noise,
}


def at_a_chunk(one: Victim, rng: Random) -> bytes:
    """Cut the end off between two chunks."""
    return one.data[: rng.choice(list(one.prefixes))]


def exchange(one: Victim, other: Victim, rng: Random) -> bytes:
    """Let a file end as another one does, from between two chunks on."""
    return at_a_chunk(one, rng) + other.data[rng.choice(list(other.prefixes)) :]


def damage(victims: Sequence[Victim], number: int, rng: Random) -> tuple[Victim, str, bytes]:
    """Damage one of some files, each kind in turn, and return it, the kind, and the bytes."""
    kinds = (*CHANCES, "cut at a chunk", "end of another")
    one, kind = victims[number % len(victims)], kinds[number // len(victims) % len(kinds)]
    if kind in CHANCES:
        return one, kind, CHANCES[kind](one.data, rng)
    other = rng.choice([each for each in victims if each is not one])
    return one, kind, at_a_chunk(one, rng) if "cut" in kind else exchange(one, other, rng)


def forged(data: bytes, rng: Random) -> bytes:
    """Change bytes of the header or of a chunk, and make every check right again."""
    (length,) = struct.unpack_from("<I", data, 9)
    front, rest = bytearray(data[: 13 + length]), data[17 + length :]
    chunks = []
    while rest:
        (size,) = struct.unpack_from("<I", rest)
        chunks.append(rest[4 : 4 + size])
        rest = rest[8 + size :]
    if rng.random() < 0.5:
        front[rng.randrange(13, len(front))] ^= 1 << rng.randrange(8)
    else:
        index = rng.randrange(len(chunks))
        chunks[index] = rng.choice((flip, shorten, splice, overwrite))(chunks[index], rng)
    check = struct.pack("<I", zlib.crc32(front))
    made = bytes(front) + check
    for index, chunk in enumerate(chunks):
        crc = zlib.crc32(chunk, zlib.crc32(check + struct.pack("<II", index, len(chunk))))
        made += struct.pack("<I", len(chunk)) + chunk + struct.pack("<I", crc)
    return made


def outcome(one: Victim, damaged: bytes, path: Path) -> str:
    """Return what comes of a damaged file; whatever is not foreseen is raised.

    It is refused in one line that names the file, or its pictures are those of the whole file, or
    those of the beginning that was left.
    """
    path.write_bytes(damaged)
    found, problem = [], ""
    try:
        found = [picture for _, picture in decode_pictures(read_container(path), one.model)]
    except ValueError as error:
        problem = str(error)
    if problem:
        assert "\n" not in problem
        assert str(path) in problem
        return REFUSED
    cut = one.data.startswith(damaged)
    expected = one.prefixes[len(damaged) if cut else len(one.data)]
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    return SAME if damaged == one.data else PREFIX if cut else RIGHT


@contextmanager
def within_a_gigabyte() -> Iterator[None]:
    """Let this process ask for no more than 1 GiB of address space than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
