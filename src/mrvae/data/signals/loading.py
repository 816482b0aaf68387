"""A split of a folder of recordings, of an array, or of a table, in windows of one length.

Splits are of whole signals, never of windows, so that no recording is in two of them: of a folder
its sub-folders train, validation and test, else 80 %, 10 % and 10 % of the files, by the rules of
:mod:`mrvae.data.files.listing`; of an .npz file its arrays; of a .npy file and a table the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from mrvae.data.files.listing import choose, warn
from mrvae.data.files.untrusted import check_expansion
from mrvae.data.location import data_folder
from mrvae.data.signals import arrays, series, wav
from mrvae.data.signals.windows import Series, Windowing
from mrvae.data.splits import SPLITS, a_tenth, held_out

_VALIDATION_KEYS = ("x_validation", "x_val")
_FLOAT = 4


@dataclass(frozen=True, eq=False)
class Signals:
    """Windows of signals.

    Args:
        values: float32 (N, C, 1, T).
        lengths: how many samples at the beginning of each window are the signal's own, (N,).
        rate: samples a second.
        name: of the source.
        split: train, validation or test.
    """

    values: Tensor = field(repr=False)
    lengths: Tensor = field(repr=False)
    rate: float
    name: str
    split: str

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self.values)

    @property
    def own(self) -> Tensor:
        """Which samples are no padding: boolean (N, 1, 1, T)."""
        places = torch.arange(self.values.shape[-1])
        return (places < self.lengths[:, None])[:, None, None]


def load_signals(
    source: str,
    split: str,
    windowing: Windowing,
    data_dir: Path | str | None = None,
    rate: float = 1.0,
) -> Signals:
    """Return the windows of a source's split.

    Args:
        source: a folder of WAV files, a .npy, .npz or .csv file; from the current folder, else from
            the data folder.
        split: train, validation or test.
        windowing: the length of the windows, and how signals are cut or padded.
        data_dir: the data folder; MRVAE_DATA's by default.
        rate: of an array or a table, which know none.

    Raises:
        ValueError: if there is no such source or split, a file is damaged, recordings differ in
            rate or channels, or no signal gives a window.
    """
    if split not in SPLITS:
        raise ValueError(f"{split!r} is no split; choose from {', '.join(SPLITS)}")
    path = _existing(source, data_folder(data_dir))
    if path.is_dir():
        return _load_folder(path, split, windowing)
    signals = _of_file(path, split)
    _check_alike(path, [signal.shape[0] for signal in signals])
    windows = windowing.of(signals)
    return Signals(windows.values, windows.lengths, rate, path.stem, split)


def _load_folder(folder: Path, split: str, windowing: Windowing) -> Signals:
    """Read the recordings of a split, once their headers have shown what they have in common."""
    chosen = choose(folder, split, wav.SUFFIXES)
    headers = {path: wav.declared(path) for path in chosen.paths}
    kinds = Counter(f"{h.channels} × {h.rate:,} Hz" for h in headers.values())
    if len(kinds) > 1:
        counts = ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common())
        raise ValueError(
            f"{folder}: recordings differ in channels or rate: {counts}; convert them to one"
        )
    paths = [chosen.paths[i] for i in chosen.indices(len(headers)).tolist()]
    first = headers[paths[0]]
    windows = sum(windowing.count(headers[path].samples) for path in paths)
    size = windows * windowing.length * first.channels * _FLOAT
    check_expansion(folder, size, sum(path.stat().st_size for path in paths))
    short = sum(windowing.count(headers[path].samples) == 0 for path in paths)
    if 0 < short < len(paths):
        are = "recording is" if short == 1 else "recordings are"
        warn(f"mrvae: {folder}: {short} {are} shorter than a window and left out")
    cut = windowing.of([wav.read(path) for path in paths])
    return Signals(cut.values, cut.lengths, float(first.rate), folder.name, split)


def _of_file(path: Path, split: str) -> list[Series]:
    """Return the signals of a split of an array or a table."""
    match path.suffix.lower():
        case ".npz":
            own = [key for key in _VALIDATION_KEYS if key in arrays.keys(path)]
            key = {"train": "x_train", "test": "x_test", "validation": [*own, "x_train"][0]}[split]
            signals = arrays.read_npz(path, key)
            if split == "test" or own:
                return signals
            return _picked(signals, held_out(split, len(signals), a_tenth(len(signals))))
        case ".npy":
            signals = arrays.read_npy(path)
        case ".csv":
            signals = series.read(path)
        case _:
            raise ValueError(f"{path} is not read; give a folder of WAV files, .npy, .npz or .csv")
    tenth = len(signals) // 10
    return _picked(signals, held_out(split, len(signals), tenth, tenth))


def _picked(signals: Sequence[Series], indices: Tensor) -> list[Series]:
    return [signals[i] for i in indices.tolist()]


def _check_alike(path: Path, channels: Sequence[int]) -> None:
    if len(set(channels)) > 1:
        raise ValueError(f"{path}: signals have {sorted(set(channels))} channels; store one number")


def _existing(source: str, root: Path | None) -> Path:
    """Return the path of a source."""
    candidates = [Path(source)] if root is None else [Path(source), root / source]
    for path in candidates:
        if source and path.exists():
            return path
    tried = " or ".join(str(path) for path in candidates)
    raise ValueError(f"there is no {tried}; give a folder of WAV files, a .npy, .npz or .csv file")
