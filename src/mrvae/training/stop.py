"""The ways in which a run ends before its last step; its checkpoints stay valid in all of them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 10.0
"""Seconds after the first signal within which a second one does not interrupt."""


class Diverged(RuntimeError):
    """Too many losses or gradients in a row were not finite."""


class Interrupted(RuntimeError):
    """The run was asked to stop by a signal, and has saved its state."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class Failed(RuntimeError):
    """A file could not be read or written, or another process of the run has ended."""


class OutOfMemory(RuntimeError):
    """A step did not fit into the memory of its device."""


class StopRequest:
    """Records SIGINT or SIGTERM, so that the loop can end between two steps, and save.

    Schedulers, launchers and terminals repeat a signal: a second one is part of the same request. A
    third one, or any after ``PATIENCE`` seconds, interrupts at once.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.count = 0
        self.first = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch both signals inside the block.

        Signals can only be caught in the main thread; elsewhere this does nothing.
        """
        try:
            before = {s: signal.signal(s, self._record) for s in SIGNALS}
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.signal_number is None:
            self.signal_number, self.first = number, time.monotonic()
        elif self.count > 2 or time.monotonic() - self.first >= PATIENCE:
            raise KeyboardInterrupt


def ignore_signals() -> None:
    """Ignore SIGINT and SIGTERM from now on, in a process that has saved and is about to exit."""
    with suppress(ValueError):
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
