"""A chunk: some images on one stack, which can be read without the other chunks of a file.

In direct mode all batches of a chunk are coded directly. In bits-back mode the first one is, so
that its bytes are the bits from which the next batch draws its latents: no other bits are needed,
and none are lost. What the stack holds grows with the images on it, and so may the batches. With a
*pace* d, the first batch is of d images, and one that finds n images on the stack is of

    min(most, max(1, ⌊n/d⌋))

images. A batch of that size borrows no more than the stack holds if an image's latents have less
than d times the bits of an image. If they have more, the encoder doubles d and begins again; when
d has reached the number of images, all of them are coded directly.

A message that is empty stays so if each law's first symbol is pushed: black images of which no
latent is coded take no bits at all, and come off a stack that has nothing left. All such images are
alike, and one of them is popped for all. A message so short that it is less than one word has much
of that; once latents have made it longer, every symbol tells.

A chunk's bytes are d, a check of its pixels, and the words of the stack.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.codec import Codec, ExhaustedError
from mrvae.compression.coder import Stack, cheapest
from mrvae.compression.network import MOST

_HEAD = struct.Struct("<HI")
FIRST_PACE = 6


class DamagedError(ValueError):
    """A chunk that does not decode."""


@dataclass(frozen=True)
class Written:
    """A chunk's bytes, and what they consist of in bits.

    Attributes:
        payload: the bytes.
        ideal: what the laws say that the images take.
        seed: bits of the directly coded first batch of a bits-back chunk.
        seeds: its images.
    """

    payload: bytes
    ideal: float
    seed: int
    seeds: int


def write_chunk(codec: Codec, x: Tensor, first: int, most: int, bits_back: bool) -> Written:
    """Code uint8 images (n, C, S, S), of which the first is number ``first`` of the file."""
    growth = min(FIRST_PACE, len(x)) if bits_back else 0
    while 0 < growth < len(x):
        try:
            return _write(codec, x, first, most, growth)
        except ExhaustedError:
            growth *= 2
    return _write(codec, x, first, most, 0)


def read_chunk(codec: Codec, payload: bytes, count: int, first: int, most: int) -> Tensor:
    """Return the ``count`` images of a chunk.

    Raises:
        DamagedError: if the bytes are none of a chunk, cannot hold so many images, or decode to
            others than were written.
    """
    growth, check, stack = _open(payload, count, codec)
    parts = []
    for start, size in reversed(list(batches(count, growth, most))):
        bits_back = growth > 0 and start > 0
        if bits_back and stack.empty:
            raise DamagedError("its bits end before its images do")
        if bits_back:
            parts.append(codec.pop_bits_back(stack, size, first + start))
        elif stack.empty:
            # Nothing is left: this and all before it are what an empty message says, and alike.
            parts.append(codec.pop_direct(stack, 1).expand(start + size, -1, -1, -1))
            break
        else:
            parts.append(codec.pop_direct(stack, size))
    x = torch.cat(parts[::-1])
    if not stack.empty or _check(x) != check:
        raise DamagedError(
            "it decodes to other pixels than were written; the model is computed differently here"
        )
    return x


def batches(count: int, growth: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the start and the size of each batch, in the order of writing.

    Pace 0 is that of direct coding, where all batches are alike.

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


def _write(codec: Codec, x: Tensor, first: int, most: int, growth: int) -> Written:
    stack, seed, seeds = Stack(), 0, 0
    for start, size in batches(len(x), growth, most):
        part = x[start : start + size]
        if growth and start:
            codec.push_bits_back(stack, part, first + start)
        else:
            codec.push_direct(stack, part)
            seed, seeds = (stack.bits, size) if growth else (0, 0)
    words = stack.words.astype("<u4").tobytes()
    return Written(_HEAD.pack(growth, _check(x)) + words, stack.ideal, seed, seeds)


def _open(payload: bytes, count: int, codec: Codec) -> tuple[int, int, Stack]:
    """Return pace, check and stack of a chunk, or refuse it."""
    length = len(payload)
    if length < _HEAD.size or (length - _HEAD.size) % 4:
        raise DamagedError(f"its {length} bytes are not those of a chunk")
    growth, check = _HEAD.unpack_from(payload)
    if growth >= max(count, 1):
        raise DamagedError(f"its first batch is of {growth} images, and it has {count}")
    if _least(codec, count, growth) > 8 * length:
        raise DamagedError(f"its {length} bytes cannot hold {count} images")
    words = np.frombuffer(payload, dtype="<u4", offset=_HEAD.size).astype(np.uint32)
    try:
        return growth, check, Stack(words)
    except ValueError as error:
        raise DamagedError(str(error)) from None


def _least(codec: Codec, count: int, growth: int) -> float:
    """Return the bits that so many images have at least, beyond those that may have none."""
    says = growth > 0 or any(bool(units.active.any()) for units in codec.direct)
    channels, size, _ = codec.network.image
    pixels = channels * size * size * cheapest(codec.network.model.frame.bins)
    return max(0, count - MOST) * pixels if says else 0.0


def _check(x: Tensor) -> int:
    return zlib.crc32(x.contiguous().numpy().tobytes())
