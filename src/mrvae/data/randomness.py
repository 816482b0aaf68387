"""Random numbers that are a function of where they are used, not of what was drawn before.

A run needs noise for the image with index j of the global batch at step n. If that noise came
from one long stream, step n could not be had without steps 0…n-1, and the image's noise would
depend on how the batch is split over processes. Here a stream is named by integer *words*,

    stream(w₁, …, w_k) = PRNG(hash(w₁, …, w_k)),

with hash a 63-bit BLAKE2b digest of the words as 64-bit little-endian integers. The words begin
with the run's seed and a :class:`Purpose`, so that two uses of the same step never share a stream.

On CPU torch's generator is a Mersenne Twister that takes 32 bits of its seed: two given streams
coincide with probability 2⁻³², which is of no consequence for noise and would be for keys. On
CUDA it takes all 63. The numbers of a CPU and of a CUDA stream differ.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b

import torch
from torch import Tensor


class Purpose(IntEnum):
    """What a stream is for: the word that keeps the uses of one (seed, step) apart."""

    ORDER = 1
    DYNAMIC_PIXELS = 2
    FIXED_PIXELS = 3
    NOISE = 4
    TERM = 5
    RESTORATION = 6


def generator(*words: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return the generator at the start of the stream that the words name.

    Raises ``ValueError`` if a word is negative or takes more than 64 bits.

    Example:
        >>> first, again = generator(0, 1, 2), generator(0, 1, 2)
        >>> bool(torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=again)))
        True

    """
    return torch.Generator(device).manual_seed(_digest(*words))


def normal(
    seed: int,
    step: int,
    indices: Sequence[int],
    count: int,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draw ``count`` standard normals for each index, with shape (len(indices), count).

    Row i is a function of (seed, step, indices[i]) and of ``count`` only: any part of a batch
    gets the rows it would have in the whole.

    Example:
        >>> whole = normal(0, 7, range(4), 10)
        >>> bool(torch.equal(normal(0, 7, [2], 10), whole[2:3]))
        True

    """
    noise = torch.empty(len(indices), count, device=device, dtype=dtype)
    stream = torch.Generator(device)
    for row, index in zip(noise, indices, strict=True):
        stream.manual_seed(_digest(seed, Purpose.NOISE, step, index))
        row.normal_(generator=stream)
    return noise


def whole(seed: int, step: int, indices: Sequence[int], most: int) -> Tensor:
    """Draw one whole number, uniform in 1 … most, for each index: int64 (len(indices),).

    As in :func:`normal`, an entry is a function of (seed, step, index) and ``most`` only.

    Example:
        >>> every = whole(0, 7, range(100), 3)
        >>> sorted(set(every.tolist())), bool(torch.equal(whole(0, 7, [5], 3), every[5:6]))
        ([1, 2, 3], True)

    """
    streams = (generator(seed, Purpose.TERM, step, index) for index in indices)
    return torch.cat([torch.randint(1, most + 1, (1,), generator=stream) for stream in streams])


def _digest(*words: int) -> int:
    """Mix the words into 63 bits."""
    for word in words:
        if not 0 <= word < 1 << 64:
            raise ValueError(f"{word} cannot name a random stream; use integers in 0…2⁶⁴-1")
    packed = struct.pack(f"<{len(words)}Q", *words)
    return int.from_bytes(blake2b(packed, digest_size=8).digest(), "little") >> 1
