"""The ``mrvae`` program, also as ``python -m mrvae``, so that launchers can start it."""

from __future__ import annotations

import gc
import os
import signal
from types import FrameType

_ALLOCATIONS = 20_000
"""New objects between two searches for cycles: imports make a million objects, and no cycle."""


def main() -> int:
    """Run the command line; Ctrl-C while it is still being imported is one line, too."""
    try:
        before = signal.signal(signal.SIGINT, _interrupted)
    except ValueError:
        # Signals belong to the main thread.
        before = None
    gc.set_threshold(_ALLOCATIONS)
    from mrvae.cli import main as run

    if before is not None:
        signal.signal(signal.SIGINT, before)
    return run()


def _interrupted(number: int, frame: FrameType | None) -> None:
    """End at once: an import that is interrupted leaves half a module, and a traceback."""
    os.write(2, b"mrvae: interrupted\n")
    os._exit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
