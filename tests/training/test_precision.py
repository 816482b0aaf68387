"""The precision of a run: chosen by its first device, and kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from helpers.tiny_run import tiny
from mrvae.training import train
from mrvae.training.machine import precision

CPU = torch.device("cpu")


def chosen(run: Path) -> str:
    """Return the precision that a run directory names."""
    recipe = json.loads((run / "recipe.json").read_text())["recipe"]
    return str(recipe["training"]["precision"])


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="needs /proc/cpuinfo")
def test_native_is_what_the_processor_declares() -> None:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    native = not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
    assert precision.computes_bfloat16(CPU) == native


def test_a_resumed_run_keeps_the_precision_of_its_first_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(precision, "emulation_factor", lambda device: 5.0)
    for native, kept in ((True, "bfloat16"), (False, "float32")):
        run, auto = tmp_path / kept, tiny("precision=auto", "steps=2")
        monkeypatch.setattr(precision, "computes_bfloat16", lambda device, n=native: n)
        train(auto, run, quiet=True)
        assert chosen(run) == kept
        monkeypatch.setattr(precision, "computes_bfloat16", lambda device, n=native: not n)
        train(tiny("precision=auto", "steps=3"), run, resume=True)
        assert chosen(run) == kept
        first = capsys.readouterr().err.splitlines()[0]
        assert first.startswith(f"mrvae: precision: {kept}")
        assert ("5 times as long" in first) == (kept == "bfloat16")


def test_a_precision_that_is_asked_for_is_taken() -> None:
    for name in ("float32", "bfloat16"):
        recipe = tiny(f"precision={name}")
        assert precision.settled(recipe, CPU, tiny("precision=float32")) == recipe
