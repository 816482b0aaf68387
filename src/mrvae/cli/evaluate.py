"""``mrvae evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

from mrvae.cli.answer import Answer
from mrvae.cli.options import DataDir, Json, MaybeFile, MaybeWhole, RunPath, Seed, Split, Whole


@dataclass(frozen=True)
class Evaluate:
    """Measure the likelihood bounds of a trained model over every image of a split."""

    run_path: RunPath
    split: Split = "test"
    importance_samples: Whole = 16
    """samples K of the importance-weighted bound"""
    limit: MaybeWhole = None
    """number of images; by default all"""
    seed: Seed = 0
    data_dir: DataDir = None
    csv: MaybeFile = None
    """table to write, one line per image"""
    quiet: bool = False
    """show no progress bar"""
    json: Json = False

    def run(self) -> Answer:
        raise NotImplementedError
