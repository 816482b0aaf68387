"""The ways in which a run ends before its last step; its checkpoints stay valid in all of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
    """Records SIGINT or SIGTERM, so that the loop can end between two steps."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Catch both signals inside the block; a second SIGINT interrupts at once.

        Signals can only be caught in the main thread; elsewhere this does nothing.
        """
        try:
            before = {s: signal.signal(s, self._record) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise KeyboardInterrupt
        self.signal_number = number
