"""The skip rule follows the norms of a run, and never stops a run for ever."""

from __future__ import annotations

import json
import math

import pytest

from mrvae.recipes.schema import SkipRule
from mrvae.training import Diverged
from mrvae.training.skip import SkipMonitor


def monitored(norms: list[float], rule: SkipRule | None = None) -> tuple[SkipMonitor, list[bool]]:
    monitor = SkipMonitor(rule or SkipRule())
    return monitor, [monitor.skips(norm) for norm in norms]


def test_an_outlier_is_skipped_and_usual_norms_are_not() -> None:
    usual = [1.0 + 0.5 * math.sin(k) for k in range(300)]
    monitor, skips = monitored(usual)
    assert not any(skips)
    assert monitor.skips(100.0)
    assert not monitor.skips(1.0)
    assert monitor.skipped == 1


@pytest.mark.parametrize(("quantile", "expected"), [(0.5, 50.0), (0.9, 90.0), (1.0, 100.0)])
def test_the_threshold_is_the_factor_times_the_quantile(quantile: float, expected: float) -> None:
    norms = [float((37 * k) % 100 + 1) for k in range(100)]
    rule = SkipRule(quantile=quantile, factor=3.0, window=100, in_a_row=1_000)
    monitor, _ = monitored(norms, rule)
    assert sorted(monitor.norms) == [float(k + 1) for k in range(100)]
    assert monitor.threshold == 3.0 * expected
    assert not monitor.skips(monitor.threshold)
    assert monitor.skips(monitor.threshold * 1.01)


def test_only_the_last_window_of_norms_counts() -> None:
    monitor, _ = monitored([1000.0] * 50 + [1.0] * 30, SkipRule(window=30))
    assert monitor.threshold == 4.0


def test_nothing_is_skipped_before_enough_norms_are_known() -> None:
    _, skips = monitored([10.0**k for k in range(20)])
    assert not any(skips)


def test_a_run_whose_norm_has_grown_is_updated_again() -> None:
    """The published fixed threshold would skip every update after the rise, for ever."""
    risen = [1.0] * 300 + [50.0] * 300
    monitor, skips = monitored(risen)
    made = [not skip for skip in skips[300:]]
    assert sum(skips[300:]) > 0
    assert all(made[100:])
    assert monitor.threshold == 200.0


def test_norms_that_grow_for_ever_do_not_stop_a_run() -> None:
    """Each is 10 times the one before: no quantile keeps up, and the cap lets updates through."""
    rule = SkipRule(in_a_row=5)
    _, skips = monitored([10.0**k for k in range(-150, 150)], rule)
    late = skips[20:]
    assert late.count(False) >= len(late) // 6
    longest = max(len(run) for run in "".join("s" if s else "m" for s in late).split("m"))
    assert longest == 5


def test_a_norm_that_is_not_finite_is_counted_and_is_not_part_of_the_quantile() -> None:
    monitor, _ = monitored([1.0] * 50)
    for broken in (math.nan, math.inf, -math.inf):
        assert monitor.skips(broken)
    assert (monitor.broken, monitor.skipped) == (3, 0)
    assert all(math.isfinite(norm) for norm in monitor.norms)
    assert monitor.threshold == 4.0


def test_broken_in_a_row_end_the_run_and_a_good_one_resets_the_count() -> None:
    monitor = SkipMonitor(SkipRule(broken_in_a_row=3))
    for _ in range(4):
        assert monitor.skips(math.nan)
        assert monitor.skips(math.nan)
        assert not monitor.skips(1.0)
    monitor.skips(math.nan)
    monitor.skips(math.nan)
    with pytest.raises(Diverged, match=r"3 losses.*training\.optimizer\.rate"):
        monitor.skips(math.nan)


def test_a_restored_rule_decides_as_the_original() -> None:
    """Through JSON, cut at every kind of moment: in a row of skips, or of broken ones."""
    norms = [1.0 + k % 7 for k in range(60)] + [99.0] * 14 + [math.nan] * 3 + [1.0, 400.0, 1.0]
    for cut in range(0, len(norms), 3):
        whole, expected = monitored(norms)
        first, _ = monitored(norms[:cut])
        second = SkipMonitor(SkipRule())
        second.restore(*json.loads(json.dumps(first.state())))
        assert [second.skips(norm) for norm in norms[cut:]] == expected[cut:]
        assert second.state() == whole.state()
