"""Text streams that never fail: an answer is not lost because of how it is shown.

An encoding without a character gets an ASCII one in its place; a stream whose reader has gone, or
whose disk is full, drops what is written to it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

_ASCII = {
    "−": "-",
    "–": "-",
    "—": "-",
    "━": "-",
    "╸": "-",
    "╺": "-",
    "…": "...",
    "×": "x",
    "·": "*",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "‖": "||",
    "²": "^2",
    "λ": "lambda",
    "μ": "mu",
    "σ": "sigma",
    "∞": "inf",
    "•": "*",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
_HANDLER = "mrvae.ascii"
_LONGEST = 2000


def _to_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace the characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part = error.object[error.start : error.end]
    return "".join(_ASCII.get(char, "?") for char in part), error.end


codecs.register_error(_HANDLER, _to_ascii)


def printable(text: str) -> str:
    r"""Return a text whose only control characters are line feeds; others are escaped.

    Example:
        >>> printable("a\x1b[31m\nb")
        'a\\x1b[31m\nb'
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        char if char == "\n" or char.isprintable() else ascii(char)[1:-1] for char in text
    )


def one_line(text: str) -> str:
    r"""Return a message as one printable line of at most 2,000 characters.

    Example:
        >>> one_line("a\n  b\x07")
        'a b\\x07'
    """
    line = printable(" ".join(text.split()))
    if len(line) <= _LONGEST:
        return line
    return f"{line[: _LONGEST - 501]} … {line[-498:]}"


class TolerantStream(io.TextIOBase):
    """Passes text on to a stream, and drops what that cannot take.

    Attributes:
        broken: whether something was dropped.

    Example:
        >>> closed = io.StringIO()
        >>> closed.close()
        >>> stream = TolerantStream(closed)
        >>> stream.write("lost"), stream.broken
        (4, True)
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream
        self.broken = stream is None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream, UTF-8 if it has none."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self.broken = True
        return len(text)

    def flush(self) -> None:
        """Flush the stream, or give up."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self.broken = True


def tolerant_stderr() -> TextIO:
    """Return the present stderr as a stream that drops what cannot be written."""
    return cast(TextIO, TolerantStream(sys.stderr))


def notice(text: str) -> None:
    """Print one line of mrvae on stderr, if it can be shown."""
    print(f"mrvae: {one_line(text)}", file=tolerant_stderr(), flush=True)


def prepare_standard_streams() -> None:
    """Give closed standard streams a null device, and let stdout and stderr fall back to ASCII.

    The next file that is opened would otherwise get the descriptor of the closed stream, and
    whatever a library prints would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = _null()
    if sys.stderr is None:
        sys.stderr = _null()
    for stream in (sys.stdout, sys.stderr):
        # It flushes and asks for a position, which a stream that is closed or a pipe lacks.
        with suppress(OSError, ValueError):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=_HANDLER)


def discard(stream: TextIO) -> None:
    """Send what a broken stream still holds to the null device, so that exit does not fail on it.

    Python flushes its standard streams when it ends, and would report the error once more.
    """
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        stream.flush()


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
