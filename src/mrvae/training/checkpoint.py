"""Checkpoints: everything that the next update depends on, whole or not there.

``state/step-00000200`` holds ``tensors.safetensors`` (raw weights, averages, the optimiser's
moments) and ``state.json`` (step, skip rule, best validation). A checkpoint is written under
another name and renamed when it is complete. The newest ``keep`` are kept; one that cannot be
read is passed over for the one before, with a warning.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mrvae.files import write_json
from mrvae.models.saved import save_weights
from mrvae.training.update import Updater


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        step: number of steps made.
        nats: −ELBO per validation image when last measured, or None.
        best: the lowest of them so far, or None.
    """

    step: int = 0
    nats: float | None = None
    best: float | None = None


def save(folder: Path, updater: Updater, progress: Progress, keep: int) -> None:
    """Write the checkpoint of a step into ``folder``, and delete all but the newest ``keep``."""
    folder.mkdir(exist_ok=True)
    final = folder / f"step-{progress.step:08d}"
    temporary = folder / f".{final.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    save_weights(temporary / "tensors.safetensors", _tensors(updater))
    write_json(temporary / "state.json", _values(updater, progress))
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    _flush(folder)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a state folder, oldest first."""
    return sorted(folder.glob("step-*"))


def restore(folder: Path, updater: Updater) -> Progress:
    """Put the newest readable checkpoint into ``updater``; without any, change nothing."""
    for path in reversed(checkpoints(folder)):
        try:
            return _read(path, updater)
        except (ValueError, KeyError, TypeError, OSError, SafetensorError, RuntimeError) as error:
            print(f"mrvae: {path} cannot be read ({error}); trying the one before", file=sys.stderr)
    return Progress()


def _read(path: Path, updater: Updater) -> Progress:
    """Read one checkpoint whole before anything of ``updater`` is changed."""
    values = json.loads((path / "state.json").read_text())
    progress = Progress(**values["progress"])
    tensors = load_file(path / "tensors.safetensors", device=str(updater.accelerator.device))
    expected = _tensors(updater) if updater.updates else _expected(updater)
    for name, shape in expected.items():
        if tuple(tensors[name].shape) != tuple(shape.shape):
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}")
    _write_tensors(updater, tensors)
    updater.updates = int(values["updates"])
    updater.monitor.restore(values["norms"], values["counters"])
    return progress


def _names(updater: Updater) -> list[str]:
    return [name for name, p in updater.model.named_parameters() if p.requires_grad]


def _expected(updater: Updater) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint without the optimiser's, which are not there yet."""
    found = {}
    for name, p, average in zip(
        _names(updater), updater.parameters, updater.ema.averages, strict=True
    ):
        found[f"weights.{name}"] = p.detach()
        found[f"ema.{name}"] = average
    return found


def _tensors(updater: Updater) -> dict[str, Tensor]:
    found = _expected(updater)
    states = updater.optimizer.state
    for name, parameter in zip(_names(updater), updater.parameters, strict=True):
        for key, value in states.get(parameter, {}).items():
            found[f"optimizer.{key}.{name}"] = value
    return found


def _write_tensors(updater: Updater, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, value in _expected(updater).items():
            value.copy_(tensors[name])
    for name, parameter in zip(_names(updater), updater.parameters, strict=True):
        moments = {
            key.split(".", 2)[1]: value
            for key, value in tensors.items()
            if key.startswith("optimizer.") and key.split(".", 2)[2] == name
        }
        if moments:
            updater.optimizer.state[parameter] = moments


def _values(updater: Updater, progress: Progress) -> dict[str, object]:
    norms, counters = updater.monitor.state()
    return {
        "progress": asdict(progress),
        "updates": updater.updates,
        "norms": norms,
        "counters": counters,
    }


def _flush(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
