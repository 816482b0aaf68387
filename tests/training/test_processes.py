"""What a run is does not depend on the number of processes that share it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.on_processes import Job, nats, run, start, together
from helpers.tiny_run import kill_after, tiny
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.processes import share
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
    """Hold losses, norms, counts and validations together, and weights, averages and moments."""
    found, wanted = events(out), events(expected)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one == pytest.approx(other, rel=1e-9, nan_ok=True)
    name = "state/step-00000006/tensors.safetensors"
    tensors, others = load_file(out / name), load_file(expected / name)
    assert tensors.keys() == others.keys()
    for key, tensor in tensors.items():
        assert tensor.dtype == (torch.float32 if ".step." in key else torch.float64)
        torch.testing.assert_close(tensor, others[key], rtol=1e-9, atol=1e-9)


def double(recipe: Recipe) -> HVAE:
    return build(recipe).double()


def leave_half_done(out: Path) -> None:
    """Let one process make half of a run, and die."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrvae.training.run.build", double)
        patch.setattr("mrvae.training.run._VALIDATED", 37)
        kill_after(tiny(*SHORT), out, 3)


def check_equality(count: int, folder: Path) -> None:
    """Train on several processes, in parts, resumed, and with faults; compare with one process."""
    parts = (*SHORT, f"accumulate={8 // count}")
    a_file = folder / "file"
    a_file.write_text("mine")
    leave_half_done(folder / "resumed")
    jobs = [
        Job(str(folder / "whole"), SHORT, broken=BROKEN),
        Job(str(folder / "parts"), parts, broken=BROKEN),
        Job(str(folder / "resumed"), parts, resume=True),
        Job(str(folder / "stopped"), SHORT, fault="stop", place=(1, 3)),
        Job(str(folder / "gradient"), SHORT, fault="gradient", place=(1, 3)),
        Job(str(folder / "refused"), SHORT, alone=str(a_file)),
    ]
    said = together(count, folder, jobs)
    assert all(words == said[0] for words in said), "the processes do not agree"
    bounds, *ends = said[0]
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
    # One process goes on with what several have left, and another one's NaN is everybody's.
    run(Job(str(folder / "stopped"), SHORT, resume=True))
    equal(folder / "stopped", folder / "smooth")
    run(Job(str(folder / "alone"), SHORT, fault="gradient", place=(0, 3)))
    equal(folder / "gradient", folder / "alone")
    assert events(folder / "gradient")[2]["broken"] == 1


def test_two_processes_make_the_run_of_one(tmp_path: Path) -> None:
    check_equality(2, tmp_path)


@pytest.mark.slow
def test_four_processes_make_the_run_of_one(tmp_path: Path) -> None:
    check_equality(4, tmp_path)


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path: Path) -> None:
    """Within a minute, with one line that says how."""
    out, task = tmp_path / "run", tmp_path / "task.json"
    with pytest.raises(FileNotFoundError):
        together(2, tmp_path, [Job(str(out), SHORT, fault="kill", place=(1, 3))])
    # The survivor logs the step before, and answers when it has ended.
    lasted = Path(f"{task}.0").stat().st_mtime - (out / "metrics.jsonl").stat().st_mtime
    assert lasted < 60
    (survivor,) = json.loads(Path(f"{task}.0").read_text())[1:]
    assert survivor == (
        "Failed: the run cannot go on: another process has ended, or no longer answers; "
        f"what was saved before is whole, so mend that and go on with --resume --out {out}"
    )
    run(Job(str(out), SHORT, resume=True))
    run(Job(str(tmp_path / "whole"), SHORT))
    equal(out, tmp_path / "whole")


@pytest.mark.slow
def test_a_mistake_is_refused_by_all_with_one_line(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 7, 100])
def test_shares_are_a_partition_into_nearly_equal_parts(count: int, processes: int) -> None:
    parts = [share(count, index, processes) for index in range(processes)]
    assert [i for part in parts for i in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
