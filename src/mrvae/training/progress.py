"""The progress bar of a run, on stderr, as long as that can be written to."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mrvae.models.elbo import bits_per_dim
from mrvae.models.hvae import HVAE
from mrvae.streams import tolerant_stderr
from mrvae.training.update import UpdateReport


class ProgressBar:
    """Shows step, −ELBO in the data set's unit, KL, steps per second and the remaining time.

    Binary images are reported in nats, all others in bits per dimension.
    """

    def __init__(self, model: HVAE, bins: int, start: int, steps: int, quiet: bool) -> None:
        self.dims = model.frame.dims
        self.binary = bins == 2
        self.start, self.began, self.smoothed = start, time.perf_counter(), 0.0
        self.shown = 0
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            # A terminal that is gone, or a log on a full disk, must not end the training.
            console=Console(file=tolerant_stderr()),
            disable=quiet,
        )
        self.task = self.progress.add_task("train", total=steps, completed=start, numbers="")

    def __enter__(self) -> ProgressBar:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def show(self, step: int, report: UpdateReport) -> None:
        """Show the report of the ``step``-th step, counted from 1."""
        self.shown += 1
        rate = max(0.02, 1 / self.shown)
        if abs(report.nats) < float("inf"):
            self.smoothed += rate * (report.nats - self.smoothed)
        speed = (step - self.start) / max(time.perf_counter() - self.began, 1e-9)
        numbers = f"−ELBO {self.unit(self.smoothed)}  KL {report.kl:.1f} nats  {speed:.1f} steps/s"
        self.progress.update(self.task, completed=step, numbers=numbers)

    def log(self, text: str) -> None:
        """Print one line above the bar."""
        if not self.progress.disable:
            self.progress.console.print(text, highlight=False, markup=False)

    def warn(self, text: str) -> None:
        """Print one warning above the bar, also where the bar is disabled."""
        line = f"mrvae: {text}"
        self.progress.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def unit(self, nats: float) -> str:
        """Format nats per image in the data set's unit."""
        if self.binary:
            return f"{nats:.2f} nats"
        return f"{bits_per_dim(nats, self.dims):.3f} bits/dim"
