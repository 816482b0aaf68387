"""Which model wrote a file, and where it is.

A file names its model by a SHA-256: of the part ``model`` of its recipe, as it is in recipe.json,
keys sorted and without spaces, then of the bytes of weights.safetensors. It never holds a path. To
decode a file, the model is looked for among those that ship with the package, then in a list that
``compress`` keeps in the user's cache, from hashes to run directories. A model found there is used
only if its hash is the one of the file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from mrvae.compression.network import CodingNetwork
from mrvae.files import cache_folder, write_json
from mrvae.models.build.weights import SHIPPED, load, locate, read_recipe

_MAX_LIST_BYTES = 1 << 22


@dataclass(frozen=True, eq=False)
class CodingModel:
    """A run's model, ready for coding, and its hash.

    Attributes:
        run: the folder.
        hash: its SHA-256.
        network: the model.
    """

    run: Path
    hash: bytes
    network: CodingNetwork


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


def open_model(run: Path | str) -> CodingModel:
    """Load a run, or a model that ships with mrvae, for coding.

    Raises:
        ValueError: if it is no run, or its model cannot code.
    """
    folder = locate(run)
    return CodingModel(folder, hash_of(folder), CodingNetwork.of(load(folder)))


def find_model(wanted: bytes) -> Path:
    """Return the folder of the model with a hash.

    Raises:
        ValueError: if it neither ships with mrvae nor was used by ``compress`` on this machine.
    """
    shipped = sorted(folder for folder in SHIPPED.iterdir() if folder.is_dir())
    remembered = _remembered().get(wanted.hex())
    for folder in [*shipped, *([Path(remembered)] if remembered else [])]:
        if _has_hash(folder, wanted):
            return folder
    raise ValueError(
        f"the model {wanted.hex()} does not ship with mrvae, and compress has not used it on this "
        "machine; name its run directory with --run"
    )


def remember_model(model: CodingModel) -> None:
    """Remember where a model is, unless it ships with mrvae or there is no cache."""
    if model.run.parent == SHIPPED:
        return
    path = _list_path()
    if path is None:
        return
    runs = {**_remembered(), model.hash.hex(): str(model.run.resolve())}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, runs)
    except OSError:
        # The list is a convenience: decompress takes the run directory too.
        return


def _has_hash(folder: Path, wanted: bytes) -> bool:
    try:
        return hash_of(folder) == wanted
    except (ValueError, OSError):
        return False


def _list_path() -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "models.json"


def _remembered() -> dict[str, str]:
    """Return run directories by hash; none if the list cannot be read."""
    path = _list_path()
    if path is None:
        return {}
    try:
        if path.stat().st_size > _MAX_LIST_BYTES:
            return {}
        runs = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(runs, dict):
        return {}
    return {str(key): value for key, value in runs.items() if isinstance(value, str)}
