"""``mrvae evaluate``."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import (
    check_at_most,
    check_output,
    check_positive,
    check_processes,
    check_seed,
)
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.forecast import forecast
from mrvae.cli.inputs import CutLarger, Fit, InputOptions, Paths
from mrvae.cli.options import Best, DataDir, Device, Json, Large, Quiet, RunPath, Seed, Split
from mrvae.cli.signals import unit_of
from mrvae.files import atomic, reason, write_json
from mrvae.recipes.validation import shown
from mrvae.streams import tolerant_stderr

if TYPE_CHECKING:
    from mrvae.cli.runs import Run
    from mrvae.data import Images
    from mrvae.evaluation import LikelihoodReport
    from mrvae.models import HVAE

_ESTIMATOR = "kuzina2023"
_MOST_SAMPLES = 1_000_000
_NO_BOUND = "published estimator (Kuzina & Tomczak 2023), no bound"


@dataclass(frozen=True)
class Evaluate:
    """Measure the likelihood bounds of a trained model over every image of a split or PATH.

    Both are upper bounds of -log p(x) in nats per image, lower is better: -ELBO from one draw of
    the latents, and the importance-weighted bound from K draws, which is tighter. Measured over all
    test images, the result is also written to evaluation.json in the run directory. Under torchrun
    each process measures its share of the images, and the first one prints. With --repeat the
    hierarchy is deeper or shallower than in training: each block and cell is applied R times in a
    row, except those that pool or mix, which are applied once.
    """

    run_path: RunPath
    paths: Paths = ()
    split: Split = "test"
    importance_samples: Annotated[int, Option("draws K of the importance-weighted bound")] = 16
    limit: Annotated[int | None, Option("number of images, from the first; by default all")] = None
    seed: Seed = 0
    data_dir: DataDir = None
    csv: Annotated[Path | None, Option("table to write, one line per image")] = None
    quiet: Quiet = False
    best: Best = False
    repeat: Annotated[
        int | None, Option("applications R of each block and cell; by default as trained")
    ] = None
    context_samples: Annotated[
        int | None,
        Option(
            "trajectories J of the importance-weighted bound on a context's log p; by default "
            "the mean bound, all terms summed"
        ),
    ] = None
    estimator: Annotated[
        str | None, Option("also print a published estimator, which is no bound: kuzina2023")
    ] = None
    device: Device = None
    large: Large = False
    fit: Fit = False
    cut: CutLarger = False
    json: Json = False

    def run(self) -> Answer:
        """Measure, and write what is to be written."""
        self._check()
        from mrvae.cli.runs import open_run
        from mrvae.devices import choose_device
        from mrvae.evaluation import latent_units
        from mrvae.processes import leave_group, process_state, raise_together

        # Before the processes join: on which devices they do follows from it.
        device = None if self.device is None else choose_device(self.device)
        first = process_state(device).is_main_process
        try:
            with raise_together():
                run = open_run(self.run_path, self.best, self.repeat, self.large, self.device)
                self._check_context(run)
                images = self._inputs().read(run).images
                if first and not self.quiet:
                    passes = (1 + self.importance_samples) / process_state().num_processes
                    forecast(run.model, images, passes)
            report = self._measure(run.model, images, self.quiet or not first)
        finally:
            leave_group()
        if not first:
            return Answer({}, "")
        values: dict[str, object] = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "split": self.split,
            **report.summary(),
            **_published(report),
            **latent_units(run.model, images).summary(),
            "seed": self.seed,
            "repeat": self.repeat,
            "stochastic_depth": run.model.stochastic_depth,
        }
        whole = self.split == "test" and not self.paths and self.limit is self.repeat is None
        record = run.path / "evaluation.json" if whole and run.trained_here else None
        problems = self._write(report, record, values)
        text = _text(values, self._inputs().title, float(report.kl.sum(dim=1).mean()))
        meaning = unit_of(run.recipe)
        text = text if meaning is None else f"{text}\n{meaning}"
        return Answer(values, text, problems, code=1 if problems else 0)

    def _write(
        self, report: LikelihoodReport, record: Path | None, values: Mapping[str, object]
    ) -> tuple[str, ...]:
        """Write what is to be written, and return what could not be: the answer comes first."""
        problems = []
        try:
            if self.csv is not None:
                write_table(self.csv, report)
        except OSError as error:
            problems.append(f"--csv was not written: {reason(error)}")
        try:
            if record is not None and record.exists() and not record.is_file():
                # A pipe would wait for a reader, and a device would swallow it.
                problems.append(f"the result was not noted: {record} is no regular file")
            elif record is not None:
                write_json(record, values)
        except OSError as error:
            problems.append(f"the result was not noted in the run: {reason(error)}")
        return tuple(problems)

    def _check(self) -> None:
        """Refuse what cannot be measured, before anything is read."""
        check_positive(
            importance_samples=self.importance_samples,
            limit=self.limit,
            repeat=self.repeat,
            context_samples=self.context_samples,
        )
        check_at_most(
            _MOST_SAMPLES,
            importance_samples=self.importance_samples,
            context_samples=self.context_samples,
        )
        check_seed(self.seed)
        check_processes()
        if self.estimator not in (None, _ESTIMATOR):
            found = shown(self.estimator)
            raise ValueError(f"--estimator is {found}; the only one is {_ESTIMATOR}")
        self._inputs().check(self.csv)
        if self.csv is not None:
            check_output(self.csv, option="--csv")

    def _inputs(self) -> InputOptions:
        return InputOptions(self.paths, self.split, self.data_dir, self.limit, self.fit, self.cut)

    def _check_context(self, run: Run) -> None:
        """Refuse trajectories of a context that the model does not have."""
        if self.context_samples is not None and not run.model.context.shapes:
            raise ValueError(
                f"--context-samples is {self.context_samples}, and {self.run_path} has no context; "
                "leave it out"
            )

    def _measure(self, model: HVAE, images: Images, quiet: bool) -> LikelihoodReport:
        """Measure every image, each on one of the processes that there are."""
        from mrvae.evaluation import KUZINA2023, draws, evaluate
        from mrvae.processes import process_state, shard

        state, samples = process_state(), self.importance_samples
        part = shard(len(images), state.process_index, state.num_processes)
        with _bar(draws(len(part), samples), quiet) as progress:
            report = evaluate(
                model,
                images,
                samples=samples,
                seed=self.seed,
                progress=progress,
                part=part,
                context_samples=self.context_samples,
                estimators=() if self.estimator is None else (KUZINA2023,),
            )
        return report.joined()


def write_table(path: Path, report: LikelihoodReport) -> None:
    """Write one line of comma-separated values per image, atomically."""
    from mrvae.models import bits_per_dim

    columns = (report.nats, report.importance_nats, report.kl.sum(dim=1), *report.estimates)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        published = [f"{_ESTIMATOR}_nats" for _ in report.estimates]
        writer.writerow(["index", "nats", "importance_nats", "bits_per_dim", "kl", *published])
        for index, (nats, importance, kl, *estimates) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        ):
            bits = bits_per_dim(nats, report.dims)
            writer.writerow([index, nats, importance, bits, kl, *estimates])


def _published(report: LikelihoodReport) -> dict[str, float | None]:
    """Return the numbers of the published estimator, if it was asked for."""
    numbers: dict[str, float | None] = {}
    for estimate in report.estimates:
        numbers |= report.described(f"{_ESTIMATOR}_", estimate)
    return numbers


@contextmanager
def _bar(total: int, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how many draws are done, on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=tolerant_stderr()), disable=quiet) as progress:
        task = progress.add_task("evaluate", total=total)
        yield lambda made: progress.advance(task, made)


def _text(values: Mapping[str, object], title: str, kl: float) -> str:
    name = f"importance, K = {values['importance_samples']}"
    if values["context_samples"] is not None:
        name += f", J = {values['context_samples']}"
    published = (
        f"\n{_NO_BOUND}   {_bound(values, f'{_ESTIMATOR}_')}"
        if f"{_ESTIMATOR}_nats" in values
        else ""
    )
    return f"""\
{values["images"]} images, {title}
{"−ELBO":<22} {_bound(values, "")}
{name:<22} {_bound(values, "importance_")}
{"of which KL":<22} {kl:.2f} nats
{"active latent units":<22} {values["active_units"]} of {values["latent_units"]}{published}"""


def _bound(values: Mapping[str, object], prefix: str) -> str:
    """Write one bound in both units, with its standard error."""
    nats, error = values[f"{prefix}nats"], values[f"{prefix}nats_se"]
    width = f" ± {error:.2f}" if isinstance(error, float) else ""
    return f"{nats:.2f}{width} nats   {values[f'{prefix}bits_per_dim']:.4f} bits/dim"
