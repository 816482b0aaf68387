"""Pictures that accompany a result: one that cannot be drawn does not cost the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def draw_picture(path: Path, draw: Callable[[], None]) -> tuple[str, ...]:
    """Draw a picture, and return why it was not drawn; nothing if it was.

    Example:
        >>> def fail() -> None:
        ...     raise ValueError("no such font")
        >>> draw_picture(Path("a.png"), fail), draw_picture(Path("a.png"), lambda: None)
        (('warning: a.png was not drawn: no such font',), ())

    """
    try:
        draw()
    # A drawing library may raise anything, and what was measured is not its fault.
    except Exception as error:
        return (f"warning: {path} was not drawn: {str(error) or type(error).__name__}",)
    return ()
