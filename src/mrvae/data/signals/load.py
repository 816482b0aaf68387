"""From a recipe's words to windows of signals, as images of 1 × T with as many bins as it names.

The splits of a folder of WAV files are those of a folder of pictures: the sub-folders train,
validation and test, or by file in the fixed order; those of an array or CSV go by series. Of one
recording or series only, the first 80 % of the time are for training, the next 10 % for validation,
the last 10 % for the test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from mrvae.data.files.listing import choose, warn
from mrvae.data.files.untrusted import LARGEST
from mrvae.data.images import Images
from mrvae.data.loading import existing
from mrvae.data.location import data_folder
from mrvae.data.signals.ecg import load_ecg
from mrvae.data.signals.fsdd import fsdd_paths
from mrvae.data.signals.quantisers import Bins, Reals, SignalBins, quantiser_of
from mrvae.data.signals.tables import read_csv, read_npy, read_npz
from mrvae.data.signals.wav import SUFFIXES, Recording, read_wav, to_bins
from mrvae.data.signals.windows import WindowRows, starts_of
from mrvae.data.splits import a_tenth, held_out
from mrvae.recipes.data import SignalSpec

NAMES = ("ecg", "fsdd")
"""The signals that are known by name."""

_FEWEST = 10
_OTHERS = "a folder of .wav files, or a .wav, .npy, .npz or .csv file"


def load_signals(
    source: str,
    split: str,
    data_dir: Path | str | None,
    spec: SignalSpec,
    image: tuple[int, int, int],
    bins: int,
) -> Images:
    """Return the windows of a split, uint8 (N, C, 1, T), for a model of images (C, 1, T).

    Raises ``ValueError`` for data that are missing, damaged, of another rate or number of channels,
    or shorter than a window.

    Example:
        >>> from mrvae.recipes.data import LinearSpec
        >>> spec = SignalSpec(rate=360, stride=1, quantiser=LinearSpec(-128.0, 256.0))
        >>> load_signals("ecg", "test", None, spec, (1, 1, 64), bins=128).tensor().shape
        torch.Size([3, 1, 1, 64])
    """
    channels, _, window = image
    quantiser = quantiser_of(spec.quantiser, bins)
    recordings = _recordings(source, split, data_folder(data_dir), spec, quantiser)
    for recording in recordings:
        if recording.shape[1] != channels:
            raise ValueError(
                f"{source}: has recordings of {recording.shape[1]} channels, and the model's are "
                f"of {channels}; set model.channels={recording.shape[1]}"
            )
    stride = spec.stride if split == "train" else window
    starts = starts_of([len(one) for one in recordings], window, stride, spec.layout)
    if not len(starts):
        longest = max(map(len, recordings))
        raise ValueError(
            f"{source}: no window of {window:,} samples fits into the {split} recordings, of which "
            f"the longest has {longest:,}; set a smaller model.size, or "
            "data.signal.layout=end_to_end"
        )
    signal = torch.from_numpy(np.ascontiguousarray(np.concatenate(recordings).T))
    return Images(WindowRows(signal, starts, window), Path(source).name, split, bins)


def _recordings(
    source: str, split: str, root: Path | None, spec: SignalSpec, quantiser: SignalBins
) -> Sequence[Bins]:
    """Return the recordings of a split, each uint8 (T, C)."""
    if source == "ecg":
        return _quantised(load_ecg(split), quantiser, source)
    if source == "fsdd":
        return _wav_bins(fsdd_paths(split, root), spec, quantiser)
    path = existing(source, root, NAMES, _OTHERS)
    if path.is_dir():
        chosen = choose(path, split, SUFFIXES)
        if chosen.whole or (len(chosen.paths) > 1):
            indices = chosen.indices(len(chosen.paths)).tolist()
            return _wav_bins([chosen.paths[i] for i in indices], spec, quantiser)
        return [_in_time(_wav_bins(chosen.paths, spec, quantiser)[0], split)]
    match path.suffix.lower():
        case ".wav":
            return [_in_time(_wav_bins([path], spec, quantiser)[0], split)]
        case ".npz":
            series, whole = read_npz(path, split)
            read = _quantised(series, quantiser, str(path))
            if whole:
                return read
            return [read[i] for i in held_out(split, len(read), a_tenth(len(read))).tolist()]
        case ".npy":
            return _split(path, _quantised(read_npy(path), quantiser, str(path)), split)
        case ".csv":
            return _split(path, _quantised(read_csv(path), quantiser, str(path)), split)
    raise ValueError(f"{path} is not read; give {_OTHERS}")


def _split(path: Path, series: Sequence[Bins], split: str) -> Sequence[Bins]:
    """Return the series of a split by the fixed order, or a part of the only one."""
    if len(series) == 1:
        return [_in_time(series[0], split)]
    if len(series) < _FEWEST:
        raise ValueError(
            f"{path}: holds {len(series)} series; give one, which is split in time, or {_FEWEST} "
            "or more, or an .npz file with x_train and x_test"
        )
    tenth = len(series) // 10
    return [series[i] for i in held_out(split, len(series), tenth, tenth).tolist()]


def _in_time(recording: Bins, split: str) -> Bins:
    """Return the part of one recording that is of a split."""
    early, late = 8 * len(recording) // 10, 9 * len(recording) // 10
    first, end = {"train": (0, early), "validation": (early, late), "test": (late, None)}[split]
    return recording[first:end]


def _wav_bins(paths: Sequence[Path], spec: SignalSpec, quantiser: SignalBins) -> list[Bins]:
    """Read WAV files of the recipe's rate as bins."""
    total, made = 0, []
    for path in paths:
        recording = read_wav(path)
        check_rate(path, recording, spec.rate)
        made.append(to_bins(recording.samples, quantiser))
        total += made[-1].size
        _check_total(path, total)
    return made


def check_rate(path: Path, recording: Recording, rate: int) -> None:
    """Refuse a recording of another rate than the recipe's.

    Raises ``ValueError``.
    """
    if recording.rate != rate:
        raise ValueError(
            f"{path}: has {recording.rate:,} samples a second, and the recipe {rate:,}; resample "
            f"it, or set data.signal.rate={recording.rate}"
        )


def _quantised(series: Iterable[Reals], quantiser: SignalBins, name: str) -> list[Bins]:
    """Return series of numbers as bins; how many are beyond the range is logged."""
    made, beyond, total = [], 0, 0
    for one in series:
        outside = (one < quantiser.lowest) | (one > quantiser.highest)
        beyond, total = beyond + int(outside.sum()), total + one.size
        made.append(quantiser.encode(one))
        _check_total(Path(name), total)
    if beyond:
        warn(
            f"mrvae: {name}: {100 * beyond / total:.2g} % of the samples are outside "
            f"{quantiser.lowest:g} … {quantiser.highest:g} and become its outermost bins"
        )
    return made


def _check_total(path: Path, total: int) -> None:
    """Refuse more samples than are read into memory."""
    if total > LARGEST:
        raise ValueError(f"{path}: the samples up to here are more than {LARGEST:,}; give fewer")
