"""Several processes that train together; started as a program, ``on_processes.py COUNT TASK``.

One program imports everything once and forks COUNT processes, each with the environment variables
of torchrun. TASK is a JSON file with a list of jobs; process p writes their results to ``TASK.p``.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.tiny_run import after_step, tiny
from mrvae.cli import main
from mrvae.data import Images, images_for
from mrvae.evaluation import evaluate
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.processes import process_state, shard
from mrvae.recipes import Recipe
from mrvae.training import train
from mrvae.training.update import Updater
from mrvae.training.validation import validate


@dataclass(frozen=True)
class Job:
    """A training in double precision, with faults.

    ``fault`` happens on process ``place[0]`` at step ``place[1]`` (from 1): ``kill``, ``stop`` or
    ``gradient``. ``broken`` is a step and the index in the global batch of an image whose noise
    is NaN there. ``second_out`` replaces ``out`` on process 1.
    """

    out: str
    changes: tuple[str, ...] = ()
    resume: bool = False
    fault: str = ""
    place: tuple[int, int] = (0, 0)
    broken: tuple[int, int] = (0, -1)
    second_out: str = ""


def run(job: Job) -> str:
    """Do a job on this process; return its error, or a digest of its last weights."""
    rank = int(os.environ.get("RANK", "0"))
    out = Path(job.second_out if job.second_out and rank == 1 else job.out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.training.run.build", _double)
        # A number of validation images that no number of processes divides.
        patch.setattr("mrvae.training.run._VALIDATED", 37)
        _break_noise(patch, *job.broken)
        digests = _watch_weights(patch)
        if rank > 0:
            _forbid_writing(patch)
        if rank == job.place[0]:
            _meet(patch, job.fault, job.place[1])
        try:
            train(tiny(*job.changes), out, resume=job.resume, quiet=True)
        except (ValueError, RuntimeError) as error:
            return f"{type(error).__name__}: {error}"
    return f"done: {digests[-1]}"


def nats(count: int) -> list[float]:
    """Return the importance-weighted bounds of ``count`` images, each measured by one process."""
    recipe = tiny()
    torch.manual_seed(0)
    images = images_for(recipe, "validation").subset(torch.arange(count))
    state = process_state()
    part = shard(count, state.process_index, state.num_processes)
    report = evaluate(build(recipe).double(), images, samples=3, part=part).joined()
    bounds: list[float] = report.importance_nats.tolist()
    return bounds


def together(count: int, folder: Path, jobs: list[Job]) -> list[list[object]]:
    """Do the jobs on ``count`` processes; return :func:`nats` and the jobs' results of each."""
    task = folder / "task.json"
    task.write_text(json.dumps([asdict(job) for job in jobs]))
    finished = start(count, task)
    assert finished.returncode == 0, finished.stderr
    return [json.loads(Path(f"{task}.{rank}").read_text()) for rank in range(count)]


def start(count: int, task: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start this file as a program; with arguments, they are a command line of mrvae instead."""
    command = [sys.executable, __file__, str(count), str(task), *arguments]
    paths = [str(Path(__file__).parents[1]), *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run(  # noqa: S603
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def _double(recipe: Recipe, large: bool = False) -> HVAE:
    return build(recipe, large=large).double()


def _watch_weights(patch: pytest.MonkeyPatch) -> list[str]:
    """Keep a digest of this process' weights at every validation."""
    digests: list[str] = []

    def validating(updater: Updater, images: Images) -> float:
        averages = torch.cat([average.flatten() for average in updater.ema.averages])
        digests.append(sha256(averages.numpy().tobytes()).hexdigest())
        return validate(updater, images)

    patch.setattr("mrvae.training.run.validate", validating)
    return digests


def _forbid_writing(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("this process writes files")

    for name in (
        "run.save_weights",
        "store.checkpoint.save",
        "run.Metrics.append",
        "store.directory.write_json",
    ):
        patch.setattr(f"mrvae.training.{name}", refuse)


def _break_noise(patch: pytest.MonkeyPatch, step: int, index: int) -> None:
    """Let the noise of one image of the global batch be NaN at a step, on whatever process."""
    inputs = Updater.inputs

    def broken(self: Updater, at: int, part: range) -> tuple[Tensor, Tensor, Tensor | None]:
        x, noise, term = inputs(self, at, part)
        if at + 1 == step and index in part:
            noise[index - part.start] = math.nan
        return x, noise, term

    patch.setattr(Updater, "inputs", broken)


def _meet(patch: pytest.MonkeyPatch, fault: str, step: int) -> None:
    """Let a fault come to this process."""
    if fault == "kill":
        after_step(patch, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    elif fault == "stop":
        after_step(patch, step, lambda: signal.raise_signal(signal.SIGTERM))
    elif fault == "gradient":
        _break_gradient(patch, step)


def _break_gradient(patch: pytest.MonkeyPatch, step: int) -> None:
    inputs = Updater.inputs

    def hooked(self: Updater, at: int, part: range) -> tuple[Tensor, Tensor, Tensor | None]:
        if at + 1 == step:
            self.parameters[0].register_hook(_spoiled_once())  # type: ignore[no-untyped-call]
        return inputs(self, at, part)

    patch.setattr(Updater, "inputs", hooked)


def _spoiled_once() -> Callable[[Tensor], Tensor]:
    factors = [math.nan]
    return lambda gradient: gradient * (factors.pop() if factors else 1.0)


def _read(job: dict[str, Any]) -> Job:
    """Read a job, whose tuples JSON has made into lists."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in job.items()}
    return Job(**values)


def _child(rank: int, task: Path, arguments: list[str]) -> int:
    """Be one process of several."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    if arguments:
        return main(arguments)
    bounds = nats(5)
    results = [run(_read(job)) for job in json.loads(task.read_text())]
    Path(f"{task}.{rank}").write_text(json.dumps([bounds, *results]))
    return 0


def _fork(count: int, task: Path, arguments: list[str]) -> int:
    """Fork the processes, and return the largest exit code; a killed one counts as 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            code = _child(rank, task, arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return max(codes)


if __name__ == "__main__":
    sys.exit(_fork(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
