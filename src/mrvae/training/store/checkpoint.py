"""Checkpoints: everything that the next update depends on, written atomically.

``state/step-00000200`` has ``tensors.safetensors`` (raw weights, averages, buffers, the moments of
the optimiser), ``state.json`` (step, skip rule, best validation, the run's identity, and the digest
of the tensors) and ``state.sha256`` (the digest of ``state.json``). A change of a single bit is
detected. A checkpoint is written under another name and renamed when it is complete. The newest
``keep`` are kept, and the newest one before the losses stopped being finite. If one cannot be read,
or belongs to another run, the one before is used, with a warning.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mrvae.models.build.weights import save_weights
from mrvae.streams import notice
from mrvae.training.optimizer import state_keys
from mrvae.training.store.identity import RunIdentity
from mrvae.training.store.state import (
    State,
    TrainingProgress,
    file_digest,
    read_state,
    write_state,
)
from mrvae.training.update import Updater

_TENSORS = "tensors.safetensors"
_NAME = re.compile(r"step-\d{8,15}")
_LARGEST_HEADER = 1 << 26


def save(
    folder: Path, updater: Updater, progress: TrainingProgress, keep: int, run: RunIdentity
) -> None:
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
        save_weights(temporary / _TENSORS, _tensors(updater))
        state = _state(updater, progress, run, _digest(temporary / _TENSORS, updater))
        write_state(temporary, state)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _flush(folder)
    _prune(folder, final, keep, state.broken)


def _prune(folder: Path, newest: Path, keep: int, broken: bool) -> None:
    """Delete all but the ``keep`` checkpoints up to ``newest``, and those of later steps.

    A later one could not be read when the run was resumed, so it must not stay the newest. If the
    newest is ``broken``, the newest that is not is kept too.
    """
    paths = checkpoints(folder)
    end = paths.index(newest) + 1
    old = paths[: max(end - keep, 0)]
    kept = next((p for p in reversed(paths[:end]) if _is_good(p)), None) if broken else None
    for path in [path for path in old if path != kept] + paths[end:]:
        shutil.rmtree(path)


def _is_good(path: Path) -> bool:
    """Return whether a checkpoint can be read, and its last loss and gradient were finite."""
    try:
        return not read_state(path).broken
    except (OSError, ValueError):
        return False


def sweep(folder: Path) -> None:
    """Delete incomplete checkpoints of a killed process."""
    for path in folder.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """Return the complete checkpoints of a state folder, oldest first."""
    found = [p for p in folder.glob("step-*") if _NAME.fullmatch(p.name) and p.is_dir()]
    return sorted(found, key=_step)


def restore(folder: Path, updater: Updater, run: RunIdentity) -> TrainingProgress:
    """Load the newest readable checkpoint of ``run`` into ``updater``; without any, change nothing.

    Raises:
        ValueError: if there are checkpoints and none can be read, or the run was trained on other
            data.
    """
    paths = checkpoints(folder)
    for path in reversed(paths):
        try:
            state, tensors = read_checkpoint(path, updater, run)
            moments = _moments(updater, tensors)
        except (ValueError, KeyError, OSError, SafetensorError, RuntimeError) as error:
            if updater.accelerator.is_main_process:
                problem = " ".join(str(error).split())[:300]
                notice(f"{path} cannot be read ({problem}); trying the previous one")
            continue
        if not state.run.data.is_of(run.data):
            raise ValueError(
                f"{folder.parent} was trained on other data: {state.run.data}, not {run.data}; "
                "give the same data, or choose another --out"
            )
        _apply(updater, state, tensors, moments)
        return state.progress
    if paths:
        raise ValueError(
            f"no checkpoint in {folder} can be read; delete that folder to restart at step 0, "
            "or choose another --out"
        )
    return TrainingProgress()


def read_checkpoint(
    path: Path, updater: Updater, run: RunIdentity
) -> tuple[State, dict[str, Tensor]]:
    """Return the values and the tensors of a checkpoint, after checking all of it."""
    state = read_state(path)
    if state.progress.step != _step(path):
        raise ValueError(f"it is the checkpoint of step {state.progress.step}")
    if state.run.seed != run.seed:
        raise ValueError(f"it belongs to a run with seed {state.run.seed}, not {run.seed}")
    if state.run.recipe != run.recipe:
        raise ValueError("it belongs to a run with another recipe")
    if state.tensors != _digest(path / _TENSORS, updater):
        raise ValueError("its tensors have changed since they were written")
    device = updater.accelerator.device
    # accelerate numbers the CPUs of several processes, and safetensors knows only one.
    name = "cpu" if device.type == "cpu" else str(device)
    tensors = load_file(path / _TENSORS, device=name)
    for name, tensor in _expected(updater).items():
        if tensors[name].shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}")
    return state, tensors


def _apply(
    updater: Updater,
    state: State,
    tensors: dict[str, Tensor],
    moments: dict[Tensor, dict[str, Tensor]],
) -> None:
    """Set ``updater`` to what was read."""
    updater.monitor.restore(state.norms, state.counters)
    updater.updates = state.updates
    with torch.no_grad():
        for name, tensor in _expected(updater).items():
            tensor.copy_(tensors[name])
    updater.optimizer.state.update(moments)


def _step(path: Path) -> int:
    """Return the step in the name of a checkpoint."""
    return int(path.name.removeprefix("step-"))


def _digest(path: Path, updater: Updater) -> str:
    """Return the digest of a file of tensors, which is no larger than a checkpoint's can be."""
    expected = _expected(updater).values()
    # At most two moments and a step for each weight, each no wider than the weight in float64.
    bytes_of_all = sum(tensor.numel() * 8 for tensor in expected)
    return file_digest(path, 4 * bytes_of_all + _LARGEST_HEADER)


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
        for key in state_keys(updater.optimizer, parameter, keys):
            value = tensors[f"optimizer.{key}.{name}"]
            if value.dim() == 0:
                state[key] = value
            elif value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).detach().copy_(value)
            else:
                raise ValueError(f"{key} of {name} has shape {tuple(value.shape)}")
    return moments if keys else {}


def _state(updater: Updater, progress: TrainingProgress, run: RunIdentity, digest: str) -> State:
    norms, (in_a_row, broken_in_a_row, skipped, broken) = updater.monitor.state()
    counters = in_a_row, broken_in_a_row, skipped, broken
    return State(progress, updater.updates, norms, counters, run, digest)


def _flush(folder: Path) -> None:
    """Make a rename in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
