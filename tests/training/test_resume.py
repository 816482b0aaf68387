"""A run that was interrupted, killed or damaged ends as an uninterrupted one, bit for bit."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from msgspec import to_builtins

from helpers.tiny_run import (
    after_step,
    everything,
    kill_after,
    outcome,
    run_identity,
    tiny,
    train_until,
    updater,
)
from mrvae.recipes import Recipe
from mrvae.training import Interrupted, train
from mrvae.training.store import checkpoint

STEPS, STOP = 24, 12
ADAMAX = ("optimizer=adamax", "optimizer.rate=0.004")
MUON = ("optimizer=muon", "optimizer.rate=0.004")
LAST = "state/step-00000024"


@cache
def _uninterrupted(changes: tuple[str, ...]) -> dict[str, object]:
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train(tiny(*changes), run, quiet=True)
        return outcome(run)


def uninterrupted(*changes: str) -> dict[str, object]:
    return _uninterrupted(changes)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


def same(run: Path, expected: dict[str, object]) -> None:
    found = outcome(run)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


# -------------------------------------------------------------------------------- bit for bit


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ((), signal.SIGINT),
        pytest.param(ADAMAX, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(MUON, signal.SIGTERM, marks=pytest.mark.slow),
    ],
    ids=["adamw", "adamax", "muon"],
)
def test_an_interrupted_run_ends_as_a_whole_one(
    out: Path, changes: tuple[str, ...], number: int
) -> None:
    """Weights, averages, moments, skip rule and metrics; the stop falls between checkpoints."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train_until(tiny(*changes), out, STOP, number)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert (out / f"state/step-{STOP:08d}").is_dir()
    assert (out / "weights.safetensors").is_file()
    train(tiny(*changes), out, resume=True, quiet=True)
    expected = uninterrupted(*changes)
    assert f"{LAST}/tensors.safetensors" in expected
    same(out, expected)


@pytest.mark.slow
def test_the_whole_run_is_the_same_twice_and_another_seed_is_another_run(out: Path) -> None:
    train(tiny(), out, quiet=True)
    same(out, uninterrupted())
    train(tiny(), out.with_name("other"), seed=1, quiet=True)
    name = "weights.safetensors"
    assert everything(out)[name] != everything(out.with_name("other"))[name]


def test_an_interruption_names_the_command_that_continues(out: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.training.run.StopRequest.signal_number", signal.SIGINT, raising=False)
        patch.setattr("mrvae.training.run.StopRequest.__init__", lambda self: None)
        with pytest.raises(Interrupted, match=r"after step 1 of 24.*--resume --out") as stop:
            train(tiny(), out, quiet=True)
    assert stop.value.signal_number == signal.SIGINT
    assert str(out) in str(stop.value)


def test_a_killed_run_continues_from_its_last_checkpoint(out: Path) -> None:
    """Events after that checkpoint are written again, not twice; half a line is forgotten."""
    kill_after(tiny(), out, 13)
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "na')
    train(tiny(), out, resume=True, quiet=True)
    same(out, uninterrupted())


def test_a_run_killed_before_its_first_checkpoint_restarts(out: Path) -> None:
    kill_after(tiny(), out, 2)
    train(tiny(), out, resume=True, quiet=True)
    same(out, uninterrupted())


def test_a_run_killed_while_its_last_checkpoint_is_written_is_finished_later(out: Path) -> None:
    """The weights stand before the checkpoint that says that nothing is left to do."""

    def die(*_: object) -> None:
        raise SystemExit(9)

    kill_after(tiny(), out, 22)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.training.store.checkpoint._flush", die)
        with pytest.raises(SystemExit):
            train(tiny(), out, resume=True, quiet=True)
    train(tiny(), out, resume=True, quiet=True)
    found, expected = outcome(out), uninterrupted()
    assert [name for name in expected if found[name] != expected[name]] == []


# --------------------------------------------------------------------------------- the damaged


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    """Change one bit of the last number, which leaves the file one that can be read."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def edit(**changes: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "state.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        seal(folder)

    return spoil


def seal(folder: Path) -> None:
    """Make the digest of a changed state right again, which chance does not do."""
    digest = sha256((folder / "state.json").read_bytes()).hexdigest()
    (folder / "state.sha256").write_text(f"{digest}  state.json\n")


def link(folder: Path) -> None:
    """Let the state be a link to a device without an end."""
    (folder / "state.json").unlink()
    (folder / "state.json").symlink_to("/dev/zero")


def pipe(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return spoil


def flip_state(folder: Path) -> None:
    """Change one bit of a step, which leaves JSON of the right types."""
    path = folder / "state.json"
    path.write_bytes(path.read_bytes().replace(b'"updates": 12', b'"updates": 13'))


def drop_tensor(prefix: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        path = folder / "tensors.safetensors"
        tensors = load_file(path)
        del tensors[next(name for name in tensors if name.startswith(prefix))]
        save_file(tensors, path)
        edit(tensors=sha256(path.read_bytes()).hexdigest())(folder)

    return spoil


def write_list(folder: Path) -> None:
    """Put JSON that is no object in the place of the state."""
    (folder / "state.json").write_text("[1]")
    seal(folder)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "cut tensors": lambda folder: cut(folder / "tensors.safetensors"),
    "a bit of the tensors": lambda folder: flip(folder / "tensors.safetensors"),
    "no tensors": lambda folder: (folder / "tensors.safetensors").unlink(),
    "a weight missing": drop_tensor("weights."),
    "an average missing": drop_tensor("ema."),
    "a moment missing": drop_tensor("optimizer.exp_avg."),
    "cut state": lambda folder: cut(folder / "state.json"),
    "no state": lambda folder: (folder / "state.json").unlink(),
    "state of another kind": write_list,
    "progress of another kind": edit(progress=3),
    "progress that knows more": edit(progress={"step": 3, "more": 4}),
    "counters missing": edit(counters=[1, 2]),
    "norms of another kind": edit(norms=["a"]),
    "updates of another kind": edit(updates="many"),
    "negative updates": edit(updates=-1),
    "more updates than steps": edit(updates=1 << 40),
    "huge counters": edit(counters=[0, 0, 10**400, 0]),
    "a best that is a list": edit(progress={"step": 12, "nats": 1.0, "best": [1.0]}),
    "a step that is text": edit(progress={"step": "12", "nats": None, "best": None}),
    "another step": edit(progress={"step": 10, "nats": None, "best": None}, updates=10),
    "a bit of the state": flip_state,
    "no digest": lambda folder: (folder / "state.sha256").unlink(),
    "a state without an end": link,
    "a state that is a pipe": pipe("state.json"),
    "tensors that are a pipe": pipe("tensors.safetensors"),
    "another seed": edit(run={**to_builtins(run_identity(tiny())), "seed": 1}),
    "another recipe": edit(run=to_builtins(run_identity(tiny("rate=0.1")))),
}


@pytest.fixture(scope="module")
def stopped() -> Iterator[Path]:
    """A run that has checkpoints of steps 10 and 12; tests copy it."""
    with TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        train_until(tiny(), run, STOP)
        yield run


def copy(run: Path, out: Path) -> Path:
    import shutil

    shutil.copytree(run, out)
    return out


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_checkpoint_is_skipped_and_never_half_read(
    stopped: Path, out: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The previous one is used, with one line that names the damaged one; without it, none is."""
    copy(stopped, out)
    DAMAGE[case](out / "state/step-00000012")
    fresh = updater(tiny())
    assert checkpoint.restore(out / "state", fresh, run_identity(tiny())).step == 10
    warning = capsys.readouterr().err
    assert "step-00000012 cannot be read" in warning
    assert warning.count("\n") == 1
    expected = updater(tiny())
    (out / "state/step-00000012").rename(out / "elsewhere")
    checkpoint.restore(out / "state", expected, run_identity(tiny()))
    for mine, other in zip(fresh.parameters, expected.parameters, strict=True):
        assert torch.equal(mine, other)
    assert fresh.updates == expected.updates == 10
    (out / "state/step-00000010").rename(out / "other")
    (out / "elsewhere").rename(out / "state/step-00000012")
    check_nothing_is_restored(out)


def check_nothing_is_restored(out: Path) -> None:
    """The only checkpoint is damaged: neither the files nor the updater change."""
    fresh, expected = updater(tiny()), updater(tiny())
    before = everything(out)
    with pytest.raises(ValueError, match=r"no checkpoint in .* can be read"):
        checkpoint.restore(out / "state", fresh, run_identity(tiny()))
    assert everything(out) == before
    for mine, other in zip(fresh.parameters, expected.parameters, strict=True):
        assert torch.equal(mine, other)
    for mine_, other_ in zip(fresh.ema.averages, expected.ema.averages, strict=True):
        assert torch.equal(mine_, other_)
    assert not fresh.optimizer.state
    assert (fresh.updates, fresh.monitor.state()) == (0, expected.monitor.state())


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "stop"), [(1, 16), (2, 18)])
def test_a_run_with_a_damaged_checkpoint_ends_as_a_whole_one(
    out: Path, keep: int, stop: int
) -> None:
    """The damaged one is not among those that it keeps, however soon it is killed again."""
    recipe = tiny(f"keep={keep}")
    train_until(recipe, out, stop)
    for newest in checkpoint.checkpoints(out / "state")[-1:]:
        (out / "state/step-00000099").mkdir()
        assert newest.name == f"step-{stop:08d}"
    kill_during_resume(recipe, out, 21)
    kill_during_resume(recipe, out, 22)
    train(recipe, out, resume=True, quiet=True)
    same(out, uninterrupted(f"keep={keep}"))


