"""Where an item of a paper is worked on: a folder that remembers what is finished.

    FOLDER/runs/RECIPE[-VARIATION]-seedS/            run directories, as ``mrvae train`` makes them
    FOLDER/runs/…/measured-SPLIT-kK-nN.json          what a run was measured to be
    FOLDER/runs/…/each-SPLIT-kK-nN.json              the same of every image, for paired comparisons
    FOLDER/ITEM.json, ITEM.csv, ITEM.png …           what the item came to

Items of one paper at one budget share the folder, and so a run that two of them need is made once.
A run that was interrupted is gone on with; one that is finished is not made again, whoever made it
and wherever: the directory is enough. A measurement names the SHA-256 of the weights that were
measured, and is used again only for these. Several processes may work in one folder; the one that
comes second to a run waits for the first.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from mrvae.files import write_json
from mrvae.papers.outcome import Budget
from mrvae.recipes import Recipe
from mrvae.run_log import read_events

if TYPE_CHECKING:
    from mrvae.data import Images
    from mrvae.evaluation import LikelihoodReport
    from mrvae.models import HVAE

Measures = dict[str, object]
BOUNDS = ("nats", "importance_nats")


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
        only: names of the cells to work on; none for an item's own choice.
        used: every run that an item asked for, by its name; what a result says of its origin.
    """

    folder: Path
    budget: Budget
    data_dir: Path | None = None
    quiet: bool = False
    only: tuple[str, ...] = ()
    used: dict[str, Job] = field(default_factory=dict)

    def path(self, job: Job) -> Path:
        """Return the run directory of a job, there or not."""
        return self.folder / "runs" / job.name

    def trained(self, job: Job) -> Path:
        """Train a job, go on with it, or find it finished; return its run directory.

        Raises:
            ValueError: if the data are missing, or the directory holds another recipe's run.
            Diverged: if losses or gradients stay infinite.
            Interrupted: on SIGINT or SIGTERM, after saving.
        """
        from mrvae.training import train

        run = self.path(job)
        self.used[job.name] = job
        with self._alone(job):
            if not finished(run, job):
                self.say(f"train {job.name}")
                train(
                    job.recipe,
                    run,
                    seed=job.seed,
                    data_dir=self.data_dir,
                    resume=True,
                    quiet=self.quiet,
                )
        return run

    def measured(
        self, job: Job, *, samples: int = 1, limit: int | None = None, split: str = "test"
    ) -> Measures:
        """Return the bounds of a finished job over a split, measured now or before.

        Args:
            job: a finished one.
            samples: K of the importance-weighted bound.
            limit: number of images, from the first; all by default.
            split: which images.

        Returns:
            The values of :meth:`mrvae.evaluation.LikelihoodReport.summary`.

        Raises:
            ValueError: if the run cannot be read or the data are missing.
        """
        known = self.remembered(job, samples=samples, limit=limit, split=split)
        if known is not None:
            return known
        from mrvae.evaluation import evaluate

        self.say(f"measure {job.name}")
        images = self.images(job.recipe, split, limit)
        return self.remember(job, evaluate(self.model(job), images, samples=samples), limit, split)

    def remember(
        self, job: Job, report: LikelihoodReport, limit: int | None = None, split: str = "test"
    ) -> Measures:
        """Keep what was found of a finished job, for :meth:`measured` and :meth:`each`."""
        samples = report.samples
        measures: Measures = dict(report.summary())
        key = _key(self.path(job), samples, limit, split)
        values = (report.nats, report.importance_nats)
        each = {name: nats.tolist() for name, nats in zip(BOUNDS, values, strict=True)}
        write_json(self._file("each", job, samples, limit, split), {**key, **each})
        write_json(
            self._file("measured", job, samples, limit, split), {**key, "measures": measures}
        )
        return measures

    def remembered(
        self, job: Job, *, samples: int = 1, limit: int | None = None, split: str = "test"
    ) -> Measures | None:
        """Return what :meth:`measured` found before, if the run still has the same weights."""
        found = self._found("measured", job, samples, limit, split)
        return None if found is None else cast(Measures, found["measures"])

    def each(
        self, job: Job, *, samples: int = 1, limit: int | None = None, split: str = "test"
    ) -> Mapping[str, list[float]]:
        """Return what :meth:`measured` found of every image, in nats, by the name of the bound.

        Empty where it was not measured here: a run that was copied may come without it.
        """
        found = self._found("each", job, samples, limit, split)
        return {} if found is None else {name: cast(list[float], found[name]) for name in BOUNDS}

    def kept(self, name: str, job: Job, make: Callable[[], Measures]) -> Measures:
        """Return what ``make`` says of a finished run, made now or kept as NAME.json beside it."""
        path, digest = self.path(job) / f"{name}.json", _digest(self.path(job))
        if path.is_file():
            found: Measures = json.loads(path.read_text(encoding="utf-8"))
            if found.pop("weights_sha256") == digest:
                return found
        result = make()
        write_json(path, {"weights_sha256": digest, **result})
        return result

    def model(self, job: Job) -> HVAE:
        """Return the trained model of a finished job, on the fastest device that there is.

        Raises:
            ValueError: if its weights are missing, damaged or another model's.
        """
        import torch

        from mrvae.devices import choose_device
        from mrvae.models.build.weights import load

        return load(self.path(job)).to(  # type: ignore[call-overload, no-any-return]
            choose_device(), memory_format=torch.channels_last
        )

    def images(self, recipe: Recipe, split: str, limit: int | None = None) -> Images:
        """Return the first ``limit`` images of a split, as the recipe's model sees them.

        Raises:
            ValueError: if the data are missing or do not fit the recipe.
        """
        from mrvae.data import images_for

        return images_for(recipe, split, self.data_dir).first(limit)

    def say(self, text: str) -> None:
        """Tell what is being done, on stderr."""
        if not self.quiet:
            print(f"mrvae: {text}", file=sys.stderr)

    def _file(self, kind: str, job: Job, samples: int, limit: int | None, split: str) -> Path:
        return self.path(job) / f"{kind}-{split}-k{samples}-n{limit or 'all'}.json"

    def _found(
        self, kind: str, job: Job, samples: int, limit: int | None, split: str
    ) -> Measures | None:
        """Return what a measurement left, if the job is finished and has still these weights."""
        run, path = self.path(job), self._file(kind, job, samples, limit, split)
        if not finished(run, job) or not path.is_file():
            return None
        found: Measures = json.loads(path.read_text(encoding="utf-8"))
        return found if _key(run, samples, limit, split).items() <= found.items() else None

    @contextmanager
    def _alone(self, job: Job) -> Iterator[None]:
        """Keep other jobs of this folder out of a run; the processes of one job come together."""
        from accelerate import PartialState
        from filelock import FileLock

        if PartialState().num_processes > 1:
            yield
            return
        folder = self.folder / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{job.name}.lock"):
            yield


