"""WAV files: samples as numbers in [-1, 1], and as the integers of their files.

An integer v of b bits is the number v/2^(b-1), of 8 bits, which are unsigned, (v - 128)/128;
numbers in floating point are taken as they are. A file is read whole into memory and then parsed,
so that no header can ask for more than the file has.

A bin k is written as the integer nearest to value(k). A file of which every sample is the integer
of its own bin is *representable*: coding the bins loses nothing. So are files of 8 bits under 256
equal bins of [-1, 1), and what was quantised by μ-law and written with 16 bits.

Numbers of another unit, such as millivolts, do not fit into a file. A quantiser whose range reaches
beyond [-1, 1] is therefore stretched: its range fills that of the file, on reading and on writing.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrvae.data.files.untrusted import opened
from mrvae.data.signals.quantisers import Bins, Reals, SignalBins
from mrvae.files import atomic

SUFFIXES = (".wav",)

DEPTHS = (8, 16)
"""Bits of the samples that are written, and coded without loss."""

_LARGEST = 1 << 30
_MOST_CHANNELS = 64

Samples = NDArray[np.generic]


@dataclass(frozen=True)
class Recording:
    """The samples of a file, (T, C), as it holds them, and how many a second."""

    samples: Samples
    rate: int

    @property
    def channels(self) -> int:
        """C."""
        return int(self.samples.shape[1])


def read_wav(path: Path) -> Recording:
    """Read a WAV file of 8, 16, 24 or 32 bits or of floating point; 24 bits become 32.

    Raises:
        ValueError: if it is no such file, is damaged, larger than 1 GiB or without samples, has
            more than 64 channels, or holds what is no finite number.
    """
    # Importing scipy.io takes a moment that no image should pay.
    from scipy.io import wavfile

    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > _LARGEST:
            raise ValueError(f"{path}: has {size:,} bytes; cut it into files of at most 1 GiB")
        rate, samples = wavfile.read(io.BytesIO(stream.read()))
        samples = samples[:, None] if samples.ndim == 1 else samples
        if samples.size == 0:
            raise ValueError(f"{path}: holds no samples; remove it")
        if samples.shape[1] > _MOST_CHANNELS:
            raise ValueError(
                f"{path}: has {samples.shape[1]} channels; at most {_MOST_CHANNELS} are read"
            )
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            bad = int((~np.isfinite(samples)).sum())
            raise ValueError(f"{path}: {bad:,} samples are no finite numbers; mend or remove it")
    return Recording(samples, int(rate))


def to_reals(samples: Samples) -> Reals:
    """Return samples as numbers, those of integers in [-1, 1).

    Example:
        >>> to_reals(np.array([0, 128, 255], np.uint8)).tolist()
        [-1.0, 0.0, 0.9921875]
        >>> to_reals(np.array([-32768, 16384], np.int16)).tolist()
        [-1.0, 0.5]
    """
    real = samples.astype(np.float64)
    if samples.dtype.kind == "f":
        return real
    if samples.dtype.kind == "u":
        return real / 128 - 1
    return real / 2.0 ** (8 * samples.dtype.itemsize - 1)


def to_samples(k: Bins, quantiser: SignalBins, depth: int) -> Samples:
    """Return bins as the integers of a file of ``depth`` = 8 or 16 bits, of their shape.

    Example:
        >>> from mrvae.data.signals.quantisers import Linear, MuLaw
        >>> k = np.array([0, 127, 128, 255], np.uint8)
        >>> to_samples(k, MuLaw(), 16).tolist(), to_samples(k, Linear(-1.0, 1.0), 8).tolist()
        ([-32063, -3, 3, 32063], [0, 127, 128, 255])
    """
    largest = 2.0 ** (depth - 1)
    table = _unit(quantiser.decode(np.arange(quantiser.bins, dtype=np.uint8)), quantiser)
    # The middle of a bin of one integer is half an integer above it.
    whole = np.clip(np.ceil(table * largest - 0.5), -largest, largest - 1)
    written = (whole + 128).astype(np.uint8) if depth == 8 else whole.astype(np.int16)
    return np.asarray(written[k])


def to_bins(samples: Samples, quantiser: SignalBins) -> Bins:
    """Return the bins of samples of a file, of their shape; the inverse of :func:`to_samples`."""
    return quantiser.encode(_from_unit(to_reals(samples), quantiser))


def is_representable(samples: Samples, quantiser: SignalBins) -> bool:
    """Whether every sample of 8 or 16 bits is the integer of a bin, so that its bins give it back.

    Example:
        >>> from mrvae.data.signals.quantisers import MuLaw
        >>> [is_representable(np.array([[v]], np.int16), MuLaw()) for v in (3, 4)]
        [True, False]
    """
    if samples.dtype not in (np.uint8, np.int16):
        return False
    k = to_bins(samples, quantiser)
    return bool(np.array_equal(to_samples(k, quantiser, 8 * samples.dtype.itemsize), samples))


def write_wav(path: Path, samples: Samples, rate: int) -> None:
    """Write samples (T, C) of 8 or 16 bits as a WAV file, atomically."""
    from scipy.io import wavfile

    with atomic(path) as temporary:
        wavfile.write(temporary, rate, samples[:, 0] if samples.shape[1] == 1 else samples)


def _unit(x: Reals, quantiser: SignalBins) -> Reals:
    """Map the range of a quantiser to [-1, 1]."""
    middle, half = _range(quantiser)
    return (x - middle) / half


def _from_unit(x: Reals, quantiser: SignalBins) -> Reals:
    middle, half = _range(quantiser)
    return x * half + middle


def _range(quantiser: SignalBins) -> tuple[float, float]:
    """Return the middle of a range, and half its width; 0 and 1 of one that fits into a file."""
    low, high = quantiser.lowest, quantiser.highest
    if low >= -1 and high <= 1:
        return 0.0, 1.0
    return (low + high) / 2, (high - low) / 2
