"""The result of a run does not depend on the number of processes."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.on_processes import Job, nats, run, start, together
from helpers.tiny_run import kill_after, tiny
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.processes import shard
from mrvae.recipes import Recipe

SHORT = ("steps=6", "validate_every=4", "checkpoint_every=2", "keep=9")
BROKEN = (3, 5)


def events(out: Path) -> list[dict[str, float]]:
    """Return the events of a run without their seconds; null, for NaN, is read as such."""
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [
        {k: math.nan if v is None else v for k, v in line.items() if k != "seconds"}
        for line in lines
    ]


def equal(out: Path, expected: Path) -> None:
    """Compare losses, norms, counts and validations, and weights, averages and moments."""
    for event, wanted in zip(events(out), events(expected), strict=True):
        assert event == pytest.approx(wanted, rel=1e-9, nan_ok=True)
    name = "state/step-00000006/tensors.safetensors"
    tensors, others = load_file(out / name), load_file(expected / name)
    assert tensors.keys() == others.keys()
    for key, tensor in tensors.items():
        assert tensor.dtype == (torch.float32 if ".step." in key else torch.float64)
        torch.testing.assert_close(tensor, others[key], rtol=1e-9, atol=1e-9)


def double(recipe: Recipe, large: bool = False) -> HVAE:
    return build(recipe, large=large).double()


def train_half(out: Path) -> None:
    """Make half of a run on one process, and kill it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.training.run.build", double)
        patch.setattr("mrvae.training.run._VALIDATED", 37)
        kill_after(tiny(*SHORT), out, 3)


def check_equality(count: int, folder: Path) -> None:
    """Train on several processes, in parts, resumed, and with faults; compare with one process."""
    parts = (*SHORT, f"accumulate={8 // count}")
    a_file = folder / "file"
    a_file.write_text("mine")
    train_half(folder / "resumed")
    jobs = [
        Job(str(folder / "whole"), SHORT, broken=BROKEN),
        Job(str(folder / "parts"), parts, broken=BROKEN),
        Job(str(folder / "resumed"), parts, resume=True),
        Job(str(folder / "stopped"), SHORT, fault="stop", place=(1, 3)),
        Job(str(folder / "gradient"), SHORT, fault="gradient", place=(1, 3)),
        Job(str(folder / "refused"), SHORT, second_out=str(a_file)),
    ]
    results = together(count, folder, jobs)
    assert all(result == results[0] for result in results), "the processes do not agree"
    bounds, *ends = results[0]
    # Every image is measured once, on whichever process; five images are no multiple of two.
    assert bounds == pytest.approx(nats(5), rel=1e-9)
    assert str(ends[3]).startswith("Interrupted: stopped after step 3 of 6")
    assert ends[5] == f"ValueError: {a_file} is a file; --out names a folder"
    assert not (folder / "refused").exists()
    assert [end for end in (*ends[:3], ends[4]) if not str(end).startswith("done: ")] == []
    for name, job in (("smooth", Job("", SHORT)), ("faulty", Job("", SHORT, broken=BROKEN))):
        run(Job(str(folder / name), job.changes, broken=job.broken))
    assert events(folder / "faulty")[-1] != events(folder / "smooth")[-1]
    for name in ("whole", "parts"):
        equal(folder / name, folder / "faulty")
    equal(folder / "resumed", folder / "smooth")
    # One process resumes a run of several, and a NaN on one process is a NaN of the global batch.
    run(Job(str(folder / "stopped"), SHORT, resume=True))
    equal(folder / "stopped", folder / "smooth")
    run(Job(str(folder / "single"), SHORT, fault="gradient", place=(0, 3)))
    equal(folder / "gradient", folder / "single")
    assert events(folder / "gradient")[2]["broken"] == 1


def test_two_processes_make_the_run_of_one(tmp_path: Path) -> None:
    check_equality(2, tmp_path)


@pytest.mark.slow
def test_four_processes_make_the_run_of_one(tmp_path: Path) -> None:
    check_equality(4, tmp_path)


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_can_be_resumed(tmp_path: Path) -> None:
    """Within a minute, with one line that says how."""
    out, task = tmp_path / "run", tmp_path / "task.json"
    with pytest.raises(FileNotFoundError):
        together(2, tmp_path, [Job(str(out), SHORT, fault="kill", place=(1, 3))])
    # The survivor logs the step before, and answers when it has ended.
    lasted = Path(f"{task}.0").stat().st_mtime - (out / "metrics.jsonl").stat().st_mtime
    assert lasted < 60
    (survivor,) = json.loads(Path(f"{task}.0").read_text())[1:]
    assert survivor == (
        "Failed: the run cannot continue: another process has ended, or no longer answers; "
        f"the last checkpoint is intact, so fix the cause and continue with --resume --out {out}"
    )
    run(Job(str(out), SHORT, resume=True))
    run(Job(str(tmp_path / "whole"), SHORT))
    equal(out, tmp_path / "whole")


@pytest.mark.slow
def test_an_error_ends_all_processes_with_one_line(tmp_path: Path) -> None:
    for arguments, problem in (
        (("train", "digits-vdvea"), "mrvae: there is no recipe"),
        (("train", "digits-vdvae", "data=mnist", "--data-dir", str(tmp_path)), "mrvae: "),
        (("train", "digits-vdvae", "training.batch=9"), "mrvae: batch 9 cannot be split"),
    ):
        refused = start(2, tmp_path / "task.json", *arguments, "--out", str(tmp_path / "run"))
        assert refused.returncode == 2
        assert refused.stderr.startswith(problem)
        assert refused.stderr.count("\n") == 1, refused.stderr
        assert not (tmp_path / "run").exists()


def test_shards_are_a_partition_into_nearly_equal_parts() -> None:
    for count, processes in product((0, 1, 2, 5, 7, 100), (1, 2, 3, 7)):
        parts = [shard(count, index, processes) for index in range(processes)]
        assert [i for part in parts for i in part] == list(range(count))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
