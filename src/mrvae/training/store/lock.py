"""The lock of a run directory: one process at a time writes to a run.

The operating system releases the lock of a process that ends in whatever way. While it is held, the
file ``.lock`` names the holder; it is removed when the run ends, and one that a killed process left
does not count.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

NAME = ".lock"
_LARGEST_NAME = 300


class RunLock:
    """Holds a run directory for this process, from :meth:`acquire` to the end of the block.

    A directory that is still empty at the end is removed if it was made here.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, RunLock(Path(folder)) as lock:
        ...     lock.acquire()
        ...     lock.acquire()  # held already
        ...     [path.name for path in Path(folder).iterdir()]
        ['.lock']
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._made: list[Path] = []
        self._lock: FileLock | None = None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            # Removed while it is held: later, it could be the file of the next holder.
            with suppress(OSError):
                self.path.unlink()
            self._lock.release()
            self._lock = None
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def acquire(self) -> None:
        """Make the directory if necessary, and hold it; do nothing if it is held here already.

        Raises:
            ValueError: if another process holds it, naming the process and its machine.
            OSError: if the directory or the file cannot be made.
        """
        if self._lock is not None:
            return
        before = {path for path in (self.folder, *self.folder.parents) if path.exists()}
        self._made = [p for p in (self.folder, *self.folder.parents) if p not in before]
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(
                f"{self.folder} is in use by {self._holder()}; wait until that run has ended, or "
                "choose another --out"
            ) from None
        self._lock = lock
        with suppress(OSError):
            self.path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")

    def _holder(self) -> str:
        """Return the name that the holder wrote into the file, which takes it a moment."""
        for _ in range(20):
            with suppress(OSError), self.path.open("rb") as file:
                text = file.read(_LARGEST_NAME).decode(errors="replace")
                name = "".join(c for c in text if c.isprintable())
                if name:
                    return name
            time.sleep(0.02)
        return "another process"
