"""The user's cache folder, where there is one."""

from __future__ import annotations

from pathlib import Path


def cache_folder() -> Path | None:
    """Return mrvae's folder in the user's cache, existing or not; None for a user without a home.

    A container may run under a user id that no user database knows, without ``HOME``.

    Example:
        >>> folder = cache_folder()
        >>> folder is None or folder.name
        'mrvae'
    """
    import pooch

    try:
        folder = Path(pooch.os_cache("mrvae"))
    except (RuntimeError, KeyError, OSError):
        return None
    # An unknown home may also stay in the path as "~".
    return folder if folder.is_absolute() else None
