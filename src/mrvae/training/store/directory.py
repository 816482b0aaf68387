"""The files of a run directory, and the conditions of ``--resume``.

    recipe.json           the recipe, the seed, and on a CPU the number of threads
    weights.safetensors   averaged weights of the last checkpoint
    best.safetensors      averaged weights of the best validation
    state/                checkpoints to resume from
    metrics.jsonl         one line per event
    loss.png, samples.png drawn from the last weights by the command line
    .lock                 held by the process that trains

A new run is refused where one exists. A resumed run has the same recipe and seed; it may have
more steps, and other ways to fit the same computation into memory: another ``accumulate``,
``checkpoint`` or ``overcommit``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from mrvae.files import sweep, temporary, write_json
from mrvae.models.build.weights import read_recipe
from mrvae.recipes.schema import Recipe
from mrvae.recipes.serial import to_json
from mrvae.training.store.lock import NAME, RunLock

MOST_THREADS = 1024
"""Threads of a run, at most."""

_PICTURES = ("loss.png", "samples.png")
_SAFETENSORS = re.compile(r"\.tmp[A-Za-z0-9]{6}")


@dataclass(frozen=True)
class RunDirectory:
    """The paths of a run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe, the seed and the number of threads."""
        return self.path / "recipe.json"

    @property
    def weights(self) -> Path:
        """The averaged weights of the last checkpoint."""
        return self.path / "weights.safetensors"

    @property
    def best(self) -> Path:
        """The averaged weights of the best validation."""
        return self.path / "best.safetensors"

    @property
    def state(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "state"

    @property
    def metrics(self) -> Path:
        """The log of events."""
        return self.path / "metrics.jsonl"

    @property
    def lock(self) -> RunLock:
        """The lock that the process holds which writes here."""
        return RunLock(self.path)

    def drop_pictures(self) -> None:
        """Delete the pictures of weights that will be written anew."""
        for name in _PICTURES:
            (self.path / name).unlink(missing_ok=True)

    def resumed(self, resume: bool) -> Recipe | None:
        """Return the recipe of the run here, if there is one and it is resumed."""
        return read_recipe(self.path) if resume and self.recipe.exists() else None

    @property
    def threads(self) -> int | None:
        """The number of threads of the run here; None if there is no run, or it names none."""
        if not self.recipe.exists():
            return None
        count = json.loads(self.recipe.read_text()).get("threads")
        # The file may come from elsewhere, and threads are taken by the number in it.
        known = isinstance(count, int) and 1 <= count <= MOST_THREADS
        return count if known else None

    def check(self, recipe: Recipe, seed: int, resume: bool) -> None:
        """Refuse a run that may not be written here; change nothing.

        Raises:
            ValueError: if the directory has files, and this run does not resume them.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"{self.path} is a file; --out names a folder")
        # A pipe would wait for a reader, a device would swallow the weights, a folder would stay.
        for path in (self.weights, self.best):
            if path.exists() and not path.is_file():
                raise ValueError(f"{path} is no regular file; remove it to train here")
        if not self.recipe.exists():
            if self.path.is_dir() and not all(map(_may_lie_there, self.path.iterdir())):
                raise ValueError(f"{self.path} has files but no run; choose another --out")
            return
        if not resume:
            raise ValueError(
                f"{self.path} holds a run already; continue with --resume, or choose another --out"
            )
        self._check_same(recipe, seed)

    def begin(self, recipe: Recipe, seed: int, threads: int | None = None) -> None:
        """Create the directory, and write recipe, seed and threads unless they are there.

        Half-written files of a killed process are deleted.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        sweep(self.path)
        for path in filter(_is_left_by_safetensors, self.path.iterdir()):
            path.unlink(missing_ok=True)
        content: dict[str, object] = {"recipe": to_json(recipe), "seed": seed}
        if threads is not None:
            content["threads"] = threads
        if not self.recipe.exists() or json.loads(self.recipe.read_text()) != content:
            write_json(self.recipe, content)

    def _check_same(self, recipe: Recipe, seed: int) -> None:
        before = read_recipe(self.path)
        seed_before = json.loads(self.recipe.read_text()).get("seed")
        if seed_before != seed:
            raise ValueError(f"{self.path} was started with seed {seed_before}, not {seed}")
        steps, steps_before = recipe.training.steps, before.training.steps
        if steps < steps_before:
            raise ValueError(
                f"{self.path} was started with {steps_before} steps and cannot be resumed "
                f"with {steps}; give at least as many"
            )
        old = before.training
        fitted = replace(
            recipe.training,
            steps=steps_before,
            accumulate=old.accumulate,
            activation_checkpointing=old.activation_checkpointing,
            overcommit=old.overcommit,
        )
        same = replace(recipe, training=fitted)
        if same != before:
            raise ValueError(
                f"{self.path} was started with another recipe ({_difference(same, before)}); "
                "resume with the same one, or choose another --out"
            )


def _may_lie_there(path: Path) -> bool:
    """Return whether a directory without a run may hold a file when a run is begun in it."""
    return temporary(path) or path.name == NAME


def _is_left_by_safetensors(path: Path) -> bool:
    """Return whether a file has the name under which safetensors writes, before it renames it."""
    return _SAFETENSORS.fullmatch(path.name) is not None and path.is_file()


def _difference(recipe: Recipe, before: Recipe) -> str:
    """Name the first value in which two recipes differ."""
    new, old = _flat(to_json(recipe)), _flat(to_json(before))
    for key in new | old:
        if new.get(key) != old.get(key):
            return f"{key} was {old.get(key)!r}, not {new.get(key)!r}"
    return "no value differs"


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, object] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat
