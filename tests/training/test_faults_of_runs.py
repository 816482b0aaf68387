"""What must not cost a run its work: signals, neighbours, damaged logs, NaNs, other data."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from msgspec.structs import replace

from helpers.tiny_run import after_step, everything, kill_after, outcome, tiny, train_until, updater
from mrvae.data import images_for
from mrvae.run_log import read_log
from mrvae.streams import discard, notice
from mrvae.training import Diverged, Failed, Interrupted, train
from mrvae.training.progress import ProgressBar
from mrvae.training.stop import PATIENCE, StopRequest
from mrvae.training.store import checkpoint
from mrvae.training.store.identity import DataIdentity, identity
from mrvae.training.store.metrics import Metrics
from mrvae.training.store.state import read_state
from mrvae.training.update import Updater

SHORT = ("steps=4", "validate_every=2", "checkpoint_every=2", "width=4")


# ------------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_cost_the_checkpoint(tmp_path: Path, second: int) -> None:
    def ask_twice() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(second)

    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, 3, ask_twice)
        with pytest.raises(Interrupted, match="after step 3") as stop:
            train(tiny(*SHORT), tmp_path / "run", quiet=True)
    assert stop.value.signal_number == signal.SIGTERM
    assert (tmp_path / "run/state/step-00000003/state.json").is_file()


def test_a_third_signal_interrupts_and_so_does_a_late_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mrvae.training.stop.time.monotonic", lambda: now[0])
    stop = StopRequest()
    with stop.listening():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert stop.signal_number == signal.SIGINT
    with StopRequest().listening():
        signal.raise_signal(signal.SIGINT)
        now[0] = PATIENCE
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_seconds_before_an_interruption_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those since the last validation, here all of them."""
    recipe, real, late = tiny("steps=8"), time.perf_counter, [0.0]
    monkeypatch.setattr("mrvae.training.run.time.perf_counter", lambda: real() + late[0])

    def wait_and_stop() -> None:
        late[0] += 1000.0
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, 3, wait_and_stop)
        with pytest.raises(Interrupted):
            train(recipe, tmp_path / "run", quiet=True)
    assert train(recipe, tmp_path / "run", resume=True, quiet=True).seconds > 1000.0


# -------------------------------------------------------------------------------- neighbours


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_is_refused_beside_a_running_one(tmp_path: Path, resume: bool) -> None:
    """The line names the holder, and the first run ends as if nothing had happened."""
    out, refusals = tmp_path / "run", []

    def come_second() -> None:
        with pytest.raises(ValueError, match="in use by") as refusal:
            train(tiny(*SHORT), out, seed=0 if resume else 1, resume=resume, quiet=True)
        refusals.append(str(refusal.value))

    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, 3, come_second)
        train(tiny(*SHORT), out, quiet=True)
    assert f"process {os.getpid()} on {socket.gethostname()}" in refusals[0]
    train(tiny(*SHORT), tmp_path / "whole", quiet=True)
    assert outcome(out) == outcome(tmp_path / "whole")


