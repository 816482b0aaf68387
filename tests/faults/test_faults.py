"""A run meets what machines do to runs: kills, full disks, pre-emption."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from helpers.tiny_run import everything, kill_after, outcome, tiny
from mrvae.cli import main
from mrvae.training import Failed, train

SHORT = ("steps=12", "validate_every=6", "checkpoint_every=4")
TESTS = Path(__file__).parents[1]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as if the disk were full there."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@pytest.mark.parametrize("name", ["weights.safetensors", "tensors.safetensors", "metrics.jsonl"])
def test_a_full_disk_stops_the_run_and_costs_nothing_that_was_saved(
    tmp_path: Path, name: str
) -> None:
    """Wherever the file is that cannot be written: the weights, the checkpoint, or the log."""
    out, recipe = tmp_path / "run", tiny(*SHORT)
    kill_after(recipe, out, 7)
    before = everything(out)
    sizes = {Path(file).name: len(content) for file, content in before.items()}
    with largest_file(sizes[name] - 1), pytest.raises(Failed) as failed:
        train(recipe, out, resume=True, quiet=True)
    problem = str(failed.value)
    assert problem.startswith("the run cannot continue: ")
    assert problem.endswith(f"so fix the cause and continue with --resume --out {out}")
    assert "File too large" in problem
    after = everything(out)
    assert sorted(after) == sorted(before)
    same = [file for file in before if file.startswith("state/")]
    assert len(same) == 3
    assert all(after[file] == before[file] for file in same)
    train(recipe, out, resume=True, quiet=True)
    train(recipe, tmp_path / "whole", quiet=True)
    assert outcome(out) == outcome(tmp_path / "whole")


def test_what_a_kill_left_half_written_is_swept_away(tmp_path: Path) -> None:
    out, recipe = tmp_path / "run", tiny(*SHORT)
    # Killed before there was a recipe, a run can be begun again without --resume.
    out.mkdir()
    (out / f".recipe.{uuid4().hex}.json").write_text('{"rec')
    kill_after(recipe, out, 6)
    (out / f".weights.{uuid4().hex}.safetensors").write_bytes(b"half")
    (out / "state" / ".step-00000008").mkdir()
    (out / "state" / ".step-00000008" / "state.json").write_text("{")
    (out / ".mine").write_text("kept")
    train(recipe, out, resume=True, quiet=True)
    hidden = [path.name for path in out.rglob(".*")]
    assert hidden == [".mine"]


def test_a_result_is_not_written_into_a_pipe_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would wait for a reader for ever; the answer is printed all the same."""
    train(tiny("steps=1", "width=4"), tmp_path / "run", quiet=True)
    os.mkfifo(tmp_path / "run/evaluation.json")
    arguments = ["evaluate", str(tmp_path / "run"), "--importance-samples", "1", "--quiet"]
    assert main([*arguments, "--json"]) == 1
    found = capsys.readouterr()
    assert json.loads(found.out)["images"] == 397
    assert found.err.endswith("evaluation.json is no regular file\n")


def run_harness(*options: str) -> dict[str, Any]:
    """Run the harness in a process of its own, and return its counts."""
    command = [sys.executable, str(TESTS / "faults" / "harness.py"), *options, "--seed", "1"]
    paths = os.pathsep.join([str(TESTS), *sys.path])
    found = subprocess.run(  # noqa: S603
        command,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    counts: dict[str, Any] = json.loads(found.stdout)
    return counts


@pytest.mark.slow
def test_kills_at_random_moments_cost_nothing() -> None:
    """The harness at a small size; ``harness.py --kills 50`` is the whole."""
    counts = run_harness("--kills", "3")
    assert counts["by_kind"] == {"moment": 1, "operation": 1, "writing": 1}
    assert (counts["kills"], counts["bits_equal"], counts["unreadable"]) == (3, 3, 0)
    assert counts["while_writing"] >= 1


@pytest.mark.slow
def test_hostile_files_of_a_run_are_passed_over_or_refused() -> None:
    """The fuzz at a small size; ``harness.py --fuzz 1000`` is the whole."""
    counts = run_harness("--fuzz", "60")["fuzz"]
    assert (counts["tries"], counts["held"]) == (60, 60)
    assert {kind["mutated"] for kind in counts["kinds"].values()} == {12}


@pytest.mark.slow
def test_pre_emption_saves_at_once_and_says_so_by_its_exit_code(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "mrvae", "train", "digits-vdvae", "--quiet"]
    command += ["width=8", "training.checkpoint_every=100000", "training.validate_every=100000"]
    with subprocess.Popen(  # noqa: S603
        [*command, "training.compile=false", "--out", str(out)], stderr=subprocess.PIPE, text=True
    ) as run:
        metrics = out / "metrics.jsonl"
        until = time.monotonic() + 300
        while not (metrics.exists() and metrics.read_text()) and time.monotonic() < until:
            time.sleep(0.1)
        asked = time.time()
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=300)
    assert run.returncode == 128 + signal.SIGTERM
    assert err.startswith("mrvae: stopped after step ")
    assert err.count("\n") == 1
    (saved,) = (out / "state").glob("step-*")
    assert saved.stat().st_mtime - asked < 10
