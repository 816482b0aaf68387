"""How a coding reports its progress: the patches that are done, and the bytes of them.

Both numbers count from the beginning of the file. The first may fall once, when a bits-back chunk
begins again with a larger first batch.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the patches done so far, and their bytes so far."""


def no_progress(patches: int, size: int) -> None:
    """Ignore the progress."""


def shifted(progress: Progress, patches: int, size: int) -> Progress:
    """Return the progress of a part that begins after so many patches and bytes.

    Example:
        >>> shifted(lambda patches, size: print(patches, size), 100, 30)(4, 2)
        104 32
    """
    return lambda done, length: progress(patches + done, size + length)