def test_a_lock_that_a_dead_process_left_does_not_count(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock").write_text("process 1 on elsewhere\n")
    train(tiny(*SHORT), out, quiet=True)
    assert not (out / ".lock").exists()


def test_a_directory_that_is_held_before_its_run_begins_is_not_taken(tmp_path: Path) -> None:
    """The first checks find no run, and the lock decides; no folder is left behind."""
    out = tmp_path / "run"
    out.mkdir()
    with FileLock(out / ".lock"), pytest.raises(ValueError, match="in use by another process"):
        train(tiny(*SHORT), out, quiet=True)
    assert [path.name for path in out.iterdir()] == [".lock"]


# ------------------------------------------------------------------------- values not finite


def test_a_validation_that_is_not_finite_is_stored_as_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    monkeypatch.setattr("mrvae.training.run.validate", lambda *_: math.nan)
    assert math.isnan(train(tiny(*SHORT), out, quiet=True).nats)
    state = read_state(out / "state/step-00000004")
    assert (state.progress.nats, state.progress.best) == (None, None)
    assert math.isnan(train(tiny(*SHORT), out, resume=True, quiet=True).nats)


def test_a_run_that_diverges_keeps_its_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the steps whose losses are not finite do not push it out."""
    changes = (*SHORT, "steps=30", "checkpoint_every=1", "keep=1", "skip.broken_in_a_row=6")
    real = Updater.inputs

    def broken(self: Updater, at: int, part: range) -> object:
        x, noise, term = real(self, at, part)
        return x, noise * (math.nan if at >= 3 else 1.0), term

    monkeypatch.setattr("mrvae.training.update.Updater.inputs", broken)
    with pytest.raises(Diverged):
        train(tiny(*changes), tmp_path / "run", quiet=True)
    names = [path.name for path in checkpoint.checkpoints(tmp_path / "run/state")]
    assert names == ["step-00000003", "step-00000008"]


# -------------------------------------------------------------------------------------- logs


HOSTILE = (
    "[]", "{}", "null", "7", "[" * 9000, '{"step": "2"}', '{"step": [2]}', '{"step": -1}',
    '{"step": 2, "nats": 1e999}', '{"step": 2, "nats": NaN}', '{"step": 2, "seconds": ' + "9" * 400
    + "}", '{"step": 2.5}', '{"step": true}', "\x00", '{"step": 2, "nats": {"a": 1}}',
)  # fmt: skip


def test_a_line_that_is_no_event_is_counted_and_left_out(tmp_path: Path) -> None:
    path, event = tmp_path / "metrics.jsonl", {"step": 1, "nats": 2.0}
    for line in HOSTILE:
        path.write_text(f"{json.dumps(event)}\n{line}\n{json.dumps(event)}\n")
        assert read_log(path) == ([event, event], 1), line[:40]


def test_random_changes_of_a_log_are_read_or_set_aside(tmp_path: Path) -> None:
    """100 mutated logs: no other error, and never an event that cannot be written again."""
    draws, path = random.Random(0), tmp_path / "metrics.jsonl"  # noqa: S311
    lines = [json.dumps({"step": n, "nats": n / 3, "best": None, "on": True}) for n in range(6)]
    for _ in range(100):
        content = bytearray("\n".join(lines).encode() + b"\n")
        for _ in range(draws.randrange(1, 6)):
            content[draws.randrange(len(content))] = draws.choice(b'[]{}",:0-9eE.\n\x00\xff"ntf')
        path.write_bytes(content)
        metrics = Metrics(path)
        metrics.mend()
        events = metrics.read()
        metrics.drop_after(3)
        assert metrics.read() == [event for event in events if (event["step"] or 0) <= 3]
        assert metrics.mend() == ""


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


REPLACEMENTS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "device": link_to_zeros,
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", ["lines", *REPLACEMENTS])
def test_a_damaged_log_is_set_aside_and_the_run_goes_on(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    kill_after(tiny(*SHORT), out, 3)
    log = out / "metrics.jsonl"
    if kind == "lines":
        log.write_text(log.read_text() + '{"step": "x"}\n[]\n')
    else:
        log.unlink()
        REPLACEMENTS[kind](log)
    train(tiny(*SHORT), out, resume=True, quiet=True)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "metrics.jsonl.damaged-1" in message
    assert os.path.lexists(out / "metrics.jsonl.damaged-1")
    assert read_log(log).events[-1]["step"] == 4
    if kind == "lines":
        train(tiny(*SHORT), tmp_path / "whole", quiet=True)
        (out / "metrics.jsonl.damaged-1").unlink()
        assert outcome(out) == outcome(tmp_path / "whole")


# -------------------------------------------------------------------------------------- data


def test_a_run_is_not_resumed_on_other_data(tmp_path: Path) -> None:
    """Fewer images, or as many of which one pixel is another."""
    images = np.random.default_rng(0).integers(0, 17, (400, 8, 8), dtype=np.uint8)
    source, out = tmp_path / "images.npy", tmp_path / "run"
    recipe = tiny(*SHORT, f"data.source={source}")
    np.save(source, images)
    train_until(recipe, out, 3)
    before = everything(out)
    changed = images.copy()
    changed[:, 0, 0] = 16 - changed[:, 0, 0]
    for other in (images[:90], changed):
        np.save(source, other)
        with pytest.raises(ValueError, match="was trained on other data: 320 images") as refusal:
            train(recipe, out, resume=True, quiet=True)
        assert "\n" not in str(refusal.value)
        assert everything(out) == before
    np.save(source, images)
    assert train(recipe, out, resume=True, quiet=True).steps == 4


def test_other_files_of_a_large_set_are_other_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 32 training images 4 are compared; a file that none of them is in has another name."""
    monkeypatch.setattr("mrvae.training.store.identity._SAMPLED", 4)
    for number in range(40):
        np.save(tmp_path / f"{number:03}.npy", np.full((1, 8, 8), number % 17, np.uint8))
    recipe = tiny(f"data.source={tmp_path}")

    def found() -> DataIdentity:
        return identity(recipe, 0, *(images_for(recipe, s) for s in ("train", "validation"))).data

    before = found()
    for old, new in (("039.npy", "040.npy"), ("000.npy", "00.npy")):
        (tmp_path / old).rename(tmp_path / new)
        assert not before.is_of(found())
        (tmp_path / new).rename(tmp_path / old)
    assert before.is_of(found())
    # A checkpoint of an older version knows no files.
    assert replace(before, files="").is_of(before)
    assert before.is_of(replace(before, files=""))
    assert not replace(before, files="").is_of(replace(before, count=31))


# --------------------------------------------------------------------------------- the disk


def test_pictures_follow_the_weights_of_a_run_that_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(tiny(*SHORT), out, quiet=True)
    for name in ("loss.png", "samples.png"):
        (out / name).write_bytes(b"old")
    train(tiny(*SHORT), out, resume=True, quiet=True)
    assert (out / "loss.png").read_bytes() == b"old"
    (out / ".tmpAb3dE9").write_bytes(b"half of the weights")
    train(tiny(*SHORT, "steps=6"), out, resume=True, quiet=True)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "recipe.json", "metrics.jsonl", "weights.safetensors", "best.safetensors", "state",
    }  # fmt: skip


