"""Findings of figure 5 follow from its rows, and its rows from the runs."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import pytest

from mrvae.evaluation import describe
from mrvae.papers.bounds import Validation
from mrvae.papers.entries import Result
from mrvae.papers.falck2022.figure5 import at_equal_flops, at_equal_seconds, entries
from mrvae.papers.falck2022.figure5 import findings as findings_of
from mrvae.recipes import override, recipe

ENTRIES = {entry.name: entry for entry in entries("cpu")}
STEPS = range(250, 3001, 250)
cost = cache(describe)


def result(
    name: str, nats: float, se: float = 0.2, *, slow: float = 1.0, gain: float = 0.0
) -> Result[None]:
    """Return a run whose validation falls by ``gain`` nats an e-fold of steps, to ``nats``."""

    curve = tuple(Validation(s, slow * s, nats - gain * math.log(s / 3000)) for s in STEPS)
    measures: dict[str, object] = {"nats": nats, "nats_se": se, "images": 10_000}
    return Result(ENTRIES[name], cost(ENTRIES[name].job.recipe), curve, measures)


def findings(results: list[Result[None]]) -> list[str]:
    """The findings, where each result is compared with the first finished of its bases."""
    found = {one.name: one for one in results}
    return findings_of(
        [
            replace(one, base=next((found[b] for b in one.entry.bases if b in found), None))
            for one in results
        ]
    )


def sentence(found: list[str], *parts: str) -> str:
    (one,) = [line for line in found if all(part in line for part in parts)]
    return one


@pytest.mark.parametrize(
    ("nats", "word"),
    [(99.0, "better"), (99.5, "no clear difference"), (100.5, "no clear difference"), (101, "wor")],
)
def test_a_difference_counts_beyond_two_combined_errors(nats: float, word: str) -> None:
    """√(0.2² + 0.2²) · 2 = 0.566 nats."""
    found = findings([result("x1", 100.0), result("r5", nats)])
    assert word in sentence(found, "r5 against x1 (equal parameters)")


def test_models_of_more_parameters_are_named_so() -> None:
    found = findings([result("x1", 100.0), result("x4", 97.0), result("r5", 98.0)])
    assert "worse" in sentence(found, "r5 against x4 (more parameters)")
    assert not [line for line in found if line.startswith("x4")]


def test_seeds_are_compared_with_their_own() -> None:
    both = [
        result("x1", 100.0),
        result("r5", 98.0),
        result("x1-seed1", 90.0),
        result("r5-seed1", 95.0),
    ]
    found = findings(both)
    assert "better" in sentence(found, "r5 against x1 (equal")
    assert "worse" in sentence(found, "r5-seed1 against x1-seed1 (equal")
    assert not [line for line in found if "r5-seed1 against x1 (" in line]


def test_equal_operations_are_fewer_steps_of_a_dearer_model() -> None:
    """On a curve that is linear in log step the place is known exactly."""

    x1, r5 = result("x1", 100.0, gain=5.0), result("r5", 95.0, gain=5.0)
    dearer = r5.cost.flops_per_image / x1.cost.flops_per_image
    assert 2 < dearer < 5
    assert at_equal_flops(r5, x1) == pytest.approx(95.0 + 5.0 * math.log(dearer))
    assert at_equal_flops(x1, x1) == 100.0


def test_equal_seconds_are_those_of_all_of_x1() -> None:

    x1, r5 = result("x1", 100.0, gain=5.0), result("r5", 95.0, slow=4.0, gain=5.0)
    assert at_equal_seconds(r5, x1) == pytest.approx(95.0 + 5.0 * math.log(4.0))
    faster = result("r5", 95.0, slow=0.5)
    assert at_equal_seconds(faster, x1) is None


def test_fewer_images_make_larger_errors() -> None:
    """1,000 validation images have √10 the error: 0.89 nats, and twice that is 1.79."""
    x1 = result("x1", 100.0)
    for nats, word in [(98.3, "no clear difference"), (98.1, "better")]:
        found = findings([x1, result("r2", nats)])
        assert word in sentence(found, "r2 against x1, equal operations")


def test_a_diverged_run_is_not_measured() -> None:
    broken: Result[None] = Result(ENTRIES["r5"], cost(ENTRIES["r5"].job.recipe), (), None)
    first, *others = findings([result("x1", 100.0), broken])
    assert "training diverges" in first
    assert all("not measured" in line for line in others)


def test_the_recipes_are_those_of_the_command_in_the_documentation() -> None:
    """``mrvae train`` with these overrides makes the very run that the figure looks for."""

    changes = ["training.schedule=constant", "training.optimizer.rate=1e-3"]
    changes += ["training.validate_every=250", "training.checkpoint_every=250"]
    changes += ["training.steps=3000"]
    for name in ("x1", "x2", "x4", "r3", "r5", "r10"):
        job = ENTRIES[name].job
        assert job.recipe == override(recipe(f"falck2022-mnist-{name}"), changes)
        assert job.name == f"falck2022-mnist-{name}-seed0"
    assert ENTRIES["r5-seed1"].job.name == "falck2022-mnist-r5-seed1"
