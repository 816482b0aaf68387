"""What a run takes from its machine: threads, and a forecast of its time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from helpers.tiny_run import after_step, outcome, tiny
from mrvae.training import train
from mrvae.training.machine import plan, threads
from mrvae.training.machine.speed import Stopwatch

CPU = torch.device("cpu")


def kept(run: Path) -> object:
    """Return the number of threads that a run directory names."""
    return json.loads((run / "recipe.json").read_text()).get("threads")


def test_threads_that_are_set_are_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    table = [(3, 2, 3), (None, 2, 2), (None, None, None)]
    for wish, before, expected in table:
        assert threads.given_threads(wish, before) == expected
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert [threads.given_threads(wish, before) for wish, before, _ in table] == [3, 2, 8]


def test_threads_are_taken_while_each_doubling_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Stopwatch(lambda images: None, CPU)
    for most, gains, expected in (
        (2, {2: 1.29}, 1),
        (2, {2: 1.31}, 2),
        (6, {2: 1.9, 4: 1.8, 6: 1.4}, 6),
        (6, {2: 1.9, 4: 1.8, 6: 1.1}, 4),
        (64, {2: 1.9, 4: 1.0, 8: 9.0}, 2),
    ):
        monkeypatch.setattr(threads, "_gain", lambda watch, n, few, many, g=gains: g[many])
        assert threads.measured_threads(watch, 1, most).count == expected


def test_a_run_keeps_its_number_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, seen = torch.get_num_threads(), []
    after_step(monkeypatch, 2, lambda: seen.append(torch.get_num_threads()))
    after_step(monkeypatch, 4, lambda: seen.append(torch.get_num_threads()))
    run = tmp_path / "run"
    train(tiny("steps=2"), run, quiet=True, threads=2)
    train(tiny("steps=4"), run, quiet=True, resume=True)
    assert kept(run) == 2
    assert seen == [2, 2]
    assert torch.get_num_threads() == before
    train(tiny("steps=5"), run, quiet=True, resume=True, threads=1)
    assert kept(run) == 1


def test_a_run_without_a_set_number_begins_with_one_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "given_threads", lambda wish, before: None)
    train(tiny("steps=1"), tmp_path / "run", quiet=True)
    assert kept(tmp_path / "run") == 1


def test_a_forecast_changes_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = []
    for short in (1e9, 0.0):
        monkeypatch.setattr(plan, "_SHORT", short)
        run = tmp_path / str(short)
        train(tiny("steps=3"), run)
        outcomes.append(outcome(run))
        assert ("training takes about" in capsys.readouterr().err) == (short == 0)
    assert outcomes[0] == outcomes[1]


def test_a_pass_over_many_images_is_forecast_from_few() -> None:
    most = []

    def spin(images: int) -> None:
        most.append(images)
        end = time.process_time() + 0.004 + 0.002 * images
        while time.process_time() < end:
            pass

    for images in (1, 3, 16, 512):
        found = Stopwatch(spin, CPU).batch(images, budget=0.2).seconds
        assert found == pytest.approx(0.004 + 0.002 * images, rel=0.1)
    assert max(most) < 100
    assert Stopwatch(spin, CPU).batch(10**6, budget=0.01).seconds == pytest.approx(6000, rel=0.1)
