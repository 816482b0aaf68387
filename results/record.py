"""Keep what a run came to: one JSON file for each run, with everything a number needs beside it.

    mrvae evaluate runs/mnist --importance-samples 100
    python results/record.py runs/mnist --name mnist-vdvae

writes ``results/mnist-vdvae-seed0.json``: the whole recipe, the commit, the seed, the hardware,
the steps, the seconds of training, and what ``evaluate`` measured. Runs that differ in their seed
alone share a name and are averaged where they are shown (``results/fill.py``). A number that is
in no such file is in no page of this project.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, cast

import tyro
from tyro.conf import Positional, arg

from mrvae.recipes import Recipe, from_json, to_json

ROOT = Path(__file__).resolve().parents[1]

_MEASURED = ("nats", "nats_se", "bits_per_dim", "importance_samples", "importance_nats")
_CODE = ("src", "pyproject.toml", "requirements-tested.txt")

Tree = dict[str, object]


@dataclass(frozen=True)
class Result:
    """One run and what it came to.

    Attributes:
        name: what the number is shown under; runs of several seeds share it.
        recipe: the whole recipe, as JSON.
        commit: of the code that trained; ``+changes`` follows if the code had any.
        seed: of the training.
        hardware: what it was trained on, and with which torch.
        steps: updates made.
        seconds: of training, by the wall.
        metrics: what ``mrvae evaluate --json`` measured.
        note: what else a reader should know.
    """

    name: str
    recipe: Tree
    commit: str
    seed: int
    hardware: str
    steps: int
    seconds: float
    metrics: Tree
    note: str = ""


@dataclass(frozen=True)
class Options:
    """What to record.

    Attributes:
        run: run directory of a finished training.
        evaluation: output of ``mrvae evaluate RUN --json``; by default RUN/evaluation.json, which
            evaluate writes once it has seen every test image.
        name: what the number is shown under; by default the recipe's name.
        note: what else a reader should know, such as which images were used.
        commit: of the code that trained; by default that of this checkout.
        hardware: what it was trained on; by default this machine.
        folder: where to write.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    evaluation: Annotated[Positional[Path | None], arg(metavar="[EVALUATION.json]")] = None
    name: str | None = None
    note: str = ""
    commit: str | None = None
    hardware: str | None = None
    folder: Path = ROOT / "results"


def record(options: Options) -> Path:
    """Write the result of a run and return its path, ``NAME-seedS.json``.

    Raises:
        ValueError: if the run is not finished, or the evaluation is not of this run or lacks a
            measure.
    """
    recipe, seed = read_run(options.run)
    result = Result(
        name=options.name or recipe.name,
        recipe=to_json(recipe),
        commit=options.commit or commit(ROOT),
        seed=seed,
        hardware=options.hardware or hardware(),
        steps=recipe.training.steps,
        seconds=seconds(options.run, recipe.training.steps),
        metrics=read_metrics(options.evaluation or options.run / "evaluation.json", options.run),
        note=options.note,
    )
    path = options.folder / f"{result.name}-seed{seed}.json"
    path.write_text(json.dumps(asdict(result), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def read(path: Path) -> Result:
    """Read a recorded result.

    Raises:
        ValueError: if it lacks a value or has a foreign one.
    """
    found = json.loads(path.read_text("utf-8"))
    try:
        return Result(**found)
    except TypeError as error:
        raise ValueError(f"{path} is no recorded result: {error}") from None


def read_run(run: Path) -> tuple[Recipe, int]:
    """Return the recipe and the seed of a run directory.

    Raises:
        ValueError: if it is none.
    """
    path = run / "recipe.json"
    if not path.is_file():
        raise ValueError(f"{run} is no run directory: it has no recipe.json")
    found = json.loads(path.read_text("utf-8"))
    return from_json(found["recipe"]), int(found["seed"])


def seconds(run: Path, steps: int) -> float:
    """Return the seconds that a run's ``steps`` took, validations included.

    Raises:
        ValueError: if the run has not come to its last step.
    """
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    spent = [float(e["seconds"]) for e in events if e["step"] == steps and e.get("seconds")]
    if not spent:
        last = max((int(event["step"]) for event in events), default=0)
        raise ValueError(f"{run} is at step {last} of {steps}; resume it before it is recorded")
    return spent[-1]


def read_metrics(evaluation: Path, run: Path) -> Tree:
    """Return what ``mrvae evaluate RUN --json`` measured.

    Raises:
        ValueError: if there is none, or it is of another run, or lacks a measure.
    """
    if not evaluation.is_file():
        raise ValueError(f"{evaluation} does not exist; make it by mrvae evaluate {run}")
    found = cast("Tree", json.loads(evaluation.read_text("utf-8")))
    evaluated = Path(str(found.pop("run", "")))
    if evaluated.name != run.name:
        raise ValueError(f"{evaluation} is of the run {evaluated}, not of {run}; evaluate {run}")
    missing = [name for name in _MEASURED if name not in found]
    if missing:
        raise ValueError(
            f"{evaluation} lacks {', '.join(missing)}; make it by mrvae evaluate --json"
        )
    return found


def commit(folder: Path) -> str:
    """Return the commit of a checkout, with ``+changes`` if its code is not that commit's."""
    head = _git(folder, "rev-parse", "HEAD")
    return head + ("+changes" if _git(folder, "status", "--porcelain", "--", *_CODE) else "")


def _git(folder: Path, *arguments: str) -> str:
    """Ask git about a checkout."""
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


def hardware() -> str:
    """Return the processors of this machine, torch's version and Python's."""
    import torch

    parts = [f"{processor()}, {os.cpu_count()} cores"]
    if torch.cuda.is_available():
        parts.append(f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}")
    parts += [f"torch {torch.__version__}", f"Python {platform.python_version()}"]
    return "; ".join(parts)


def processor() -> str:
    """Return the processor's name, as far as the system tells."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    print(record(tyro.cli(Options)))
