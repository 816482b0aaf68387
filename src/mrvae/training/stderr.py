"""Lines on stderr that may be lost, but never end a run.

The reader of stderr may go away during a training of days, or its disk be full. What cannot be
shown then is dropped. The bytes go to the file descriptor directly: a buffer that could not be
written would be tried again when the process exits, and change its exit code.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


class ErrorStream(io.TextIOBase):
    """The stderr of this moment, as a stream whose writing never fails.

    Example:
        >>> ErrorStream().write("")
        0
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr
        self._descriptor = _descriptor(sys.stderr)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of stderr."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether stderr is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """Return the file descriptor of stderr; ``OSError`` if it has none."""
        if self._descriptor is None:
            raise io.UnsupportedOperation("fileno")
        return self._descriptor

    def write(self, text: str) -> int:
        """Write a text, and drop it and all later ones if that fails."""
        try:
            self._write(text)
        except BlockingIOError:
            # A terminal or pipe that is slow at this moment may show the next line.
            pass
        except (OSError, ValueError):
            self._stream = self._descriptor = None
        return len(text)

    def flush(self) -> None:
        """Do nothing: nothing is buffered here."""

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        left = text.encode(self.encoding, errors="backslashreplace")
        while left:
            left = left[os.write(self._descriptor, left) :]


def notice(text: str) -> None:
    """Print one line of mrvae on stderr, if it can be shown."""
    ErrorStream().write(f"mrvae: {text}\n")


def _descriptor(stream: TextIO | None) -> int | None:
    """Return the file descriptor of a stream, or None if it has none."""
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None