def finished(run: Path, job: Job) -> bool:
    """Tell whether a run directory holds this job at its last step.

    What a recipe says about itself may have changed since; data, model and training may not.
    """
    from mrvae.models.build.weights import read_recipe

    if not all((run / name).is_file() for name in ("recipe.json", "weights.safetensors")):
        return False
    seed = json.loads((run / "recipe.json").read_text(encoding="utf-8")).get("seed")
    same = replace(
        job.recipe,
        data=(before := read_recipe(run)).data,
        model=before.model,
        training=before.training,
    )
    return same == job.recipe and seed == job.seed and _last_step(run) == job.recipe.training.steps


def _last_step(run: Path) -> int:
    """Return the step that the weights of a run are of."""
    checkpoints = sorted((run / "state").glob("step-*"))
    if checkpoints:
        return int(checkpoints[-1].name.removeprefix("step-"))
    # A run that was copied without its checkpoints is known by its last validation.
    events = read_events(run / "metrics.jsonl")
    steps = [e["step"] for e in events if e.get("validation_nats") is not None]
    return max((step for step in steps if isinstance(step, int)), default=0)


def _key(run: Path, samples: int, limit: int | None, split: str) -> Measures:
    """Return what a measurement depends on."""
    return {"weights_sha256": _digest(run), "samples": samples, "limit": limit, "split": split}


def _digest(run: Path) -> str:
    return hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
