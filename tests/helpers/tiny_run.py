"""Runs of a few steps on the built-in digits, interrupted where a test wants it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

import mrvae
from mrvae.data import Stream, images_for
from mrvae.models.build import build
from mrvae.recipes import Recipe, override
from mrvae.training import Interrupted, train
from mrvae.training.store.identity import RunIdentity, identity
from mrvae.training.update import Updater, UpdateReport

TINY = (
    "encoder=8x1,8d2,4x1", "decoder=4x1,8m4,8x1", "width=8", "latent=1", "bottleneck=0.5",
    "batch=8", "warmup=5", "steps=24", "validate_every=8", "checkpoint_every=5", "keep=2",
    "compile=false", "precision=float32", "optimizer.rate=0.004", "ema=0.9", "clip=200",
    "accumulate=1",
)  # fmt: skip


def tiny(*changes: str) -> Recipe:
    """Return a recipe that a test can train."""
    return override(mrvae.recipe("digits-vdvae"), [*TINY, *changes])


def updater(recipe: Recipe, seed: int = 0, *, double: bool = False) -> Updater:
    """Return the state of a run that has not begun; in float64 if asked for."""
    torch.manual_seed(seed)
    model = build(recipe)
    stream = Stream(images_for(recipe, "train"), recipe.training.batch, seed, recipe.data.binary)
    return Updater(model.double() if double else model, recipe.training, stream, Accelerator())


def run_identity(recipe: Recipe, seed: int = 0) -> RunIdentity:
    """Return what the checkpoints of a run belong to."""
    return identity(recipe, seed, images_for(recipe, "train"), images_for(recipe, "validation"))


def after_step(patch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """Let ``act`` happen when the update of ``step`` (from 1) has been made."""
    update = Updater.update

    def stopping(self: Updater, index: int) -> UpdateReport:
        report = update(self, index)
        if index + 1 == step:
            act()
        return report

    patch.setattr(Updater, "update", stopping)


def train_until(recipe: Recipe, out: Path, step: int, number: int = signal.SIGINT) -> None:
    """Train until a signal comes in the middle of a step."""
    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, step, lambda: signal.raise_signal(number))
        with pytest.raises(Interrupted):
            train(recipe, out, quiet=True)


def kill_after(recipe: Recipe, out: Path, step: int) -> None:
    """Train until something ends the process that nobody can catch."""

    def die() -> None:
        raise SystemExit(9)

    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, step, die)
        with pytest.raises(SystemExit):
            train(recipe, out, quiet=True)


def everything(run: Path) -> dict[str, bytes]:
    """Return all files of a run, by name."""
    files = [path for path in run.rglob("*") if path.is_file()]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def outcome(run: Path) -> dict[str, object]:
    """Return all files of a run but the seconds in them, which no two runs share."""
    found: dict[str, object] = dict(everything(run))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    found["metrics.jsonl"] = [
        {key: value for key, value in event.items() if "seconds" not in key} for event in events
    ]
    return found
