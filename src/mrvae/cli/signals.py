"""Signals of a run as WAV files, and as a picture of waveforms with their spectrograms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mrvae.recipes.data import SignalSpec

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.recipes import Recipe

_DEPTH = 16
_COLUMNS = 4


def unit_of(recipe: Recipe) -> str | None:
    """Return of what a signal's bound is one, as a line for people; None of images.

    Example:
        >>> from mrvae.recipes import recipe
        >>> print(unit_of(recipe("fsdd-vdvae")))
        bits/dim are bits per sample, of the signal quantised to 256 bins (mu_law)
    """
    signal = recipe.data.signal
    if not isinstance(signal, SignalSpec):
        return None
    kind = signal.quantiser.__struct_config__.tag
    bins = recipe.model.likelihood.bins
    return f"bits/dim are bits per sample, of the signal quantised to {bins} bins ({kind})"


def write_waves(
    folder: Path, names: Sequence[str], batches: Iterable[Tensor], spec: SignalSpec, bins: int
) -> tuple[Path, ...]:
    """Write signals (b, C, 1, T) of bins, or of mean bins, as WAV files of 16 bits.

    Raises:
        ValueError: if there is a file of one of the names; then none is written.
    """
    from mrvae.compression.format.new_files import new_files
    from mrvae.data.signals.quantisers import quantiser_of
    from mrvae.data.signals.wav import to_samples, write_wav

    quantiser = quantiser_of(spec.quantiser, bins)
    files = [f"{name}.wav" for name in names]
    with new_files(folder, files) as temporaries:
        signals = (k for x in batches for k in _whole(x, bins))
        for path, k in zip(temporaries, signals, strict=True):
            write_wav(path, to_samples(k[:, 0].numpy().T, quantiser, _DEPTH), spec.rate)
    return tuple(folder / file for file in files)


def draw_waves(path: Path, x: Tensor, spec: SignalSpec, bins: int, columns: int | None) -> None:
    """Write one picture of signals (N, C, 1, T) of bins; of several channels it shows the mean."""
    from mrvae.cli.waveforms import draw
    from mrvae.data.signals.quantisers import quantiser_of
    from mrvae.data.signals.wav import to_reals, to_samples
    from mrvae.reports.image_grid import write_png

    quantiser = quantiser_of(spec.quantiser, bins)
    heard = to_reals(to_samples(_whole(x, bins).numpy(), quantiser, _DEPTH))
    write_png(path, draw(heard.mean(axis=(1, 2)), columns or _COLUMNS))


def _whole(x: Tensor, bins: int) -> Tensor:
    """Return bins of which some may be means, as uint8."""
    import torch

    return x.round().clamp(0, bins - 1).to(torch.uint8)
