"""Where data lie: the folder that is given, or the one that the environment names."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(data_dir: Path | str | None) -> Path | None:
    """Return the folder that holds the data: the given one, else MRVAE_DATA, else none.

    Raises ``ValueError`` if there is no such folder.
    """
    named = os.environ.get("MRVAE_DATA") if data_dir is None else data_dir
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        origin = "MRVAE_DATA" if data_dir is None else "the data folder"
        raise ValueError(f"{origin} is {folder}, which is no folder; name the one with the data")
    return folder
