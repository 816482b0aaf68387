"""The progress of a work of known steps that takes more than two seconds, on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, cast

from mrvae.cli.coding_bar import OptionalTerminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_BETWEEN = 0.2


class StepBar:
    """Shows steps and the remaining time, once a work has taken a while.

    Nothing is shown where there is no terminal.

    Args:
        name: what is shown beside the bar.
        steps: number of them in all.
        quiet: whether nothing is shown.
        after: seconds before which nothing is shown.
        stream: where it is shown; stderr by default.

    Example:
        >>> with StepBar("restore", 400, quiet=False) as bar:
        ...     bar(200)
    """

    def __init__(
        self,
        name: str,
        steps: int,
        quiet: bool,
        after: float = 2.0,
        stream: TextIO | None = None,
    ) -> None:
        self.name, self.steps, self.stream = name, steps, stream or sys.stderr
        self.quiet = quiet or not self.stream.isatty()
        self._next = time.monotonic() + after
        self._shown: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> StepBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._shown[0].stop()

    def __call__(self, steps: int) -> None:
        """Show that so many steps are done."""
        now = time.monotonic()
        if self.quiet or now < self._next:
            return
        self._next = now + _BETWEEN
        progress, task = self._shown = self._shown or self._begin(steps)
        progress.update(task, completed=steps, refresh=True)

    def _begin(self, steps: int) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        # A pipe that breaks would make rich end the process.
        console = Console(file=cast("TextIO", OptionalTerminal(self.stream)))
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        progress.start()
        return progress, progress.add_task(self.name, total=self.steps, completed=steps)
