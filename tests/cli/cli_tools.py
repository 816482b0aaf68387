"""Running the command line inside the tests' process, on one tiny run that is trained once."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mrvae.cli import main

TINY = ["width=8", "latent=1", "batch=8", "bottleneck=0.5", "encoder=8x1,8d2,4x1"]
TINY += ["decoder=4x1,8m4,8x1", "validate_every=4", "compile=false", "precision=float32"]
STEPS = 6

Json = dict[str, Any]
Capture = pytest.CaptureFixture[str]


@cache
def trained() -> Path:
    """Return a run directory, which tests read and never change."""
    folder = tempfile.mkdtemp(prefix="mrvae-cli-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = Path(folder) / "tiny"
    arguments = ["train", "digits-vdvae", *TINY, "--steps", str(STEPS), "--out", str(run)]
    assert main([*arguments, "--quiet"]) == 0
    return run


@cache
def lively() -> Path:
    """Return a run whose latents matter, which those of a few steps hardly do."""
    run = trained().with_name("lively")
    shutil.copytree(trained(), run)
    weights = load_file(run / "weights.safetensors")
    generator = torch.Generator().manual_seed(0)
    for tensor in weights.values():
        tensor += 0.35 * torch.randn(tensor.shape, generator=generator)
    save_file(weights, run / "weights.safetensors")
    return run


def ask(capsys: Capture, *arguments: object) -> Json:
    """Run a command with --json, and return the one object that it prints."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    seen = capsys.readouterr()
    assert code == 0, seen.err
    assert seen.out.count("\n") == 1
    values: Json = json.loads(seen.out)
    return values


def refuse(capsys: Capture, *arguments: object) -> str:
    """Run a command that is a mistake, and return the one line that says so."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("mrvae: ")
    assert seen.err.count("\n") == 1
    assert not set("╭│╰─") & set(seen.err)
    return seen.err.removeprefix("mrvae: ").strip()
