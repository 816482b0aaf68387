"""The progress of a coding, or of other work, that takes more than two seconds, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, TextIO, TypeVar, cast

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_BETWEEN = 0.2

Batch = TypeVar("Batch", bound=Sized)


class OptionalTerminal:
    """A stream whose reader may go at any time; what is then written is lost, and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.encoding = stream.encoding

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self.stream.isatty()

    def write(self, text: str) -> int:
        """Write a text, if that is possible."""
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Show what was written, if that is possible."""
        with suppress(OSError, ValueError):
            self.stream.flush()


class CodingBar:
    """Shows patches, bytes and the remaining time, once a coding has taken a while.

    Nothing is shown where there is no terminal.

    Args:
        name: what is shown beside the bar.
        patches: number of them in all.
        quiet: whether nothing is shown.
        after: seconds before which nothing is shown.
        stream: where it is shown; stderr by default.
        unit: what is counted.

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
        stream: TextIO | None = None,
        unit: str = "patches",
    ) -> None:
        self.name, self.patches, self.stream = name, patches, stream or sys.stderr
        self.unit = unit
        self.quiet = quiet or not self.stream.isatty()
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
            self._shown[0].stop()

    def __call__(self, patches: int, size: int | None = None) -> None:
        """Show that so many patches are done, and take so many bytes, if there are any."""
        now = time.monotonic()
        if self.quiet or now < self._next:
            return
        self._next = now + _BETWEEN
        progress, task = self._shown = self._shown or self._begin(patches)
        shown = "" if size is None else f"{size:,} bytes"
        progress.update(task, completed=patches, size=shown, refresh=True)

    def _begin(self, patches: int) -> tuple[Progress, TaskID]:
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
            TextColumn(f"{self.unit}  {{task.fields[size]}}"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
        )
        progress.start()
        task = progress.add_task(self.name, total=self.patches, completed=patches, size="")
        return progress, task


@contextmanager
def progress_bar(name: str, total: int, unit: str, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Yield what is called with the number of units just done, and shows them after two seconds.

    Example:
        >>> with progress_bar("score", 8, "draws", quiet=True) as advance:
        ...     advance(3)
    """
    with CodingBar(name, total, quiet, unit=unit) as bar:
        made = 0

        def advance(count: int) -> None:
            nonlocal made
            made += count
            bar(min(made, total))

        yield advance


def counted(batches: Iterable[Batch], advance: Callable[[int], None]) -> Iterator[Batch]:
    """Yield batches, and advance a bar by the length of each.

    Example:
        >>> made: list[int] = []
        >>> list(counted(["ab", "c"], made.append)), made
        (['ab', 'c'], [2, 1])
    """
    for batch in batches:
        yield batch
        advance(len(batch))
