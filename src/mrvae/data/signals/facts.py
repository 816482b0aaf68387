"""How a source of signals is read when nothing is said about it: rate, quantiser and window.

A folder of WAV files, a WAV file or a CSV, and the names ``ecg`` and ``fsdd``, are signals. Rate
and channels are those of the first recording. Sound has the bins of μ-law, unless it is of 8 bits,
which are taken as they are; numbers have 256 equal bins from the least to the largest for training.
The window is the largest power of two up to 4,096 of which the training recordings hold sixteen, or
the length of all series of a CSV, if they have one of at most 4,096.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrvae.data.files.image_files import SUFFIXES as PICTURES
from mrvae.data.files.listing import choose, first_with
from mrvae.data.location import data_folder
from mrvae.data.signals.ecg import load_ecg
from mrvae.data.signals.fsdd import fsdd_paths
from mrvae.data.signals.quantisers import Reals
from mrvae.data.signals.tables import read_csv
from mrvae.data.signals.wav import SUFFIXES, read_wav
from mrvae.recipes.data import EndToEnd, LinearSpec, MuLawSpec, SignalSpec, Within

_LONGEST, _SHORTEST, _WINDOWS = 4096, 16, 16
_STRIDES = 4
_ECG_RATE, _UNKNOWN_RATE = 360, 8000


@dataclass(frozen=True)
class SignalFacts:
    """How signals are read, how many channels they have, and how long a window is."""

    spec: SignalSpec
    channels: int
    window: int


def signal_facts(source: str, data_dir: Path | str | None) -> SignalFacts | None:
    """Return how a source of signals is read; None of images.

    Raises ``ValueError`` if it is damaged, or holds too little for a window.

    Example:
        >>> facts = signal_facts("ecg", None)
        >>> facts.window, facts.spec.quantiser.lowest, signal_facts("digits", None) is None
        (32, -97.0, True)
    """
    root = data_folder(data_dir)
    if source == "ecg":
        return _numbers(source, [load_ecg("train")[0]], _ECG_RATE)
    if source == "fsdd":
        return _sound(fsdd_paths("train", root))
    places = [Path(source)] if root is None else [Path(source), root / source]
    path = next((place for place in places if place.exists()), None)
    if path is None:
        return None
    if path.is_dir():
        sound = first_with(path, SUFFIXES) is not None and first_with(path, PICTURES) is None
        return _sound(list(choose(path, "train", SUFFIXES).paths)) if sound else None
    if path.suffix.lower() in SUFFIXES:
        return _sound([path])
    if path.suffix.lower() == ".csv":
        return _numbers(source, list(read_csv(path)), _UNKNOWN_RATE)
    return None


def _sound(paths: list[Path]) -> SignalFacts:
    """Return how WAV files are read."""
    first, total = read_wav(paths[0]), 0
    for path in paths:
        total += len(read_wav(path).samples)
        if total >= _LONGEST * _WINDOWS:
            break
    window = _window(str(paths[0].parent), total)
    quantiser = LinearSpec() if first.samples.dtype == np.uint8 else MuLawSpec()
    spec = SignalSpec(first.rate, max(window // _STRIDES, 1), quantiser)
    return SignalFacts(spec, first.channels, window)


def _numbers(source: str, series: list[Reals], rate: int) -> SignalFacts:
    """Return how series of numbers are read."""
    if not series:
        raise ValueError(f"{source}: holds no series; give one a row")
    low, high = min(float(one.min()) for one in series), max(float(one.max()) for one in series)
    # The largest number is not to be beyond the last bin, and a constant has a range too.
    high += max((high - low) / 255, 1e-6 * max(abs(high), 1.0))
    quantiser, lengths = LinearSpec(low, high), {len(one) for one in series}
    channels = series[0].shape[1]
    if len(series) > 1 and len(lengths) == 1 and min(lengths) <= _LONGEST:
        window = min(lengths)
        return SignalFacts(SignalSpec(rate, window, quantiser, Within()), channels, window)
    window = _window(source, sum(len(one) for one in series))
    stride = max(window // _STRIDES, 1)
    return SignalFacts(SignalSpec(rate, stride, quantiser, EndToEnd()), channels, window)


def _window(source: str, total: int) -> int:
    """Return the largest power of two of which so many samples hold enough windows."""
    window = min(_LONGEST, 1 << max(total // _WINDOWS, 1).bit_length() - 1)
    if window < _SHORTEST:
        raise ValueError(
            f"{source}: {total:,} samples for training are too few; give {_SHORTEST * _WINDOWS} "
            "or more"
        )
    return window