def kill_during_resume(recipe: Recipe, out: Path, step: int) -> None:
    """Resume and die after a step."""

    def die() -> None:
        raise SystemExit(9)

    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, step, die)
        with pytest.raises(SystemExit):
            train(recipe, out, resume=True, quiet=True)


# ----------------------------------------------------------------- what --resume may and may not


def test_resuming_without_a_run_starts_one(out: Path) -> None:
    train(tiny(), out, resume=True, quiet=True)
    same(out, uninterrupted())


def test_a_finished_run_is_left_as_it_is(out: Path) -> None:
    first = train(tiny(), out, quiet=True)
    before = everything(out)
    again = train(tiny(), out, resume=True, quiet=True)
    assert everything(out) == before
    assert (again.nats, again.steps, again.run) == (first.nats, STEPS, out)


REFUSED: dict[str, tuple[tuple[str, ...], int, bool, str]] = {
    "no --resume": ((), 0, False, "holds a run already"),
    "another seed": ((), 1, True, "started with seed 0, not 1"),
    "fewer steps": (("steps=23",), 0, True, "started with 24 steps"),
    "another rate": (("rate=0.1",), 0, True, r"training.optimizer.rate was 0.004, not 0.1"),
    "another model": (("width=9",), 0, True, "model.width was"),
    "another kind": (("optimizer=adamax",), 0, True, "training.optimizer.kind was 'adamw'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_run_is_refused_and_nothing_is_changed(stopped: Path, case: str) -> None:
    changes, seed, resume, message = REFUSED[case]
    before = everything(stopped)
    with pytest.raises(ValueError, match=message) as refusal:
        train(tiny(*changes), stopped, seed=seed, resume=resume, quiet=True)
    assert "\n" not in str(refusal.value)
    assert everything(stopped) == before


@pytest.mark.slow
def test_more_steps_continue_a_finished_run(out: Path) -> None:
    train(tiny("schedule=constant"), out, quiet=True)
    summary = train(tiny("schedule=constant", "steps=30"), out, resume=True, quiet=True)
    assert summary.steps == 30
    # At a constant rate the schedule does not know the total, so nothing else differs but the
    # validation at the end of the first run.
    expected = uninterrupted("schedule=constant", "steps=30")
    found = outcome(out)
    for name in ("weights.safetensors", "state/step-00000030/tensors.safetensors", "recipe.json"):
        assert found[name] == expected[name]


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_other_files_is_refused(out: Path, resume: bool) -> None:
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    before = everything(out)
    with pytest.raises(ValueError, match="has files but no run"):
        train(tiny(), out, resume=resume, quiet=True)
    assert everything(out) == before
    with pytest.raises(ValueError, match="is a file"):
        train(tiny(), out / "precious.txt", resume=resume, quiet=True)
    assert everything(out) == before


def test_weights_that_are_no_regular_file_are_refused_before_any_step(
    stopped: Path, out: Path
) -> None:
    """A pipe would wait for a reader for ever, and a device would swallow them."""
    copy(stopped, out)
    for name in ("weights.safetensors", "best.safetensors"):
        for put in (os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/null")):
            kept = (out / name).rename(out / "kept")
            put(out / name)
            with pytest.raises(ValueError, match=f"{name} is no regular file"):
                train(tiny(), out, resume=True, quiet=True)
            assert os.path.lexists(out / name)
            (out / name).rmdir() if (out / name).is_dir() else (out / name).unlink()
            kept.rename(out / name)
    assert everything(out) == everything(stopped)


def test_a_run_with_a_damaged_recipe_is_refused(stopped: Path, out: Path) -> None:
    copy(stopped, out)
    (out / "recipe.json").write_text('{"recipe"')
    before = everything(out)
    with pytest.raises(ValueError, match="is not JSON"):
        train(tiny(), out, resume=True, quiet=True)
    assert everything(out) == before


def test_a_refused_run_creates_no_folder(out: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        train(tiny("data=mnist"), out, data_dir=tmp_path, quiet=True)
    with pytest.raises(ValueError, match="cannot be split"):
        train(tiny("batch=9", "accumulate=2"), out, quiet=True)
    assert not out.exists()
