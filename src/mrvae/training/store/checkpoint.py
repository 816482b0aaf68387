"""Checkpoints: everything that the next update depends on, written atomically.

``state/step-00000200`` has ``tensors.safetensors`` (raw weights, averages, buffers, the moments of
the optimiser) and ``state.json`` (step, skip rule, best validation, and a digest of the tensors, so
that a change of a single bit is detected). A checkpoint is written under another name and renamed
when it is complete. The newest ``keep`` are kept; if one cannot be read, the one before is used,
with a warning.
"""

from __future__ import annotations

import hashlib
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
from mrvae.models.build.weights import save_weights
from mrvae.training.update import Updater


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a run.

    Attributes:
        step: number of completed steps.
        nats: −ELBO per validation image when last measured, or None.
        best: the lowest such value so far, or None.
    """

    step: int = 0
    nats: float | None = None
    best: float | None = None


def save(folder: Path, updater: Updater, progress: TrainingProgress, keep: int) -> None:
    """Write the checkpoint of a step into ``folder``, and delete all but the newest ``keep``.

    Raises:
        OSError: if it cannot be written; earlier checkpoints stay unchanged.
    """
    folder.mkdir(exist_ok=True)
    final = folder / f"step-{progress.step:08d}"
    temporary = folder / f".{final.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        save_weights(temporary / "tensors.safetensors", _tensors(updater))
        digest = _digest(temporary / "tensors.safetensors")
        write_json(temporary / "state.json", _values(updater, progress) | {"digest": digest})
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    _flush(folder)
    _prune(folder, final, keep)


def _prune(folder: Path, newest: Path, keep: int) -> None:
    """Delete all but the ``keep`` checkpoints up to ``newest``, and those of later steps.

    A later one could not be read when the run was resumed, so it must not stay the newest.
    """
    paths = checkpoints(folder)
    end = paths.index(newest) + 1
    for path in paths[: max(end - keep, 0)] + paths[end:]:
        shutil.rmtree(path)


def sweep(folder: Path) -> None:
    """Delete incomplete checkpoints of a killed process."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a state folder, oldest first."""
    return sorted(folder.glob("step-*"))


def restore(folder: Path, updater: Updater) -> TrainingProgress:
    """Load the newest readable checkpoint into ``updater``; without any, change nothing.

    Raises:
        ValueError: if there are checkpoints and none can be read.
    """
    paths = checkpoints(folder)
    for path in reversed(paths):
        try:
            return _read(path, updater)
        except (ValueError, KeyError, TypeError, OSError, SafetensorError, RuntimeError) as error:
            if updater.accelerator.is_main_process:
                line = f"mrvae: {path} cannot be read ({error}); trying the previous one"
                print(line, file=sys.stderr)
    if paths:
        raise ValueError(
            f"no checkpoint in {folder} can be read; delete that folder to restart at step 0, "
            "or choose another --out"
        )
    return TrainingProgress()


def _read(path: Path, updater: Updater) -> TrainingProgress:
    """Read and check a whole checkpoint before changing ``updater``."""
    values = json.loads((path / "state.json").read_text())
    progress, updates = TrainingProgress(**values["progress"]), int(values["updates"])
    # Checkpoints of the first version have no digest.
    if values.get("digest") not in (None, _digest(path / "tensors.safetensors")):
        raise ValueError("its tensors have changed since they were written")
    device = updater.accelerator.device
    # accelerate numbers the CPUs of several processes, and safetensors knows only one.
    name = "cpu" if device.type == "cpu" else str(device)
    tensors = load_file(path / "tensors.safetensors", device=name)
    moments = _moments(updater, tensors)
    for name, tensor in _expected(updater).items():
        if tensors[name].shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}")
    updater.monitor.restore(values["norms"], values["counters"])
    updater.updates = updates
    with torch.no_grad():
        for name, tensor in _expected(updater).items():
            tensor.copy_(tensors[name])
    updater.optimizer.state.update(moments)
    return progress


def _names(updater: Updater) -> list[str]:
    return [name for name, p in updater.model.named_parameters() if p.requires_grad]


def _expected(updater: Updater) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint without those of the optimiser."""
    tensors = {}
    for name, p, average in zip(
        _names(updater), updater.parameters, updater.ema.averages, strict=True
    ):
        tensors[f"weights.{name}"] = p.detach()
        tensors[f"ema.{name}"] = average
    for name, value in updater.buffers.items():
        tensors[f"buffers.{name}"] = value
    return tensors


def _tensors(updater: Updater) -> dict[str, Tensor]:
    tensors = _expected(updater)
    states = updater.optimizer.state
    for name, parameter in zip(_names(updater), updater.parameters, strict=True):
        for key, value in states.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value
    return tensors


def _moments(updater: Updater, tensors: dict[str, Tensor]) -> dict[Tensor, dict[str, Tensor]]:
    """Return the optimiser's state of every parameter, in the memory layout of the parameter.

    A fused optimiser reads a weight and its moments at the same offset, whatever their strides.
    """
    moments: dict[Tensor, dict[str, Tensor]] = {}
    keys = sorted({name.split(".")[1] for name in tensors if name.startswith("optimizer.")})
    for name, parameter in zip(_names(updater), updater.parameters, strict=True):
        moments[parameter] = state = {}
        for key in keys:
            value = tensors[f"optimizer.{key}.{name}"]
            if value.dim() == 0:
                state[key] = value
            elif value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).detach().copy_(value)
            else:
                raise ValueError(f"{key} of {name} has shape {tuple(value.shape)}")
    return moments if keys else {}


def _values(updater: Updater, progress: TrainingProgress) -> dict[str, object]:
    norms, counters = updater.monitor.state()
    return {
        "progress": asdict(progress),
        "updates": updater.updates,
        "norms": norms,
        "counters": counters,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
