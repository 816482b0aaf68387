"""A whole run: from a recipe to a directory of weights, metrics and checkpoints."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from mrvae.data import Images, Stream, images_for
from mrvae.devices import check_float64, choose_device
from mrvae.files import reason
from mrvae.forecast import announce_training
from mrvae.models.build import build
from mrvae.models.build.weights import save_weights
from mrvae.models.hvae import HVAE
from mrvae.processes import (
    all_reduce_max,
    raise_together,
)
from mrvae.recipes.schema import Recipe
from mrvae.streams import notice
from mrvae.training.collapse_monitor import CollapseMonitor
from mrvae.training.compiling import try_compile
from mrvae.training.machine.accelerator import check_tracker, make_accelerator
from mrvae.training.machine.plan import Plan, Work, plan
from mrvae.training.machine.precision import described, settled
from mrvae.training.machine.threads import using_threads
from mrvae.training.memory.check import check_memory, within_memory
from mrvae.training.progress import ProgressBar
from mrvae.training.stop import Interrupted, StopRequest
from mrvae.training.store import checkpoint
from mrvae.training.store.directory import RunDirectory
from mrvae.training.store.failures import (
    acquire_if_writable,
    failed,
    full_disk_fails,
    lost_peer_fails,
)
from mrvae.training.store.identity import identity
from mrvae.training.store.metrics import Metrics
from mrvae.training.store.state import TrainingProgress
from mrvae.training.update import Updater, UpdateReport
from mrvae.training.validation import validate

_LOGGED = 2000
_VALIDATED = 1000


@dataclass(frozen=True)
class RunSummary:
    """The result of a finished run.

    Attributes:
        run: the run directory.
        steps: their number.
        seconds: of training, those before an interruption included.
        nats: the last −ELBO per validation image; NaN if it was never measured.
    """

    run: Path
    steps: int
    seconds: float
    nats: float


def train(
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    data_dir: Path | None = None,
    resume: bool = False,
    tracker: str | None = None,
    quiet: bool = False,
    large: bool = False,
    device: str | None = None,
    threads: int | None = None,
) -> RunSummary:
    """Train a recipe into the run directory ``out``, or resume it.

    Everything is checked before anything is written. The result is a function of (recipe, seed) on
    one kind of device with one number of threads.

    Args:
        recipe: its ``training.steps`` is the total.
        out: the run directory; made if it does not exist.
        seed: of the first weights, the data order and all noise.
        data_dir: local folder with the data; see :mod:`mrvae.data.loading`.
        resume: start from the newest checkpoint in ``out``; at step 0 if there is none.
        tracker: a tracker of accelerate, such as ``"tensorboard"``.
        quiet: no progress bar.
        large: train a model beyond :data:`mrvae.models.build.size.LARGEST`.
        device: such as ``"cuda:1"``; by default the process's, which is the fastest that there is.
        threads: on the CPU; by default the resumed run's, those of OMP_NUM_THREADS, or measured.

    Raises:
        ValueError: if recipe, data, directory or device do not allow the run, or it is too large.
        Diverged: if losses or gradients stay not finite.
        OutOfMemory: if a step does not fit into the memory.
        Interrupted: on SIGINT or SIGTERM, after saving.
        Failed: if a file cannot be written, or another process has ended.
    """
    directory, place = RunDirectory(Path(out)), None if device is None else choose_device(device)
    check_tracker(tracker)
    with directory.lock as lock, lost_peer_fails(directory), within_memory(recipe.training):
        accelerator = make_accelerator(directory.path, tracker, place)
        main = accelerator.is_main_process
        with raise_together():
            if main and directory.recipe.exists():
                acquire_if_writable(lock)
            recipe = settled(recipe, accelerator.device, directory.resumed(resume))
            directory.check(recipe, seed, resume)
            stream, validation = _images(recipe, seed, data_dir)
            _check_room(recipe, accelerator, large)
            model = _model(recipe, seed, stream.images)
        model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        updater = Updater(model, recipe.training, stream, accelerator)
        loop = _TrainingLoop(recipe, directory, updater, validation, tracker is not None)
        with raise_together(), full_disk_fails(directory):
            if main:
                lock.acquire()
                # Another process may have begun a run here since the first check.
                directory.check(recipe, seed, resume)
        loop.restore()
        return _begin(loop, seed, threads, quiet or not main)


def _begin(loop: _TrainingLoop, seed: int, threads: int | None, silent: bool) -> RunSummary:
    """Choose the threads, note the run in its directory, and make its steps."""
    directory, device = loop.directory, loop.updater.accelerator.device
    chosen = plan(loop.updater, loop.work, threads, directory.threads, silent)
    if not silent and not loop.finished:
        _announce(loop.recipe, device, chosen)
    count = None if chosen.threads is None else chosen.threads.count
    with raise_together(), full_disk_fails(directory):
        if loop.updater.accelerator.is_main_process:
            directory.begin(loop.recipe, seed, count)
            checkpoint.sweep(directory.state)
    with using_threads(count):
        return loop.run(silent)


def _announce(recipe: Recipe, device: torch.device, chosen: Plan) -> None:
    """Print the precision of a run, its threads, and how long it will take."""
    threads = "" if chosen.threads is None else f"; {chosen.threads}"
    notice(described(recipe, device) + threads)
    if chosen.whole is not None:
        seconds, busy = chosen.whole.seconds, chosen.whole.busy
        announce_training(seconds, busy, recipe.training.compile)


class _TrainingLoop:
    """The loop over steps, with logging, validation and checkpoints between them."""

    def __init__(
        self,
        recipe: Recipe,
        directory: RunDirectory,
        updater: Updater,
        validation: Images,
        tracked: bool,
    ) -> None:
        self.recipe = recipe
        self.training = recipe.training
        self.directory = directory
        self.updater = updater
        self.accelerator = updater.accelerator
        self.validation = validation
        self.tracked = tracked
        self.metrics = Metrics(directory.metrics)
        stream = updater.stream
        self.identity = identity(recipe, stream.seed, stream.images, validation)
        self.progress = TrainingProgress()
        self.began, self.before = time.perf_counter(), 0.0

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.progress.step >= self.training.steps

    @property
    def work(self) -> Work:
        """What is left of the run."""
        done, steps, every = self.progress.step, self.training.steps, self.training.validate_every
        validations = steps // every - done // every + bool(steps % every)
        return Work(steps - done, validations * len(self.validation))

    def restore(self) -> None:
        """Go to the newest checkpoint, if there is one; write nothing."""
        with raise_together():
            self.progress = checkpoint.restore(self.directory.state, self.updater, self.identity)
        _check_same_step(self.progress.step, self.directory)

    def run(self, quiet: bool) -> RunSummary:
        """Train to the last step."""
        try:
            self._restore_log()
            if self.progress.step < self.training.steps:
                self._train(quiet)
        except OSError as error:
            raise failed(reason(error), self.directory) from None
        nats = math.nan if self.progress.nats is None else self.progress.nats
        return RunSummary(self.directory.path, self.training.steps, self._seconds(), nats)

    def _train(self, quiet: bool) -> None:
        """Make the steps that are left, behind a progress bar, until a signal comes."""
        self._start()
        start, steps = self.progress.step, self.training.steps
        bins, stop = self.recipe.model.likelihood.bins, StopRequest()
        bar = ProgressBar(self.updater.model, bins, start, steps, quiet)
        with stop.listening(), bar:
            self._steps(bar, stop)

    def _steps(self, bar: ProgressBar, stop: StopRequest) -> None:
        every = max(1, self.training.steps // _LOGGED)
        monitor, latents = CollapseMonitor(self.training), self.updater.model.latent_shapes
        for step in range(self.progress.step, self.training.steps):
            report = self.updater.update(step)
            done = step + 1
            self.progress = TrainingProgress(done, self.progress.nats, self.progress.best)
            bar.show(done, report)
            # Without latents there is nothing that can collapse.
            warning = monitor.warning(step, report) if latents else ""
            if warning and self.accelerator.is_main_process:
                bar.warn(warning)
            if done % every == 0 or report.skipped:
                self._log(report)
            last = done == self.training.steps
            if last or done % self.training.validate_every == 0:
                self._validate(bar)
            # A signal may reach only one process; all of them stop after the same step.
            signal_number = all_reduce_max(stop.signal_number or 0)
            if last or done % self.training.checkpoint_every == 0 or signal_number:
                self._save()
            if signal_number and not last:
                raise Interrupted(
                    f"stopped after step {done} of {self.training.steps}, and saved; "
                    f"continue with --resume --out {self.directory.path}",
                    signal_number,
                )

    def _start(self) -> None:
        """Compile and start the tracker, if the run has them."""
        if self.accelerator.is_main_process:
            self.directory.drop_pictures()
        if self.training.compile:
            seconds = try_compile(self.updater)
            if seconds is not None and self.accelerator.is_main_process:
                self.metrics.append({"step": self.progress.step, "compile_seconds": seconds})
        if self.tracked:
            self.accelerator.init_trackers(self.recipe.name)

    def _restore_log(self) -> None:
        """Drop the events of steps that will be repeated, and read the seconds spent before."""
        if not self.accelerator.is_main_process:
            return
        problem = self.metrics.mend()
        if problem:
            notice(problem)
        self.metrics.drop_after(self.progress.step)
        spent = [event["seconds"] for event in self.metrics.read() if event.get("seconds")]
        self.before = float(spent[-1] or 0.0) if spent else 0.0

    def _log(self, report: UpdateReport) -> None:
        monitor = self.updater.monitor
        event = {
            "nats": report.nats,
            "kl": report.kl,
            "norm": report.norm,
            **monitor.quantiles(),
            "rate": report.rate,
            "skipped": monitor.skipped,
            "broken": monitor.broken,
            "skip_rate": (monitor.skipped + monitor.broken) / self.progress.step,
            "seconds": self._seconds(),
        }
        self._write(event)

    def _validate(self, bar: ProgressBar) -> None:
        """Validate the averaged weights, and save them if they are the best so far."""
        nats = validate(self.updater, self.validation)
        best = self.progress.best
        improved = math.isfinite(nats) and (best is None or nats < best)
        self.progress = TrainingProgress(
            self.progress.step,
            nats if math.isfinite(nats) else None,
            nats if improved else best,
        )
        self._write({"validation_nats": nats, "seconds": self._seconds()})
        bar.log(f"step {self.progress.step}: validation −ELBO {bar.unit(nats)}")
        if improved and self.accelerator.is_main_process:
            save_weights(self.directory.best, self._averages())

    def _write(self, event: dict[str, float]) -> None:
        if self.accelerator.is_main_process:
            self.metrics.append({"step": self.progress.step, **event})
        if self.tracked:
            self.accelerator.log(event, step=self.progress.step)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            # The checkpoint last: a resumed run does not write what belongs to earlier steps again.
            save_weights(self.directory.weights, self._averages())
            checkpoint.save(
                self.directory.state,
                self.updater,
                self.progress,
                self.training.keep,
                self.identity,
            )
        self.accelerator.wait_for_everyone()
        if self.tracked and self.progress.step == self.training.steps:
            self.accelerator.end_training()

    def _averages(self) -> dict[str, torch.Tensor]:
        names = [name for name, _ in self.updater.model.named_parameters()]
        averages = dict(zip(names, self.updater.ema.averages, strict=True))
        return averages | self.updater.buffers

    def _seconds(self) -> float:
        return self.before + time.perf_counter() - self.began


def _images(recipe: Recipe, seed: int, data_dir: Path | None) -> tuple[Stream, Images]:
    """Return the stream of training batches, and the validation images."""
    images = images_for(recipe, "train", data_dir)
    validation = images_for(recipe, "validation", data_dir)
    stream = Stream(images, recipe.training.batch, seed, recipe.data.binary)
    return stream, validation.first(_VALIDATED)


def _check_room(recipe: Recipe, accelerator: Accelerator, large: bool) -> None:
    """Refuse a model that is too large, or does not fit, before any of it is allocated."""
    with torch.device("meta"):
        model = build(recipe, large=large)
    check_float64(accelerator.device, bool(model.context.shapes))
    check_memory(model, recipe, accelerator.device, accelerator.num_processes)


def _model(recipe: Recipe, seed: int, images: Images) -> HVAE:
    """Return the model before the first step, the same on every process."""
    set_seed(seed)
    model = build(recipe, large=True)
    if model.context.shapes:
        model.context.fit(_encoder_inputs(images, recipe))
    if recipe.training.activation_checkpointing:
        model.enable_activation_checkpointing()
    return model


def _check_same_step(step: int, directory: RunDirectory) -> None:
    """Refuse to resume from different checkpoints on different processes."""
    first, last = -all_reduce_max(-step), all_reduce_max(step)
    if first != last:
        raise ValueError(
            f"the processes find different checkpoints in {directory.path}; "
            "put --out on a disk that all machines share"
        )


def _encoder_inputs(images: Images, recipe: Recipe) -> torch.Tensor:
    """Return the training images as inputs of the encoder: binarised once if the recipe is binary.

    Training binarises them anew at each step, so a value may exceed the range that was measured.
    """
    inputs = images.binarised(0) if recipe.data.binary else images
    return inputs.tensor()
