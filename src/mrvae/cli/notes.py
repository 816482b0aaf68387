"""Lines on stderr that are no mistakes."""

from __future__ import annotations

from mrvae.streams import notice


def note(text: str) -> None:
    """Print one line for people; the command goes on."""
    notice(f"note: {text}")


def warn(text: str) -> None:
    """Print one line on what the result is not; the command goes on."""
    notice(f"warning: {text}")
