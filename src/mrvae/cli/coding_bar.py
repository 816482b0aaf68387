"""The progress of a coding that takes more than two seconds, on stderr."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_BETWEEN = 0.2


class CodingBar:
    """Shows patches, bytes and the remaining time, once a coding has taken a while.

    Nothing is shown where stderr is no terminal. One that has gone ends the bar, not the coding.

    Args:
        name: what is shown beside the bar.
        patches: number of them in all.
        quiet: whether nothing is shown.
        after: seconds before which nothing is shown.
        console: where it is shown; stderr by default.

    Example:
        >>> with CodingBar("compress", 2048, quiet=False) as bar:
        ...     bar(1024, 3000)
    """

    def __init__(
        self,
        name: str,
        patches: int,
        quiet: bool,
        after: float = 2.0,
        console: Console | None = None,
    ) -> None:
        from rich.console import Console

        self.name, self.patches = name, patches
        self.console = console or Console(stderr=True)
        self.quiet = quiet or not self.console.is_terminal
        self._next = time.monotonic() + after
        self._shown: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> CodingBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shown is not None:
            self._draw(self._shown[0].stop)

    def __call__(self, patches: int, size: int) -> None:
        """Show that so many patches are done, and take so many bytes."""
        now = time.monotonic()
        if self.quiet or now < self._next:
            return
        self._next = now + _BETWEEN
        self._draw(lambda: self._show(patches, size))

    def _show(self, patches: int, size: int) -> None:
        progress, task = self._shown = self._shown or self._begin(patches)
        progress.update(task, completed=patches, size=f"{size:,} bytes", refresh=True)

    def _begin(self, patches: int) -> tuple[Progress, TaskID]:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("patches  {task.fields[size]}"),
            TimeRemainingColumn(),
            console=self.console,
            auto_refresh=False,
        )
        progress.start()
        task = progress.add_task(self.name, total=self.patches, completed=patches, size="")
        return progress, task

    def _draw(self, draw: Callable[[], None]) -> None:
        """Draw, unless there is no terminal any more."""
        try:
            draw()
        except OSError:
            self.quiet, self._shown = True, None
