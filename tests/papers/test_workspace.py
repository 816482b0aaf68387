"""A workspace reuses what is finished, and only as long as it holds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import mrvae.evaluation
import mrvae.training
from helpers.tiny_run import everything, outcome, tiny, train_until
from mrvae.papers import bounds
from mrvae.papers.bounds import Validation, curve, nats_after
from mrvae.papers.compare import paired_error
from mrvae.papers.entries import Entry, Result, with_bounds
from mrvae.papers.outcome import Extent
from mrvae.papers.workspace import Job, Workspace, finished
from mrvae.recipes import override
from mrvae.training import train

JOB = Job(tiny("steps=6", "validate_every=3"))


def workspace(folder: Path, *only: str) -> Workspace:
    return Workspace(folder, "smoke", quiet=True, only=only)


def results(workspace: Workspace, *entries: Entry, images: int = 4) -> list[Result[None]]:
    return with_bounds(workspace, entries, Extent(images=images), lambda workspace, entry: None)


def forbid(patch: pytest.MonkeyPatch, module: object, name: str) -> None:
    """Let a function fail if it is called."""

    def called(*_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called")

    patch.setattr(module, name, called)


def test_a_finished_run_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = workspace(tmp_path).trained(JOB)
    before = everything(run)
    forbid(monkeypatch, mrvae.training, "train")
    assert workspace(tmp_path).trained(JOB) == run == tmp_path / "runs" / "digits-vdvae-seed0"
    assert everything(run) == before


def test_a_run_that_was_trained_elsewhere_is_as_good(tmp_path: Path) -> None:
    """As ``mrvae train`` leaves it, with or without the checkpoints, and by any description."""
    train(JOB.recipe, tmp_path / "run", quiet=True)
    assert finished(tmp_path / "run", JOB)
    shutil.rmtree(tmp_path / "run" / "state")
    assert finished(tmp_path / "run", JOB)
    saved = json.loads((tmp_path / "run" / "recipe.json").read_text())
    saved["recipe"]["about"] = "said otherwise"
    (tmp_path / "run" / "recipe.json").write_text(json.dumps(saved))
    assert finished(tmp_path / "run", JOB)


@pytest.mark.parametrize("change", ["steps=7", "width=16", "rate=0.001"])
def test_another_recipe_or_seed_is_not_finished(tmp_path: Path, change: str) -> None:
    run = workspace(tmp_path).trained(JOB)
    assert not finished(run, Job(override(JOB.recipe, [change])))
    assert not finished(run, Job(JOB.recipe, seed=1))
    assert not finished(tmp_path, JOB)


def test_an_interrupted_run_goes_on_to_the_same_end(tmp_path: Path) -> None:
    recipe = tiny("steps=12", "validate_every=4")
    whole = workspace(tmp_path / "whole").trained(Job(recipe))
    broken = workspace(tmp_path / "broken")
    broken.path(Job(recipe)).parent.mkdir(parents=True)
    train_until(recipe, broken.path(Job(recipe)), 7)
    assert not finished(broken.path(Job(recipe)), Job(recipe))
    assert outcome(broken.trained(Job(recipe))) == outcome(whole)


def test_a_measurement_holds_for_these_weights_and_images_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = workspace(tmp_path)
    run = here.trained(JOB)
    first = bounds.measured(here, JOB, limit=5)
    with monkeypatch.context() as patch:
        forbid(patch, mrvae.evaluation, "evaluate")
        assert bounds.measured(here, JOB, limit=5) == first
    assert bounds.recalled(here, JOB, limit=6) is None
    assert bounds.recalled(here, JOB, limit=5, samples=2) is None
    assert bounds.measured(here, JOB, limit=6)["images"] == 6
    weights = load_file(run / "weights.safetensors")
    save_file({name: 1.5 * tensor for name, tensor in weights.items()}, run / "weights.safetensors")
    assert bounds.recalled(here, JOB, limit=5) is None
    assert bounds.measured(here, JOB, limit=5)["nats"] != first["nats"]


def test_bounds_are_those_of_evaluate(tmp_path: Path) -> None:
    here = workspace(tmp_path)
    here.trained(JOB)
    images = mrvae.data.load("digits", "test").subset(torch.arange(7))
    model = mrvae.load(here.path(JOB))
    report = mrvae.evaluation.evaluate(model, images, samples=3)
    found = bounds.measured(here, JOB, samples=3, limit=7)
    for name, value in report.summary().items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-4))
    each = bounds.of_images(here, JOB, samples=3, limit=7)
    assert each["nats"] == pytest.approx(report.nats.tolist(), rel=1e-4)
    assert each["importance_nats"] == pytest.approx(report.importance_nats.tolist(), rel=1e-4)
    assert bounds.of_images(here, JOB, samples=3, limit=6) == {}


def test_a_difference_over_the_same_images_has_the_error_of_the_differences(tmp_path: Path) -> None:
    """Two runs that differ by a constant differ for certain, however much the images do."""
    (run,) = results(workspace(tmp_path), Entry("a", JOB), images=6)
    shifted = replace(run, each={"nats": [value + 1.5 for value in run.each["nats"]]})
    assert paired_error(run, shifted, "nats") == pytest.approx(0.0, abs=1e-12)
    mirrored = replace(run, each={"nats": [-value for value in run.each["nats"]]})
    error = run.bound("nats_se")
    assert error is not None
    assert paired_error(run, mirrored, "nats") == pytest.approx(2 * error, rel=1e-6)
    assert paired_error(run, replace(run, each={}), "nats") is None


@pytest.mark.slow
def test_entries_can_be_made_in_any_portions(tmp_path: Path) -> None:
    """Each session makes what it names, and reports what the others have finished."""
    entries = [Entry(f"s{seed}", Job(JOB.recipe, seed)) for seed in range(3)]
    assert [m.name for m in results(workspace(tmp_path, "s2"), *entries)] == ["s2"]
    assert [m.name for m in results(workspace(tmp_path, "s0"), *entries)] == ["s0", "s2"]
    portions = results(workspace(tmp_path), *entries)
    whole = results(workspace(tmp_path / "whole"), *entries)
    assert [m.measures for m in portions] == [m.measures for m in whole]
    assert [m.name for m in whole] == ["s0", "s1", "s2"]


def test_an_entry_that_diverges_is_a_row_without_a_bound(tmp_path: Path) -> None:
    wild = override(tiny("steps=60"), ["rate=1e30", "broken_in_a_row=3"])
    (row,) = results(workspace(tmp_path), Entry("wild", Job(wild)))
    assert row.measures is None
    assert row.bound("nats") is None


def test_work_between_two_validations_is_interpolated_in_its_logarithm() -> None:
    """A curve that is linear in log work is met exactly, and nothing is said beyond its ends."""
    points = [(float(2**k), 100.0 - 3 * k) for k in range(1, 8)]
    for spent, nats in [(2.0, 97.0), (2**4.5, 86.5), (128.0, 79.0)]:
        assert nats_after(points, spent) == pytest.approx(nats)
    assert nats_after(points, 1.9) is None
    assert nats_after(points, 129.0) is None


def test_seconds_are_those_of_training_without_compilation(tmp_path: Path) -> None:
    """A resumed run compiles again, and its seconds go on from those before."""
    events = [
        {"step": 0, "compile_seconds": 10.0},
        {"step": 2, "validation_nats": 9.0, "seconds": 12.0},
        {"step": 2, "compile_seconds": 20.0},
        {"step": 3, "nats": 8.5},
        {"step": 4, "validation_nats": 8.0, "seconds": 34.0},
        {"step": 6, "validation_nats": None, "seconds": 36.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, events)))
    assert curve(tmp_path) == (Validation(2, 2.0, 9.0), Validation(4, 4.0, 8.0))
    assert curve(tmp_path / "nothing") == ()


def test_a_run_waits_for_the_process_that_is_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, over = tmp_path / "runs" / f".{JOB.name}.lock", tmp_path / "over"
    path.parent.mkdir()
    program = (
        "import pathlib, time\nfrom filelock import FileLock\n"
        f"with FileLock({str(path)!r}):\n"
        f"    print(flush=True); time.sleep(0.4); pathlib.Path({str(over)!r}).touch()\n"
    )
    seen = []
    monkeypatch.setattr(mrvae.training, "train", lambda *_, **__: seen.append(over.exists()))
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as other:  # noqa: S603
        assert other.stdout is not None
        other.stdout.readline()
        workspace(tmp_path).trained(JOB)
    assert seen == [True]
