"""What a run says of itself: its norms, its skips, and that it has collapsed."""

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
from mrvae.training.collapse_monitor import Plateau
from mrvae.training.skip import SkipMonitor
from mrvae.training.update import Report

STEPS = 1200


def said(
    nats: list[float], kl: float, training: Training | None = None, context: float = 0.0
) -> list[int]:
    """Return the steps after which a run with these losses is warned of."""
    plateau = Plateau(training or Training(steps=STEPS, batch=1, warmup=0))
    reports = [Report(value, kl + context, kl, 1.0, 1.0, False) for value in nats]
    return [step for step, report in enumerate(reports) if plateau.warning(step, report)]


def noisy(level: float, fall: float = 0.0) -> list[float]:
    random = np.random.default_rng(0)
    return [level * (1 - fall * k / STEPS + 0.05 * random.normal()) for k in range(STEPS)]


def test_a_collapsed_run_is_warned_of_once() -> None:
    assert said(noisy(200.0), kl=0.01) == [500]
    assert said(noisy(200.0), kl=0.01, context=40.0) == [500]


def test_a_run_that_falls_or_uses_its_latents_is_not() -> None:
    assert said(noisy(200.0, fall=0.3), kl=0.01) == []
    assert said(noisy(200.0), kl=1.0) == []
    # Of what is no number nothing follows.
    assert said([math.nan] * STEPS, kl=0.0) == []


def test_nothing_is_said_while_the_rate_or_beta_rise() -> None:
    for training in (
        Training(steps=STEPS, batch=1, warmup=400),
        Training(steps=STEPS, batch=1, warmup=0, kl=KlTerm(beta_steps=400)),
    ):
        assert said(noisy(200.0), 0.01, training) == [900]


def test_a_run_prints_the_warning_with_what_to_try(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one line of stderr, also where there is no progress bar."""
    monkeypatch.setattr("mrvae.training.collapse_monitor._WINDOW", 4)
    monkeypatch.setattr("mrvae.training.collapse_monitor._EVERY", 1)
    recipe = tiny("steps=8", "training.warmup=0", "optimizer.rate=0.000000001")
    train(recipe, tmp_path / "run", quiet=True)
    err = capsys.readouterr().err
    assert err.startswith("mrvae: step 4: the latents have carried next to nothing")
    assert "training.kl.beta_steps" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 200, 333])
def test_the_quantiles_are_those_of_the_window(count: int) -> None:
    norms = np.random.default_rng(0).lognormal(size=count)
    monitor = SkipMonitor(SkipRule(window=200))
    for norm in [*norms, math.nan]:
        monitor.skips(float(norm))
    levels = np.quantile(norms[-200:], [0.5, 0.9, 1.0], method="inverted_cdf")
    assert list(monitor.quantiles().values()) == levels.tolist()


def test_the_log_tells_norms_and_the_share_of_skips(tmp_path: Path) -> None:
    train(tiny("steps=24", "skip.window=20", "skip.factor=1.01"), tmp_path / "run", quiet=True)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    events = [event for line in lines if "norm" in (event := json.loads(line))]
    norms = [event["norm"] for event in events]
    for k, event in enumerate(events, start=1):
        seen = sorted(norms[max(k - 20, 0) : k])
        assert event["norm_max"] == seen[-1]
        assert event["norm_q50"] == seen[math.ceil(len(seen) / 2) - 1]
        assert event["skip_rate"] == (event["skipped"] + event["broken"]) / event["step"]
