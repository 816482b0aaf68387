"""Where the files of a known data set are: in the given folder, else in a checked download.

With a data folder nothing is ever fetched. Without one, pooch downloads into the user's cache and
compares the checksum where one is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pooch

from mrvae.data.files.untrusted import brief
from mrvae.files import cache_folder


@dataclass(frozen=True)
class Remote:
    """A published file: its address and checksum, and what it may be called in a data folder.

    ``checksum`` is ``None`` where the publisher gives none; then only the
    reader checks the contents. ``otherwise`` is what else a user without the file can do.
    """

    url: str
    checksum: str | None
    names: tuple[str, ...]
    folders: tuple[str, ...]
    otherwise: str = ""


def find(remote: Remote, data_dir: Path | None) -> Path:
    """Return the path of a file or folder of a data set, downloading it if no folder is given.

    Raises ``ValueError`` if it is not in the folder, or cannot be downloaded, or has another
    checksum.
    """
    if data_dir is None:
        return _fetch(remote)
    for folder in ("", *remote.folders):
        for name in remote.names:
            if (data_dir / folder / name).exists():
                return data_dir / folder / name
    places = ", ".join(f"{folder}/" for folder in remote.folders)
    raise ValueError(
        f"{data_dir} holds no {' or '.join(remote.names)}, nor do {places} in it; put the file "
        f"there (from {remote.url}), or give no data folder to have it downloaded"
        + (f"; {remote.otherwise}" if remote.otherwise else "")
    )


def _fetch(remote: Remote) -> Path:
    """Download the file into the cache unless it is there already."""
    cache = cache_folder()
    if cache is None:
        raise ValueError(
            f"{remote.url} cannot be downloaded: this user has no home folder to keep it in; set "
            "HOME or XDG_CACHE_HOME, or name the folder that holds the file with --data-dir"
        )
    name = remote.url.rsplit("/", 1)[1]
    try:
        return Path(pooch.retrieve(remote.url, remote.checksum, fname=name, path=cache))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{remote.url} could not be downloaded to {cache / name}: {brief(error)}; "
            "put the file there by hand, or name the folder that holds it with --data-dir"
        ) from error
