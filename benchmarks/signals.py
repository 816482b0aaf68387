"""How many bits a sample of a held-out window takes: a trained model, FLAC, and linear prediction.

    mrvae train fsdd-vdvae --out runs/fsdd
    mrvae evaluate runs/fsdd --importance-samples 2
    pip install soundfile               # if it is missing, FLAC is skipped, with a message
    python benchmarks/signals.py runs/fsdd --json results/signals.json
    python benchmarks/signals.py --table results/signals.json          # as Markdown

All are measured on the same windows of bins 0 … n-1, those of the run's test split. The model's
number is what ``mrvae evaluate`` wrote into the run. FLAC codes the bins, less n/2, as samples of 8
bits at its highest level, all windows as one file, so that its headers are hardly counted.

The linear predictor of order 2 has Laplace residuals in whole bins,

    μ_t = a k_{t-1} + b k_{t-2} + c,   P(k_t) = F((k_t + ½ - μ_t)/s) - F((k_t - ½ - μ_t)/s),

with F the cumulative Laplace distribution and the tails in the outermost bins; what precedes a
window is n/2. Coefficients and scale are those of the training windows, or each window's own. A
window's own are found by least squares and the mean absolute residual, and are counted as 32 bits
each.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mrvae.data import images_for
from mrvae.models.build.weights import read_recipe
from pairing import as_markdown, machine, show
from pairing import measured as read

HEADINGS = ("coder", "bits per sample", "standard error", "windows")
WIDTH = 90
_NUMBER_BITS = 32

Reals = NDArray[np.float64]


def laplace_bits(residuals: Reals, whole: Reals, scale: float, bins: int) -> Reals:
    """Return -log₂ P of bins ``whole``, whose means are whole - residuals, by windows (N, T)."""
    upper, lower = residuals + 0.5, residuals - 0.5
    above = np.where(whole >= bins - 1, 1.0, _cumulative(upper / scale))
    below = np.where(whole <= 0, 0.0, _cumulative(lower / scale))
    # Far from the mean the difference of two numbers near 1 loses its digits; the density does not.
    tail = 1 / (2 * scale) * np.exp(-np.abs(residuals) / scale)
    bits: Reals = -np.log2(np.maximum(above - below, tail * 1e-3))
    return bits


def _cumulative(x: Reals) -> Reals:
    """Return F(x) of the Laplace distribution of scale 1."""
    half = 0.5 * np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, half, 1 - half), np.float64)


def pasts(windows: Reals, bins: int) -> Reals:
    """Return k_{t-1}, k_{t-2} and 1 of every sample: (N, T, 3)."""
    padded = np.pad(windows, ((0, 0), (2, 0)), constant_values=bins / 2)
    return np.stack([padded[:, 1:-1], padded[:, :-2], np.ones_like(windows)], axis=-1)


def shared_predictor(training: Reals, windows: Reals, bins: int) -> Reals:
    """Return the bits per sample of each window, with one predictor for all."""
    past = pasts(training, bins)
    weights = np.linalg.lstsq(past.reshape(-1, 3), training.flatten(), rcond=None)[0]
    scale = float(np.abs(training - past @ weights).mean())
    residuals = windows - pasts(windows, bins) @ weights
    bits: Reals = laplace_bits(residuals, windows, float(scale), bins).mean(axis=1)
    return bits


def own_predictor(windows: Reals, bins: int) -> Reals:
    """Return the bits per sample of each window, with its own predictor, which is counted."""
    bits = []
    for window, past in zip(windows, pasts(windows, bins), strict=True):
        weights = np.linalg.lstsq(past, window, rcond=None)[0]
        residuals = window - past @ weights
        scale = max(float(np.abs(residuals).mean()), 0.05)
        spent = laplace_bits(residuals, window, scale, bins).sum()
        bits.append((spent + 4 * _NUMBER_BITS) / len(window))
    return np.array(bits)


def flac(windows: Reals, rate: int, bins: int) -> float | None:
    """Return the bits per sample of all windows as one FLAC file; None without soundfile."""
    try:
        import soundfile
    except ImportError:
        print("soundfile is missing, and FLAC is skipped; pip install soundfile", file=sys.stderr)
        return None
    samples = (windows.flatten() - bins // 2) / 128
    file = io.BytesIO()
    soundfile.write(file, samples, rate, "PCM_S8", format="FLAC", compression_level=1.0)
    file.seek(0)
    decoded, _ = soundfile.read(file)
    if not np.array_equal(decoded, samples):
        raise ValueError("FLAC does not decode to the windows that it was given")
    return 8 * len(file.getvalue()) / samples.size


def measure(run: Path, data_dir: Path | None) -> Iterator[dict[str, object]]:
    """Yield one row for each coder."""
    recipe = read_recipe(run)
    bins, rate = recipe.model.likelihood.bins, recipe.data.signal.rate  # type: ignore[union-attr]
    evaluation = json.loads((run / "evaluation.json").read_text("utf-8"))
    test, training = (windows_of(recipe, split, data_dir) for split in ("test", "train"))
    if evaluation["images"] != len(test):
        raise ValueError(
            f"{run}/evaluation.json is of {evaluation['images']} windows; evaluate all"
        )
    unit = recipe.model.dims * math.log(2)
    for name, key in (
        (f"{recipe.name}, -ELBO", ""),
        ("its importance-weighted bound", "importance_"),
    ):
        yield {
            "coder": name,
            "bits": evaluation[f"{key}nats"] / unit,
            "error": evaluation[f"{key}nats_se"] / unit,
            "windows": len(test),
        }
    coded = flac(test, rate, bins)
    if coded is not None:
        yield {"coder": "FLAC", "bits": coded, "error": None, "windows": len(test)}
    for name, bits in (
        ("order 2, Laplace, of the training windows", shared_predictor(training, test, bins)),
        ("order 2, Laplace, each window's own", own_predictor(test, bins)),
    ):
        error = float(bits.std(ddof=1) / math.sqrt(len(bits)))
        yield {"coder": name, "bits": float(bits.mean()), "error": error, "windows": len(test)}


def windows_of(recipe: object, split: str, data_dir: Path | None) -> Reals:
    """Return the windows of a split as real bins (N, T)."""
    images = images_for(recipe, split, data_dir)  # type: ignore[arg-type]
    if images.shape[:2] != (1, 1):
        raise ValueError(f"{images.name} has windows of shape {images.shape}; give one channel")
    return images.take(torch.arange(len(images)))[:, 0, 0].double().numpy()


def rows(results: Sequence[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return one line of the table for each coder."""
    return [
        (
            str(one["coder"]),
            f"{one['bits']:.3f}",
            "–" if one["error"] is None else f"{one['error']:.3f}",
            f"{one['windows']:,}",
        )
        for one in results
    ]


def main() -> None:
    """Measure the test windows of a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, nargs="?", help="run directory that was evaluated")
    parser.add_argument("--data-dir", type=Path, help="folder with the data; by default MRVAE_DATA")
    parser.add_argument("--json", type=Path, help="file to write the measurements into")
    parser.add_argument("--table", type=Path, help="print a file's table as Markdown")
    options = parser.parse_args()
    if options.table is not None:
        print(as_markdown(HEADINGS, rows(read(options.table))))
        return
    if options.run is None:
        parser.error("name a run directory, or --table FILE")
    results = list(measure(options.run, options.data_dir))
    if options.json is not None:
        value = {"machine": machine("cpu"), "results": results}
        options.json.write_text(json.dumps(value, indent=2) + "\n")
    show("bits per sample of the test windows", HEADINGS, rows(results), WIDTH)


if __name__ == "__main__":
    main()
