"""From pictures to a file in direct or bits-back mode: the units, the mode, the chunks, a check.

Before a file gets its name it is decoded and compared with the pictures' own files, which are read
anew, unless that is switched off. The mode is the one of the smaller predicted size. With N
patches, a bits for one by the direct code, b by bits back, and masks of coded units of u_a and u_b
bits,

    direct: N a + u_a,      bits back: d a + (N - d) b + u_a + u_b,

d being the images of the first batch of a bits-back chunk. Both a and b are measured on a few
patches, which are coded onto a stack of arbitrary bits.

The latents of a direct file are searched for, which takes as long as forty forward passes or so,
and makes it shorter by several percent. The first images of a bits-back chunk are too few for that.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.calibration import BITS_BACK_STEP, DIRECT_STEP, codec_for
from mrvae.compression.chunks import FIRST_GROWTH, CodedChunk, encode_chunk
from mrvae.compression.codec import Codec
from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.unit_masks import masks_to_bytes
from mrvae.compression.format.container import (
    Container,
    frame_chunk,
    framed_size,
    front_of,
    read_container,
)
from mrvae.compression.format.header import FileHeader, Mode
from mrvae.compression.format.limits import within_limits
from mrvae.compression.format.pictures import Pictures
from mrvae.compression.format.unpacking import decode_pictures
from mrvae.compression.identity import CodingModel
from mrvae.compression.progress import Progress, no_progress, shifted
from mrvae.compression.search import ROUNDS
from mrvae.files import atomic

SAMPLED_PATCHES = 16
"""Patches by which units and mode are chosen."""

_SEARCHED_PREDICTION = 64
"""Patches up to which the mode is predicted with the search; beyond, it hardly depends on it."""

_CHUNK_PATCHES, _CHUNK_VALUES = 1024, 1 << 24


@dataclass(frozen=True)
class PackedFile:
    """Size and content of a file in direct or bits-back mode.

    Attributes:
        bits_back: whether it is in bits-back mode.
        size: bytes of the file.
        pixels: of all pictures.
        patches: of all pictures, reflected parts included.
        payload_bits: of all chunks, without header and CRCs.
        ideal_bits: -log₂ P of their symbols.
        seed_bits: of the images of bits-back chunks that are coded directly.
        seeds: number of these images.
        cuts: lengths to which the file can be cut between two chunks, the last being its own.
        limited: whether its size allows for what it declares, so that it is read without being
            asked for, see :mod:`~mrvae.compression.format.limits`.
    """

    bits_back: bool
    size: int
    pixels: int
    patches: int
    payload_bits: int
    ideal_bits: float
    seed_bits: int
    seeds: int
    cuts: tuple[int, ...]
    limited: bool


def pack(
    model: CodingModel,
    pictures: Pictures,
    out: Path,
    bits_back: bool | None = None,
    calibration: Tensor | None = None,
    verify: bool = True,
    rounds: int = ROUNDS,
    progress: Progress = no_progress,
) -> PackedFile:
    """Write pictures into a file.

    Args:
        model: the model.
        pictures: what to write.
        out: the file, written atomically.
        bits_back: whether to code by bits back; by default what is predicted to be shorter.
        calibration: images (N, C, H, W) by which units are chosen, best those of training; by
            default some of the pictures' own patches.
        verify: whether to decode the file, and compare, before it gets its name.
        rounds: of the search for latents, if the file is direct; 0 takes the nearest ones.
        progress: called with patches and bytes; those that are decoded follow those encoded.

    Raises:
        ValueError: if a pixel has no bin of the model, or the file does not decode to the pictures.
    """
    codec = calibrated_codec(pictures, calibration)
    searching = replace(codec, rounds=rounds)
    header = header_for(model, codec, pictures, Mode.BITS_BACK)
    if bits_back is None:
        few = header.patches <= _SEARCHED_PREDICTION
        bits_back = _predict(searching if few else codec, pictures, header)
    if not bits_back:
        codec, header = searching, replace(header, mode=Mode.DIRECT, bits_back_units=b"")
    with atomic(out) as temporary:
        chunks = _write(temporary, header, codec, pictures, progress)
        size = temporary.stat().st_size
        if verify:
            container = read_container(temporary, large=True)
            verify_exact(container, model, pictures, shifted(progress, header.patches, size))
    return PackedFile(
        bits_back,
        size,
        header.pixels,
        header.patches,
        sum(8 * len(chunk.payload) for chunk in chunks),
        sum(chunk.ideal for chunk in chunks),
        sum(chunk.seed for chunk in chunks),
        sum(chunk.seeds for chunk in chunks),
        _cuts(header, chunks),
        within_limits(size, header),
    )


def _predict(codec: Codec, pictures: Pictures, header: FileHeader) -> bool:
    """Return whether bits back is predicted to be shorter for a file of a header."""
    x = pictures.sample(SAMPLED_PATCHES)
    return predict_bits_back(codec, x, header.patches, header.bits_back_units)


def _cuts(header: FileHeader, chunks: Sequence[CodedChunk]) -> tuple[int, ...]:
    sizes = (framed_size(chunk.payload) for chunk in chunks)
    return tuple(itertools.accumulate(sizes, initial=len(front_of(header))))[1:]


def calibrated_codec(pictures: Pictures, calibration: Tensor | None) -> Codec:
    """Return the codec whose units are chosen by calibration images, or by some of the patches."""
    x = pictures.sample(SAMPLED_PATCHES) if calibration is None else calibration
    return codec_for(pictures.network, x)


def predict_bits_back(codec: Codec, x: Tensor, patches: int, masks: bytes) -> bool:
    """Return whether bits back is predicted to be shorter, from a few patches x.

    ``masks`` is what the bits-back code adds to the header.
    """
    if patches <= FIRST_GROWTH:
        return False
    direct, bits_back = Stack(), _arbitrary_bits(codec, len(x))
    codec.push_direct(direct, x)
    codec.push_bits_back(bits_back, x, 0)
    a, b = direct.ideal / len(x), bits_back.ideal / len(x)
    return FIRST_GROWTH * a + (patches - FIRST_GROWTH) * b + 8 * len(masks) < patches * a


def _arbitrary_bits(codec: Codec, count: int) -> Stack:
    """Return a stack of bits from which ``count`` images can draw their latents."""
    borrowed = 24 * count * sum(int(units.active.sum()) for units in codec.bits_back)
    words = np.frombuffer(hashlib.shake_128(b"").digest(borrowed // 8 + 64 & ~3), dtype="<u4")
    return Stack(np.append(words.astype(np.uint32), np.uint32(1)))


def header_for(model: CodingModel, codec: Codec, pictures: Pictures, mode: Mode) -> FileHeader:
    """Return the header of a file of pictures."""
    network = model.network
    frame = network.model.frame
    bits_back = codec.bits_back if mode is Mode.BITS_BACK else ()
    return FileHeader(
        mode,
        model.hash,
        frame.channels,
        frame.size,
        frame.bins,
        DIRECT_STEP,
        BITS_BACK_STEP,
        network.batch(),
        min(_CHUNK_PATCHES, max(1, _CHUNK_VALUES // frame.dims)),
        pictures.entries(),
        masks_to_bytes([units.active for units in codec.direct]),
        masks_to_bytes([units.active for units in bits_back]),
        signal=pictures.files.signal,
    )


def _write(
    path: Path, header: FileHeader, codec: Codec, pictures: Pictures, progress: Progress
) -> Sequence[CodedChunk]:
    """Write header and chunks, and return the chunks."""
    front, first, chunks = front_of(header), 0, []
    with path.open("wb") as file:
        file.write(front)
        for index, x in enumerate(pictures.chunks(header.per_chunk)):
            part = shifted(progress, first, file.tell())
            chunk = encode_chunk(codec, x, first, header.most, header.bits_back, part)
            file.write(frame_chunk(front, index, chunk.payload))
            chunks.append(chunk)
            first += len(x)
    return chunks


def verify_exact(
    container: Container, model: CodingModel, pictures: Pictures, progress: Progress = no_progress
) -> None:
    """Decode a file that was just written, and compare with what the pictures' files hold.

    Raises:
        ValueError: if it does not decode to the pictures.
    """
    decoded = decode_pictures(container, model, progress)
    for path, found in itertools.zip_longest(pictures.paths, decoded):
        # The promise is about the file: what was coded is not what is compared with.
        if found is None or not torch.equal(found[1], pictures.files.read(path)):
            raise ValueError(f"{path} is not decoded exactly; no file is written")
