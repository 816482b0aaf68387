"""Checkpoints: everything that the next update depends on, whole or not there.

``state/step-00000200`` holds ``tensors.safetensors`` (raw weights, averages, what belongs to them
and is not learnt, the optimiser's moments) and ``state.json`` (step, skip rule, best validation,
and a digest of the tensors, so that not a bit can change unseen). A checkpoint is written under
another name and renamed when it is complete. The newest ``keep`` are kept; one that cannot be read
is passed over for the one before, with a warning.
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
    """Write the checkpoint of a step into ``folder``, and delete all but the newest ``keep``.

    Raises:
        OSError: if the disk does not take it; those before it are left as they are.
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

    One of a later step could not be read when the run was resumed; it must not outlive this one.
    """
    found = checkpoints(folder)
    upto = found.index(newest) + 1
    for path in found[: max(upto - keep, 0)] + found[upto:]:
        shutil.rmtree(path)


def sweep(folder: Path) -> None:
    """Delete the beginnings of checkpoints that a killed process left."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a state folder, oldest first."""
    return sorted(folder.glob("step-*"))


def restore(folder: Path, updater: Updater) -> Progress:
    """Put the newest readable checkpoint into ``updater``; without any, change nothing.

    Raises:
        ValueError: if there are checkpoints and none can be read.
    """
    found = checkpoints(folder)
    for path in reversed(found):
        try:
            return _read(path, updater)
        except (ValueError, KeyError, TypeError, OSError, SafetensorError, RuntimeError) as error:
            if updater.accelerator.is_main_process:
                line = f"mrvae: {path} cannot be read ({error}); trying the one before"
                print(line, file=sys.stderr)
    if found:
        raise ValueError(
            f"no checkpoint in {folder} can be read; delete that folder to begin again at step 0, "
            "or choose another --out"
        )
    return Progress()


def _read(path: Path, updater: Updater) -> Progress:
    """Read one checkpoint whole before anything of ``updater`` is changed."""
    values = json.loads((path / "state.json").read_text())
    progress, updates = Progress(**values["progress"]), int(values["updates"])
    # Checkpoints of the first version have no digest.
    if values.get("digest") not in (None, _digest(path / "tensors.safetensors")):
        raise ValueError("its tensors have changed since they were written")
    device = updater.accelerator.device
    # Of several CPUs each has a number to accelerate, and to safetensors there is one.
    place = "cpu" if device.type == "cpu" else str(device)
    tensors = load_file(path / "tensors.safetensors", device=place)
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
    """Return the tensors of a checkpoint without the optimiser's, which are not there yet."""
    found = {}
    for name, p, average in zip(
        _names(updater), updater.parameters, updater.ema.averages, strict=True
    ):
        found[f"weights.{name}"] = p.detach()
        found[f"ema.{name}"] = average
    for name, value in updater.buffers.items():
        found[f"buffers.{name}"] = value
    return found


def _tensors(updater: Updater) -> dict[str, Tensor]:
    found = _expected(updater)
    states = updater.optimizer.state
    for name, parameter in zip(_names(updater), updater.parameters, strict=True):
        for key, value in states.get(parameter, {}).items():
            found[f"optimizer.{key}.{name}"] = value
    return found


def _moments(updater: Updater, tensors: dict[str, Tensor]) -> dict[Tensor, dict[str, Tensor]]:
    """Return the optimiser's state of every parameter, laid out in memory as the parameter is.

    A fused optimiser walks a weight and its moments by one index, whatever their strides say.
    """
    found: dict[Tensor, dict[str, Tensor]] = {}
    keys = sorted({name.split(".")[1] for name in tensors if name.startswith("optimizer.")})
    for name, parameter in zip(_names(updater), updater.parameters, strict=True):
        found[parameter] = state = {}
        for key in keys:
            value = tensors[f"optimizer.{key}.{name}"]
            if value.dim() == 0:
                state[key] = value
            elif value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).detach().copy_(value)
            else:
                raise ValueError(f"{key} of {name} has shape {tuple(value.shape)}")
    return found if keys else {}


def _values(updater: Updater, progress: Progress) -> dict[str, object]:
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
