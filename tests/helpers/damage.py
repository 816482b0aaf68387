"""What may befall a file of mrvae compress, and what may come of it.

A file is damaged by chance, and every byte of it has a check, so that it is refused; but for a file
that ends too early, of which the whole chunks are left: fewer pictures, or coarser ones. Or its
bytes are changed and all checks made right again, which chance does not do, but malice: then it
need only be harmless.
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
from mrvae.compression.format.container import MAGIC, frame_chunk, front_of
from mrvae.compression.format.header import FileHeader, PictureEntry
from mrvae.compression.format.unpacking import decode_pictures, file_names

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
    ends = [len(container.front), *container.cuts]
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


def ends_early(one: Victim, rng: Random) -> bytes:
    """Return a beginning of the file that has all of its header."""
    return one.data[: rng.randrange(min(one.prefixes), len(one.data))]


def damage(victims: Sequence[Victim], number: int, rng: Random) -> tuple[Victim, str, bytes]:
    """Damage one of some files, each kind in turn, and return it, the kind, and the bytes."""
    kinds = (*CHANCES, "prefix", "cut at a chunk", "end of another")
    one, kind = victims[number % len(victims)], kinds[number // len(victims) % len(kinds)]
    if kind in CHANCES:
        return one, kind, CHANCES[kind](one.data, rng)
    if kind == "prefix":
        return one, kind, ends_early(one, rng)
    other = rng.choice([each for each in victims if each is not one])
    return one, kind, at_a_chunk(one, rng) if "cut" in kind else exchange(one, other, rng)


def forged(data: bytes, rng: Random) -> bytes:
    """Change bytes of the header or of a chunk, and make every check right again."""
    body, chunks = chunks_of(data)
    front = bytearray(data[: 13 + len(body)])
    if rng.random() < 0.5:
        front[rng.randrange(13, len(front))] ^= 1 << rng.randrange(8)
    else:
        index = rng.randrange(len(chunks))
        chunks[index] = rng.choice((flip, shorten, splice, overwrite))(chunks[index], rng)
    check = struct.pack("<I", zlib.crc32(front))
    made = bytes(front) + check
    return made + b"".join(frame_chunk(made, *chunk) for chunk in enumerate(chunks))


def chunks_of(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return the header of a file without its front and its CRC, and the payload of each chunk."""
    (length,) = struct.unpack_from("<I", data, 9)
    rest, payloads = data[17 + length :], []
    while rest:
        (size,) = struct.unpack_from("<I", rest)
        payloads.append(rest[4 : 4 + size])
        rest = rest[8 + size :]
    return data[13 : 13 + length], payloads


def with_header(one: Victim, path: Path, change: Callable[[FileHeader], FileHeader]) -> bytes:
    """Return the file with another header, and with every check made right."""
    path.write_bytes(one.data)
    front = front_of(change(read_container(path).header))
    _, payloads = chunks_of(one.data)
    return front + b"".join(frame_chunk(front, *chunk) for chunk in enumerate(payloads))


_PARTS = ("..", "/", "\\", "\0", "CON", "a", "\u5b57" * 60, " ", ".", "-2", "\u202e", "\n", "%00")


def hostile_names(one: Victim, rng: Random, path: Path) -> bytes:
    """Return the file with other names, which are to lead out of a folder or to be the same."""

    def change(header: FileHeader) -> FileHeader:
        names = ("".join(rng.choices(_PARTS, k=rng.randrange(4))) for _ in header.entries)
        entries = (replace(e, name=name) for e, name in zip(header.entries, names, strict=True))
        return replace(header, entries=tuple(entries))

    return with_header(one, path, change)


_COUNTS = (0, 1, 2, 17, 255, 4096, 0xFFFF, 1 << 20, 1 << 26, 0xFFFFFFFF)
_FIELDS = struct.Struct("<BB32sBHHBBHII")
_WIDTHS = {3: 1, 4: 2, 5: 2, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4}


def header_counts(one: Victim, rng: Random) -> bytes:
    """Return the file with another number in one field of its header, and its checks right."""
    body, payloads = chunks_of(one.data)
    fields = list(_FIELDS.unpack_from(body))
    place = rng.choice(list(_WIDTHS))
    fields[place] = rng.choice(_COUNTS) % (1 << 8 * _WIDTHS[place])
    body = _FIELDS.pack(*fields) + body[_FIELDS.size :]
    front = MAGIC + struct.pack("<BI", 1, len(body)) + body
    front += struct.pack("<I", zlib.crc32(front))
    return front + b"".join(frame_chunk(front, *chunk) for chunk in enumerate(payloads))


def many_pictures(one: Victim, rng: Random, path: Path) -> bytes:
    """Return the file with thousands of small pictures more, of which nothing is there."""
    more = (PictureEntry(rng.choice(("", "a", "a-2")), 1, 1),) * rng.randrange(1, 40_000)
    return with_header(one, path, lambda header: replace(header, entries=header.entries + more))


def malice(one: Victim, number: int, rng: Random, path: Path) -> tuple[str, bytes]:
    """Return a kind of forgery, each in turn, and the bytes of a file of it."""
    match number % 4:
        case 0:
            return "forged", forged(one.data, rng)
        case 1:
            return "names", hostile_names(one, rng, path)
        case 2:
            return "header counts", header_counts(one, rng)
    return "many pictures", many_pictures(one, rng, path)


def outcome(one: Victim, damaged: bytes, path: Path) -> str:
    """Return what comes of a damaged file; whatever is not foreseen is raised.

    It is refused in one line that names the file, or its pictures are those of the whole file, or
    those of the chunks that are whole before its end. Names do not lead out of a folder.
    """
    path.write_bytes(damaged)
    found, problem = [], ""
    try:
        container = read_container(path)
        found = [picture for _, picture in decode_pictures(container, one.model)]
    except ValueError as error:
        problem = str(error)
    if problem:
        assert "\n" not in problem
        assert str(path) in problem
        return REFUSED
    names = file_names(container.header.entries)
    assert len({name.casefold() for name in names}) == len(names)
    assert not any(set("/\\\0\n") & set(name) or name.startswith(".") for name in names)
    assert all(len(name.encode()) <= 255 for name in names)
    end = [len(container.front), *container.cuts][-1]
    cut = container.cut and one.data[:end] == damaged[:end]
    expected = one.prefixes[end if cut else len(one.data)]
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    return SAME if damaged == one.data else PREFIX if cut else RIGHT


def is_beginning(one: Victim, damaged: bytes) -> bool:
    """Return whether this is what a program leaves that cuts the file off behind its header."""
    return one.data.startswith(damaged) and len(damaged) >= min(one.prefixes)


def expected_outcomes(one: Victim, kind: str, damaged: bytes) -> set[str]:
    """Return what may come of a file that was damaged by chance.

    A length that became larger than the rest of the file looks like a cut, and nothing else does.
    """
    if is_beginning(one, damaged):
        return {SAME if damaged == one.data else PREFIX}
    return {REFUSED} if kind in ("random header", "random header, checked") else {REFUSED, PREFIX}


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
