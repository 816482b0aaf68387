"""The folder in which the items of a paper are worked on, and the memo of what is finished.

    FOLDER/runs/RECIPE[-VARIATION]-seedS/            run directories, as ``mrvae train`` makes them
    FOLDER/runs/…/measured-test-kK-nN.json           the bounds of a run
    FOLDER/runs/…/each-test-kK-nN.json               the same of every image, for paired comparisons
    FOLDER/runs/…/NAME.json                          any other measurement of a run
    FOLDER/ITEM.json, ITEM.csv, ITEM.png …           the rows, findings and figures of an item

Items of one paper at one budget share the folder, so that a run that two of them need is made once.
An interrupted run is resumed, and a finished one reused, whoever trained it and wherever: the
directory is enough. A measurement holds the SHA-256 of the weights that were measured, and is
reused only for these. Several processes may work in one folder; a process waits for a run that
another one trains.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import PartialState
from filelock import FileLock

from mrvae import training
from mrvae.data import Images, images_for
from mrvae.devices import choose_device
from mrvae.files import write_json
from mrvae.models import HVAE
from mrvae.models.build.weights import load, read_recipe
from mrvae.papers.outcome import Budget
from mrvae.recipes import Recipe
from mrvae.run_log import read_events

Measures = dict[str, object]


@dataclass(frozen=True)
class Job:
    """One training: a recipe, a seed, and a word for what was changed in the recipe.

    Example:
        >>> from mrvae.recipes import recipe
        >>> Job(recipe("digits-vdvae"), seed=1, variation="wide").name
        'digits-vdvae-wide-seed1'
    """

    recipe: Recipe
    seed: int = 0
    variation: str = ""

    @property
    def name(self) -> str:
        """Name of the run directory."""
        middle = f"-{self.variation}" if self.variation else ""
        return f"{self.recipe.name}{middle}-seed{self.seed}"


@dataclass(frozen=True)
class Workspace:
    """A folder to work in, and how much work is asked for.

    Attributes:
        folder: where everything is kept; made when something is.
        budget: how large the work may be.
        data_dir: local folder with the data; see :mod:`mrvae.data.loading`.
        quiet: show no progress.
        only: names of the entries to work on; none for an item's own choice.
        device: to compute on; by default the fastest that there is.
        used: every run that an item asked for, by its name, for the provenance of a result.
    """

    folder: Path
    budget: Budget
    data_dir: Path | None = None
    quiet: bool = False
    only: tuple[str, ...] = ()
    device: str | None = None
    used: dict[str, Job] = field(default_factory=dict)

    def path(self, job: Job) -> Path:
        """Return the run directory of a job, whether it exists or not."""
        return self.folder / "runs" / job.name

    def trained(self, job: Job) -> Path:
        """Train, resume or reuse a job, and return its run directory.

        Raises:
            ValueError: if the data are missing, or the directory holds another recipe's run.
            Diverged: if losses or gradients stay infinite.
            Interrupted: on SIGINT or SIGTERM, after saving.
        """
        run = self.path(job)
        self.used[job.name] = job
        with self._locked(job):
            if not finished(run, job):
                self.log(f"train {job.name}")
                training.train(
                    job.recipe,
                    run,
                    seed=job.seed,
                    data_dir=self.data_dir,
                    resume=True,
                    quiet=self.quiet,
                    device=self.device,
                )
        return run

    def kept(self, name: str, job: Job, make: Callable[[], Measures]) -> Measures:
        """Return the measurement NAME.json of a finished run, made now or recalled."""
        known = self.recall(name, job)
        return self.keep(name, job, make()) if known is None else known

    def recall(self, name: str, job: Job) -> Measures | None:
        """Return the measurement NAME.json of a run; None if these weights have none."""
        path = self.path(job) / f"{name}.json"
        if not path.is_file():
            return None
        found: Measures = json.loads(path.read_text(encoding="utf-8"))
        return found if found.pop("weights_sha256") == _digest(self.path(job)) else None

    def keep(self, name: str, job: Job, values: Measures) -> Measures:
        """Write a measurement of a run as NAME.json beside its weights, and return it."""
        run = self.path(job)
        write_json(run / f"{name}.json", {"weights_sha256": _digest(run), **values})
        return values

    def model(self, job: Job) -> HVAE:
        """Return the trained model of a finished job, on the workspace's device.

        Raises:
            ValueError: if its weights are missing, damaged or another model's.
        """
        return load(self.path(job)).to(  # type: ignore[call-overload, no-any-return]
            choose_device(self.device), memory_format=torch.channels_last
        )

    def images(self, job: Job, limit: int | None = None) -> Images:
        """Return the first ``limit`` test images, as the job's model reads them.

        Raises:
            ValueError: if the data are missing or do not fit the recipe.
        """
        return images_for(job.recipe, "test", self.data_dir).first(limit)

    def log(self, text: str) -> None:
        """Print a line of progress on stderr."""
        if not self.quiet:
            print(f"mrvae: {text}", file=sys.stderr)

    @contextmanager
    def _locked(self, job: Job) -> Iterator[None]:
        """Keep other jobs of this folder out of a run; the processes of one job come together."""
        if PartialState().num_processes > 1:
            yield
            return
        folder = self.folder / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{job.name}.lock"):
            yield


def finished(run: Path, job: Job) -> bool:
    """Return whether a run directory holds this job at its last step.

    The name and description of a recipe may have changed since; data, model and training may not.
    """
    if not all((run / name).is_file() for name in ("recipe.json", "weights.safetensors")):
        return False
    seed = json.loads((run / "recipe.json").read_text(encoding="utf-8")).get("seed")
    saved, wanted = (
        (recipe.data, recipe.model, recipe.training) for recipe in (read_recipe(run), job.recipe)
    )
    return saved == wanted and seed == job.seed and _last_step(run) == job.recipe.training.steps


def _last_step(run: Path) -> int:
    """Return the step that the weights of a run are of."""
    checkpoints = sorted((run / "state").glob("step-*"))
    if checkpoints:
        return int(checkpoints[-1].name.removeprefix("step-"))
    # A run that was copied without its checkpoints is known by its last validation.
    events = read_events(run / "metrics.jsonl")
    steps = [e["step"] for e in events if e.get("validation_nats") is not None]
    return max((step for step in steps if isinstance(step, int)), default=0)


def _digest(run: Path) -> str:
    return hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
