"""The files that a model codes: pictures, or recordings of signals, as bins and back.

Pictures are read as they are and written as PNG. A recording is a WAV file, and its bins are those
of the recipe's quantiser. They give the file's samples back only if every sample is the integer of
its bin, see :mod:`mrvae.data.signals.wav`; a file of other samples is refused, unless samples are
to be rounded. What is needed to write WAV files again, rate, depth and quantiser, is in the file
that is coded, so that it does not depend on a recipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from mrvae.compression.format.header import SignalEntry
from mrvae.data.files.image_files import from_tensor
from mrvae.data.files.image_files import header as picture_shape
from mrvae.data.files.image_files import read as read_picture
from mrvae.data.signals.load import check_rate
from mrvae.data.signals.quantisers import Linear, MuLaw, SignalBins, quantiser_of
from mrvae.data.signals.wav import Recording, read_wav, to_bins, to_samples, write_wav
from mrvae.recipes.data import MuLawSpec, SignalSpec

Shape = tuple[int, int, int]


class CodedFiles(Protocol):
    """How files become bins."""

    @property
    def signal(self) -> SignalEntry | None:
        """What the header of the coded file says of recordings; None of pictures."""

    def shape(self, path: Path) -> Shape:
        """Return the shape (C, H, W) of a file's contents."""

    def read(self, path: Path) -> Tensor:
        """Return a file's contents as bins, uint8 (C, H, W)."""


@dataclass(frozen=True)
class PictureFiles:
    """Pictures of 8-bit grey or RGB."""

    @property
    def signal(self) -> SignalEntry | None:
        """None."""
        return None

    def shape(self, path: Path) -> Shape:
        """Return the shape (C, H, W) of a picture, by its header."""
        return picture_shape(path)

    def read(self, path: Path) -> Tensor:
        """Return a picture, uint8 (C, H, W)."""
        return read_picture(path, None)


PICTURE_FILES = PictureFiles()


@dataclass(frozen=True)
class WavFiles:
    """Recordings of one rate and depth.

    Args:
        signal: their rate and depth, and the quantiser.
        rounded: whether samples are rounded to bins; else a file that would change is refused.
    """

    signal: SignalEntry
    rounded: bool = False

    def shape(self, path: Path) -> Shape:
        """Return the shape (C, 1, T) of a recording."""
        time, channels = self._recording(path).samples.shape
        return int(channels), 1, int(time)

    def read(self, path: Path) -> Tensor:
        """Return the bins of a recording, uint8 (C, 1, T).

        Raises:
            ValueError: if the rate or depth is another, or a sample lies between the bins' values.
        """
        recording, quantiser = self._recording(path), quantiser_from(self.signal)
        k = to_bins(recording.samples, quantiser)
        if not self.rounded:
            changed = int((to_samples(k, quantiser, self.signal.depth) != recording.samples).sum())
            if changed:
                raise ValueError(
                    f"{path}: {changed:,} of {k.size:,} samples are no values of the recipe's "
                    f"{quantiser.bins} bins, and would be lost; --quantise rounds them"
                )
        return torch.from_numpy(k.T.copy())[:, None]

    def _recording(self, path: Path) -> Recording:
        recording = read_wav(path)
        check_rate(path, recording, self.signal.rate)
        if depth_of(recording) != self.signal.depth:
            raise ValueError(
                f"{path}: has {depth_of(recording)} bits a sample, and the recordings before it "
                f"{self.signal.depth}; code them apart"
            )
        return recording


def wav_files(paths: Sequence[Path], spec: SignalSpec, bins: int, rounded: bool) -> WavFiles:
    """Return how recordings are coded by a model of a recipe, with the depth of the first.

    Raises:
        ValueError: if there is none, or the first cannot be read or has more than 16 bits a sample.
    """
    if not paths:
        raise ValueError("there are no recordings; name one or more")
    first = read_wav(paths[0])
    if first.samples.dtype.itemsize > 2 and not rounded:
        raise ValueError(
            f"{paths[0]}: has samples of {8 * first.samples.dtype.itemsize} bits, which the "
            f"recipe's {bins} bins do not hold; --quantise rounds them"
        )
    quantiser = quantiser_of(spec.quantiser, bins)
    law = isinstance(spec.quantiser, MuLawSpec)
    entry = SignalEntry(spec.rate, depth_of(first), law, bins, quantiser.lowest, quantiser.highest)
    return WavFiles(entry, rounded)


def depth_of(recording: Recording) -> int:
    """Return the bits of a sample as it is written again: 8 of 8, else 16."""
    return 8 if recording.samples.dtype.itemsize == 1 else 16


def quantiser_from(entry: SignalEntry) -> SignalBins:
    """Return the quantiser of a coded file."""
    if entry.mu_law:
        return MuLaw(entry.bins)
    return Linear(entry.lowest, entry.highest, entry.bins)


def suffix_of(signal: SignalEntry | None) -> str:
    """Return how the names of decoded files end.

    Example:
        >>> suffix_of(None)
        '.png'
    """
    return ".png" if signal is None else ".wav"


def write_contents(path: Path, x: Tensor, signal: SignalEntry | None) -> None:
    """Write bins, uint8 (C, H, W), as a picture, or a recording if there is a signal."""
    if signal is None:
        from_tensor(x).save(path, format="PNG")
        return
    samples = to_samples(x[:, 0].numpy().T, quantiser_from(signal), signal.depth)
    write_wav(path, samples, signal.rate)