@pytest.mark.parametrize("place", ["store.directory.write_json", "store.metrics.atomic"])
def test_a_full_disk_is_no_mistake_of_the_users_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """On resume as on train, exit code 1; a new directory is not left empty."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"mrvae.training.{place}", full)
        with pytest.raises(Failed, match="No space left on device"):
            train(tiny(*SHORT), tmp_path / "new", quiet=True)
        assert (tmp_path / "new").exists() == ("metrics" in place)
    train(tiny(*SHORT), tmp_path / "run", quiet=True)
    monkeypatch.setattr(f"mrvae.training.{place}", full)
    with pytest.raises(Failed, match="No space left on device"):
        train(tiny(*SHORT, "steps=6"), tmp_path / "run", resume=True, quiet=True)


# ------------------------------------------------------------------------------------- stderr


@pytest.mark.parametrize("kind", ["full", "closed", "none"])
def test_progress_that_cannot_be_shown_does_not_end_the_run(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(*SHORT)
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(writer, "w") as closed, os.fdopen(full, "w") as no_space:
        stream = {"full": no_space, "closed": closed, "none": None}[kind]
        monkeypatch.setattr("sys.stderr", stream)
        report = updater(recipe).update(0)
        with ProgressBar(updater(recipe).model, 17, 0, 4, quiet=False) as bar:
            for step in range(1, 5):
                bar.show(step, report)
                bar.log("a line")
            bar.warn("a warning")
        notice("a last line")
        monkeypatch.undo()
        if stream is not None:
            discard(stream)
