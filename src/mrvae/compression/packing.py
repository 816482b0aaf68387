"""From pictures to a file: the units, the mode, the chunks, and a look back.

Before a file gets its name it is decoded and compared with the pictures, unless that is not wanted.
The mode is the one whose predicted size is the smaller. With N patches, a bits for one by the
direct code, b by giving bits back, and units that take u_a and u_b bits to name,

    direct: N a + u_a,      bits back: d a + (N - d) b + u_a + u_b,

d being the images from which a chain takes its first bits. Both a and b are those of a few patches,
coded for this purpose alone, onto a stack of arbitrary bits.

The latents of a direct file are searched for, which takes as long as forty walks or so, and makes
it shorter by several percent. The first images of a chain are not searched for: they are few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrvae.compression import units
from mrvae.compression.chunks import FIRST_PACE, Written, write_chunk
from mrvae.compression.codec import Codec
from mrvae.compression.coder import Stack
from mrvae.compression.container import Entry, Header, Mode, read_container, write_header
from mrvae.compression.container import write_chunk as framed
from mrvae.compression.identity import Known
from mrvae.compression.latents import of_shapes
from mrvae.compression.network import Network
from mrvae.compression.patches import count_of, to_patches
from mrvae.compression.searching import ROUNDS
from mrvae.compression.unpacking import decoded
from mrvae.data.files.image_files import header as shape_of
from mrvae.data.files.image_files import read
from mrvae.data.images import check_bins
from mrvae.files import atomic

DIRECT_STEP, CHAINED_STEP = 32, 4
"""Steps of the two codes, in sixteenths of a prior standard deviation: 2 and ¼."""

TRIED = 16
"""Patches that are looked at before all are coded."""

_FEW = 64
"""Patches up to which the mode is predicted with the search; beyond, it hardly depends on it."""

_PATCHES, _PIXELS = 1024, 1 << 24
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Packed:
    """What a file holds.

    Attributes:
        chained: whether bits are given back.
        size: bytes of the file.
        pixels: of all pictures.
        patches: of all pictures, reflected parts included.
        payload_bits: of all chunks, without header and checks.
        ideal_bits: what the laws say that they take.
        seed_bits: of the images that are coded directly before bits can be given back.
        seeds: these images.
    """

    bits_back: bool
    size: int
    pixels: int
    patches: int
    payload_bits: int
    ideal_bits: float
    seed_bits: int
    seeds: int


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures that are to be coded by a model, read when they are asked for.

    Args:
        paths: of the files.
        network: the model.

    Raises:
        ValueError: if there is none, or one is not a picture of 8-bit grey or RGB, as the model's
            images are.
    """

    paths: tuple[Path, ...]
    network: Network

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError("there are no images; name one or more")
        channels = self.network.image[0]
        for path in self.paths:
            found = shape_of(path)[0]
            if found != channels:
                kinds = {1: "grey", 3: "RGB"}
                raise ValueError(
                    f"{path} is {kinds[found]}; this model's images are "
                    f"{kinds.get(channels, f'of {channels} channels')}, convert it"
                )

    def entries(self) -> tuple[Entry, ...]:
        """Return the name and the size of each."""
        shapes = [shape_of(path) for path in self.paths]
        names = [path.stem.encode("utf-8", "replace")[:_LONGEST_NAME] for path in self.paths]
        return tuple(
            Entry(name.decode("utf-8", "ignore"), height, width)
            for name, (_, height, width) in zip(names, shapes, strict=True)
        )

    def picture(self, index: int) -> Tensor:
        """Return uint8 levels (C, H, W).

        Raises:
            ValueError: if a pixel is larger than the model's levels.
        """
        path = self.paths[index]
        picture = read(path, None)
        check_bins(picture, self.network.model.frame.bins, str(path))
        return picture

    def chunks(self, per_chunk: int) -> Iterator[Tensor]:
        """Yield all patches in order, ``per_chunk`` at a time."""
        waiting: list[Tensor] = []
        for index in range(len(self.paths)):
            waiting.append(to_patches(self.picture(index), self.network.image[1]))
            if sum(map(len, waiting)) >= per_chunk:
                *whole, rest = torch.split(torch.cat(waiting), per_chunk)
                yield from whole
                waiting = [rest]
                if len(rest) == per_chunk:
                    yield rest
                    waiting = []
        if waiting:
            yield torch.cat(waiting)

    def some(self, wanted: int) -> Tensor:
        """Return about ``wanted`` patches, spread over the pictures and over each picture."""
        indices = np.unique(np.linspace(0, len(self.paths) - 1, wanted).astype(int))
        each = -(-wanted // len(indices))
        found = []
        for index in indices.tolist():
            patches = to_patches(self.picture(index), self.network.image[1])
            places = np.unique(np.linspace(0, len(patches) - 1, each + 2).astype(int))
            chosen = places[1:-1] if len(places) > each else places
            found.append(patches[torch.from_numpy(chosen)])
        return torch.cat(found)


def pack(
    known: Known,
    pictures: Pictures,
    out: Path,
    bits_back: bool | None = None,
    seen: Tensor | None = None,
    verify: bool = True,
    rounds: int = ROUNDS,
) -> Packed:
    """Write pictures into a file.

    Args:
        known: the model.
        pictures: what to write.
        out: the file, which appears when it is whole.
        chained: whether to give bits back; by default what is predicted to be shorter.
        seen: images (N, C, S, S) by which units are chosen, best those of training; by default some
            of the pictures' own patches.
        verify: whether to decode the file, and compare, before it gets its name.
        rounds: of the search for latents, if the file is direct; 0 takes the nearest ones.

    Raises:
        ValueError: if a picture is not the model's, or the file does not decode to the pictures.
    """
    codec = codec_for(known.network, pictures.some(TRIED) if seen is None else seen)
    entries = pictures.entries()
    size = known.network.image[1]
    patches = sum(count_of(entry.height, entry.width, size) for entry in entries)
    searching = replace(codec, rounds=rounds)
    if bits_back is None:
        bits_back = predict(searching if patches <= _FEW else codec, pictures.some(TRIED), patches)
    codec = codec if bits_back else searching
    header = header_for(known, codec, entries, Mode.BITS_BACK if bits_back else Mode.DIRECT)
    with atomic(out) as temporary:
        written = _write(temporary, header, codec, pictures)
        if verify:
            verify_exact(temporary, known, pictures)
        size = temporary.stat().st_size
    pixels = sum(entry.height * entry.width for entry in entries)
    return Packed(
        bits_back,
        size,
        pixels,
        patches,
        sum(8 * len(each.payload) for each in written),
        sum(each.ideal for each in written),
        sum(each.seed for each in written),
        sum(each.seeds for each in written),
    )


def codec_for(network: Network, seen: Tensor) -> Codec:
    """Return the codec whose units are those that say something of the images seen."""
    bits = units.bits_per_unit(network, seen)
    return Codec(
        network,
        of_shapes([each > units.DIRECT for each in bits], DIRECT_STEP),
        of_shapes(units.telling(bits), CHAINED_STEP),
    )


def predict(codec: Codec, some: Tensor, patches: int) -> bool:
    """Tell whether giving bits back is predicted to be shorter, from a few patches."""
    if patches <= FIRST_PACE:
        return False
    direct, bits_back = Stack(), _arbitrary(codec, len(some))
    codec.push_direct(direct, some)
    codec.push_bits_back(bits_back, some, 0)
    a, b = direct.ideal / len(some), bits_back.ideal / len(some)
    more = 8 * len(units.pack([each.active for each in codec.bits_back]))
    return FIRST_PACE * a + (patches - FIRST_PACE) * b + more < patches * a


def _arbitrary(codec: Codec, count: int) -> Stack:
    """Return a stack of bits from which ``count`` images can draw their latents."""
    borrowed = 24 * count * sum(int(each.active.sum()) for each in codec.bits_back)
    words = np.frombuffer(hashlib.shake_128(b"").digest(borrowed // 8 + 64 & ~3), dtype="<u4")
    return Stack(np.append(words.astype(np.uint32), np.uint32(1)))


def header_for(known: Known, codec: Codec, entries: tuple[Entry, ...], mode: Mode) -> Header:
    """Return the header of a file of pictures."""
    channels, size, _ = known.network.image
    bits_back = mode is Mode.BITS_BACK
    return Header(
        mode,
        known.hash,
        channels,
        size,
        known.network.model.frame.bins,
        DIRECT_STEP,
        CHAINED_STEP,
        known.network.batch(),
        min(_PATCHES, max(1, _PIXELS // (channels * size * size))),
        entries,
        units.pack([each.active for each in codec.direct]),
        units.pack([each.active for each in codec.bits_back]) if bits_back else b"",
    )


def _write(path: Path, header: Header, codec: Codec, pictures: Pictures) -> Sequence[Written]:
    """Write header and chunks, and return what each chunk came to."""
    front, first, all_written = write_header(header), 0, []
    with path.open("wb") as file:
        file.write(front)
        for index, x in enumerate(pictures.chunks(header.per_chunk)):
            written = write_chunk(codec, x, first, header.most, header.bits_back)
            file.write(framed(front, index, written.payload))
            all_written.append(written)
            first += len(x)
    return all_written


def verify_exact(path: Path, known: Known, pictures: Pictures) -> None:
    """Decode a file that was just written, and compare.

    Raises:
        ValueError: if it does not decode to the pictures.
    """
    for index, (_, picture) in enumerate(decoded(read_container(path), known)):
        if not torch.equal(picture, pictures.picture(index)):
            raise ValueError(
                f"{pictures.paths[index]} does not come back as it was; nothing is written"
            )
