"""``--device`` of every command that computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cli_tools import ask, refuse, trained

from mrvae.cli import COMMANDS

Capture = pytest.CaptureFixture[str]

# What a command needs besides --device; {run} and {out} are filled in.
NEEDED = {
    "train": "digits-vdvae --steps 1 --out {out}/run",
    "describe": "digits-vdvae",
    "evaluate": "{run}",
    "sample": "{run} --out {out}/a.png",
    "reconstruct": "{run} --out {out}/a.png",
    "inspect": "{run} latents --out {out}/a.png",
    "attack": "{run} --out {out}/a.png",
    "score": "{run} digits --out {out}/a.png",
    "encode": "{run} digits --out {out}/a.npz",
    "decode": "{run} {run}/samples.png --out {out}/folder",
    "restore": "{run} {run}/samples.png denoise --sigma 0.1 --out {out}/folder",
    "report": "{run} --out {out}/a.html",
    "compress": "{run} {run}/samples.png --out {out}/a.mrv",
    "decompress": "{run}/samples.png --out {out}/folder",
    "reproduce": "falck2022 theory --budget smoke --out {out}/paper",
}
COMPUTE_NOTHING = {"recipes", "models", "cut"}


def test_every_command_that_computes_refuses_a_device_that_is_not_there(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert NEEDED.keys() == COMMANDS.keys() - COMPUTE_NOTHING
    for command, needed in NEEDED.items():
        arguments = needed.format(run=trained(), out=tmp_path).split()
        for device in ("gpu", "cuda", "cuda:1", "mps"):
            line = refuse(capsys, command, *arguments, "--device", device)
            assert device in line, command
            assert "leave it out" in line or "give cpu, cuda" in line
        assert not list(tmp_path.iterdir()), command


def test_a_device_that_is_asked_for_is_used(tmp_path: Path, capsys: Capture) -> None:
    pictures = []
    for more in ((), ("--device", "cpu")):
        out = tmp_path / f"{len(more)}.png"
        ask(capsys, "sample", trained(), "--n", 4, "--out", out, *more)
        pictures.append(out.read_bytes())
    if not torch.cuda.is_available():
        assert pictures[0] == pictures[1]
