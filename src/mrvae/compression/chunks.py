"""A chunk: some images on one stack, decodable without the other chunks of a file.

In direct mode all batches of a chunk are coded directly. In bits-back mode the first one is, and
the next batch draws its latents from these bits: no other bits are needed, and none are lost. The
more images are on the stack, the more bits it holds, and the larger a batch may be. With a *growth*
d, the first batch has d images, and one that finds n images on the stack has

    min(most, max(1, ⌊n/d⌋))

images. Such a batch borrows no more than the stack holds if an image's latents have less than d
times the bits of an image. If they have more, the encoder doubles d and begins again; when d has
reached the number of images, all of them are coded directly.

An empty message stays empty if the first symbol of each distribution is pushed: black images of
which no latent is coded take no bits, and are popped from an empty stack. All such images are
equal, so one of them is popped for all. A message shorter than one word behaves similarly; once
latents have made it longer, every symbol makes it grow.

A chunk's bytes are d, a check of its pixels, and the words of the stack.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.compression.codec import Codec, ExhaustedError
from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import min_symbol_bits
from mrvae.compression.network import MAX_BATCH
from mrvae.compression.progress import Progress, no_progress

_HEAD = struct.Struct("<HI")
FIRST_GROWTH = 6


class DamagedError(ValueError):
    """A chunk that does not decode."""


@dataclass(frozen=True)
class CodedChunk:
    """A chunk's bytes, and the bits of its parts.

    Attributes:
        payload: the bytes.
        ideal: -log₂ P of all its symbols, less those of symbols popped.
        seed: bits of the directly coded first batch of a bits-back chunk.
        seeds: images of that batch.
    """

    payload: bytes
    ideal: float
    seed: int
    seeds: int


def encode_chunk(
    codec: Codec,
    x: Tensor,
    first: int,
    most: int,
    bits_back: bool,
    progress: Progress = no_progress,
) -> CodedChunk:
    """Code uint8 images (n, C, H, W), of which the first is number ``first`` of the file."""
    growth = min(FIRST_GROWTH, len(x)) if bits_back else 0
    while 0 < growth < len(x):
        try:
            return _encode(codec, x, first, most, growth, progress)
        except ExhaustedError:
            growth *= 2
    return _encode(codec, x, first, most, 0, progress)


def decode_chunk(
    codec: Codec,
    payload: bytes,
    count: int,
    first: int,
    most: int,
    progress: Progress = no_progress,
) -> Tensor:
    """Return the ``count`` images of a chunk.

    Raises:
        DamagedError: if the bytes are not a chunk, cannot hold so many images, or decode to other
            images.
    """
    growth, crc, stack = _open(payload, count, codec)
    parts = []
    for start, size in reversed(list(batches(count, growth, most))):
        bits_back = growth > 0 and start > 0
        if bits_back and stack.empty:
            raise DamagedError("its bits end before its images do")
        if bits_back:
            parts.append(codec.pop_bits_back(stack, size, first + start))
        elif stack.empty:
            # All images that are left decode from an empty message, and so are equal.
            parts.append(codec.pop_direct(stack, 1).expand(start + size, -1, -1, -1))
            break
        else:
            parts.append(codec.pop_direct(stack, size))
        progress(count - start, len(payload) - stack.bits // 8)
    x = torch.cat(parts[::-1])
    if not stack.empty or pixel_crc(x) != crc:
        raise DamagedError(
            "it decodes to other pixels than were written; the model is computed differently here"
        )
    return x


def batches(count: int, growth: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the start and the size of each batch, in the order of writing.

    Growth 0 is direct coding, where all batches have the same size.

    Example:
        >>> list(batches(8, growth=2, most=3))
        [(0, 2), (2, 1), (3, 1), (4, 2), (6, 2)]
        >>> list(batches(8, growth=0, most=3))
        [(0, 3), (3, 3), (6, 2)]
    """
    start = 0
    while start < count:
        wanted = most if not growth else min(most, start // growth) if start else min(growth, count)
        size = min(max(1, wanted), count - start)
        yield start, size
        start += size


def pixel_crc(x: Tensor) -> int:
    """Return the CRC-32 of uint8 images in the order (image, channel, row, column)."""
    return zlib.crc32(x.contiguous().numpy().tobytes())


def _encode(
    codec: Codec, x: Tensor, first: int, most: int, growth: int, progress: Progress
) -> CodedChunk:
    stack, seed, seeds = Stack(), 0, 0
    for start, size in batches(len(x), growth, most):
        part = x[start : start + size]
        if growth and start:
            codec.push_bits_back(stack, part, first + start)
        else:
            codec.push_direct(stack, part)
            seed, seeds = (stack.bits, size) if growth else (0, 0)
        progress(start + size, stack.bits // 8)
    payload = _HEAD.pack(growth, pixel_crc(x)) + stack.to_bytes()
    return CodedChunk(payload, stack.ideal, seed, seeds)


def _open(payload: bytes, count: int, codec: Codec) -> tuple[int, int, Stack]:
    """Return growth, pixel CRC and stack of a chunk, or refuse it."""
    length = len(payload)
    if length < _HEAD.size:
        raise DamagedError(f"its {length} bytes are not those of a chunk")
    growth, crc = _HEAD.unpack_from(payload)
    if growth >= max(count, 1):
        raise DamagedError(f"its first batch is of {growth} images, and it has {count}")
    if _min_bits(codec, count, growth) > 8 * length:
        raise DamagedError(f"its {length} bytes cannot hold {count} images")
    try:
        return growth, crc, Stack.from_bytes(payload[_HEAD.size :])
    except ValueError as error:
        raise DamagedError(str(error)) from None


def _min_bits(codec: Codec, count: int, growth: int) -> float:
    """Return the fewest bits of so many images, beyond a batch of which all may take none."""
    grows = growth > 0 or any(bool(units.active.any()) for units in codec.direct)
    frame = codec.network.model.frame
    pixels = frame.dims * min_symbol_bits(frame.bins)
    return max(0, count - MAX_BATCH) * pixels if grows else 0.0
