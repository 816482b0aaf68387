"""Which model made a file, and where it is.

A file names its model by the SHA-256 of what the model is: the part ``model`` of its recipe, as it
stands in recipe.json, keys sorted and without spaces, then the bytes of weights.safetensors. It
never names a path. To read a file, the model is looked for among those that ship with the package,
and then in a note that ``compress`` keeps in the user's cache: from hashes to run directories. What
is found there is believed only if its hash is the one that was asked for.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pooch

from mrvae.compression.network import Network
from mrvae.files import write_json
from mrvae.models.build.weights import SHIPPED, load, locate, read_recipe

_LARGEST_NOTE = 1 << 22


@dataclass(frozen=True, eq=False)
class Known:
    """A model with its name.

    Attributes:
        run: its folder.
        hash: its SHA-256.
        network: the model, ready for coding.
    """

    run: Path
    hash: bytes
    network: Network


def hash_of(run: Path) -> bytes:
    """Return the SHA-256 of a run's model.

    Raises:
        ValueError: if the folder holds no run.

    Example:
        >>> hash_of(locate("digits-vdvae")).hex()[:8]
        '...'
    """
    read_recipe(run)
    model = json.loads((run / "recipe.json").read_text(encoding="utf-8"))["recipe"]["model"]
    text = json.dumps(model, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    weights = run / "weights.safetensors"
    if not weights.is_file():
        raise ValueError(f"{weights} does not exist; train the run first, or resume it")
    digest = hashlib.sha256(text.encode("ascii"))
    with weights.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def open_model(run: Path | str) -> Known:
    """Load a run, or a model that ships with mrvae, for coding.

    Raises:
        ValueError: if it is no run, or its model cannot be coded with.
    """
    folder = locate(run)
    return Known(folder, hash_of(folder), Network.of(load(folder)))


def find(wanted: bytes) -> Path:
    """Return the folder of the model with a hash.

    Raises:
        ValueError: if it neither ships with mrvae nor is noted.
    """
    shipped = sorted(folder for folder in SHIPPED.iterdir() if folder.is_dir())
    noted = _notes().get(wanted.hex())
    for folder in [*shipped, *([Path(noted)] if noted else [])]:
        if _has_hash(folder, wanted):
            return folder
    raise ValueError(
        f"the model {wanted.hex()} is neither one that ships with mrvae nor noted on this machine; "
        "name its run directory with --run"
    )


def note(known: Known) -> None:
    """Note where a model is, unless it ships with mrvae or the cache cannot be written."""
    if known.run.parent == SHIPPED:
        return
    path = _note_path()
    notes = {**_notes(), known.hash.hex(): str(known.run.resolve())}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, notes)
    except OSError:
        # It is a convenience; the file names its model all the same.
        return


def _has_hash(folder: Path, wanted: bytes) -> bool:
    try:
        return hash_of(folder) == wanted
    except (ValueError, OSError):
        return False


def _note_path() -> Path:
    return Path(pooch.os_cache("mrvae")) / "models.json"


def _notes() -> dict[str, str]:
    """Return what was noted; nothing if it cannot be read."""
    path = _note_path()
    try:
        if path.stat().st_size > _LARGEST_NOTE:
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}
