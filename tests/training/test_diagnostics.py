"""The diagnostics of a run: gradient norms, skips, and posterior collapse."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from helpers.tiny_run import tiny
from mrvae.recipes.kl_term import KlTerm
from mrvae.recipes.schema import SkipRule, Training
from mrvae.training import train
from mrvae.training.collapse_monitor import CollapseMonitor
from mrvae.training.skip import SkipMonitor
from mrvae.training.update import UpdateReport

STEPS = 1200


def warned_after(
    nats: list[float], kl: float, training: Training | None = None, context: float = 0.0
) -> list[int]:
    """Return the steps after which a run with these losses causes a warning."""
    monitor = CollapseMonitor(training or Training(steps=STEPS, batch=1, warmup=0))
    reports = [UpdateReport(value, kl + context, kl, 1.0, 1.0, False) for value in nats]
    return [step for step, report in enumerate(reports) if monitor.warning(step, report)]


def noisy(level: float, fall: float = 0.0) -> list[float]:
    random = np.random.default_rng(0)
    return [level * (1 - fall * k / STEPS + 0.05 * random.normal()) for k in range(STEPS)]


def test_a_collapsed_run_is_warned_of_once() -> None:
    assert warned_after(noisy(200.0), kl=0.01) == [500]
    assert warned_after(noisy(200.0), kl=0.01, context=40.0) == [500]


def test_a_run_whose_loss_falls_or_whose_latents_have_kl_is_not_warned_of() -> None:
    assert warned_after(noisy(200.0, fall=0.3), kl=0.01) == []
    assert warned_after(noisy(200.0), kl=1.0) == []
    assert warned_after([math.nan] * STEPS, kl=0.0) == []


def test_there_is_no_warning_while_the_rate_or_beta_rise() -> None:
    for training in (
        Training(steps=STEPS, batch=1, warmup=400),
        Training(steps=STEPS, batch=1, warmup=0, kl=KlTerm(beta_steps=400)),
    ):
        assert warned_after(noisy(200.0), 0.01, training) == [900]


def test_a_run_prints_the_warning_with_what_to_try(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one line of stderr, also where there is no progress bar."""
    monkeypatch.setattr("mrvae.training.collapse_monitor._WINDOW", 4)
    monkeypatch.setattr("mrvae.training.collapse_monitor._EVERY", 1)
    recipe = tiny("steps=8", "training.warmup=0", "optimizer.rate=0.000000001")
    train(recipe, tmp_path / "run", quiet=True)
    err = capsys.readouterr().err
    assert err.startswith("mrvae: step 4: the latents have had almost no KL")
    assert "training.kl.beta_steps" in err
    assert err.count("\n") == 1


def test_the_quantiles_are_those_of_the_window() -> None:
    for count in (1, 2, 9, 10, 11, 200, 333):
        norms = np.random.default_rng(0).lognormal(size=count)
        monitor = SkipMonitor(SkipRule(window=200))
        for norm in [*norms, math.nan]:
            monitor.skips(float(norm))
        expected = np.quantile(norms[-200:], [0.5, 0.9, 1.0], method="inverted_cdf")
        assert list(monitor.quantiles().values()) == expected.tolist()


def test_the_log_has_norms_and_the_rate_of_skips(tmp_path: Path) -> None:
    train(tiny("steps=24", "skip.window=20", "skip.factor=1.01"), tmp_path / "run", quiet=True)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    events = [event for line in lines if "norm" in (event := json.loads(line))]
    norms = [event["norm"] for event in events]
    for k, event in enumerate(events, start=1):
        seen = sorted(norms[max(k - 20, 0) : k])
        assert event["norm_max"] == seen[-1]
        assert event["norm_q50"] == seen[math.ceil(len(seen) / 2) - 1]
        assert event["skip_rate"] == (event["skipped"] + event["broken"]) / event["step"]
