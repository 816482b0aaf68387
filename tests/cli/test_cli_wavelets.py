"""``mrvae inspect RUN wavelets`` on a run of a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import Capture, ask, refuse, trained
from PIL import Image

from mrvae.cli import main

SMALL = ["encoder.width=8", "encoder.blocks=1", "prior.width=8", "prior.blocks=1", "batch=8"]


def test_inspect_wavelets_says_what_each_band_holds(capsys: Capture, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "bands.png"
    more = ["--steps", "2", "validate_every=2", "--out", str(run), "--quiet"]
    assert main(["train", "digits-wavelet", *SMALL, *more]) == 0
    values = ask(capsys, "inspect", run, "wavelets", "--limit", 10, "--out", out)
    bands = values["bands"]
    assert values["images"] == 10
    assert len(bands) == 10
    assert sum(band["share"] for band in bands) == pytest.approx(1)
    assert all(band["mse_without"] >= values["mse"] for band in bands[:1])
    assert np.asarray(Image.open(out)).ndim == 3
    assert main(["inspect", str(run), "wavelets", "--limit", "5", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "approximation" in said
    assert "MSE with all bands" in said


def test_a_run_without_bands_is_refused_in_a_line(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "bands.png"
    said = refuse(capsys, "inspect", trained(), "wavelets", "--limit", 2, "--out", out)
    assert "has no wavelet bands" in said
    assert not out.exists()
