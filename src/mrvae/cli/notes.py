"""Lines on stderr that are no mistakes."""

from __future__ import annotations

import sys


def note(text: str) -> None:
    """Print one line for people; the command goes on."""
    print(f"mrvae: note: {text}", file=sys.stderr)


def warn(text: str) -> None:
    """Print one line on what the result is not; the command goes on."""
    print(f"mrvae: warning: {text}", file=sys.stderr)
