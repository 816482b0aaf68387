"""The report on section 2 of Falck et al. 2022: all checks hold, and none with a wrong operator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.items import made
from helpers.linear import image
from helpers.members import for_all
from mrvae.papers.checks import Check, failures
from mrvae.papers.falck2022.autoencoder import (
    Autoencoder,
    AutoencoderTraining,
    ResidualNet,
    measure_training,
    sampled_constant,
    snapshot,
)
from mrvae.papers.falck2022.check_compression import digits
from mrvae.papers.falck2022.theory import EFFORTS, ITEM, findings
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace

CHECK = Check("theorem 2", "residual", "level 1", 1e-16, 1e-12, "subsampling", 0.3)


def quiet(_: str) -> None:
    return None


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    """The whole report, with trainings of a few steps."""
    small = replace(EFFORTS["smoke"], steps=16, halvings=1, measured=30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EFFORTS, "smoke", small)
        yield made(ITEM, Workspace(Path("nowhere"), "smoke", quiet=True))


def test_every_check_holds_and_fails_with_its_wrong_operator(outcome: Outcome) -> None:
    properties = [row for row in outcome.rows if row["kind"] == "law"]
    assert len(properties) > 100
    assert [row for row in properties if not row["holds"]] == []
    assert [row for row in properties if row["wrong_holds"]] == []
    about = {str(row["about"]).split(",")[0] for row in properties}
    items = "definition 1", "definition 2", "equation 1", "equation 2"
    assert about >= {*items, *(f"theorem {number}" for number in range(1, 6))}
    assert outcome.findings[0].startswith(f"{len(properties)} of {len(properties)} laws hold")
    assert any("left side is 100 and W₂² is 1" in finding for finding in outcome.findings)


def test_the_start_is_reported_by_what_can_fail(outcome: Outcome) -> None:
    """Each quantity that is estimated has its error, and what training does is no law."""
    rows = [row for row in outcome.rows if row["about"] == "theorem 5"]
    (order,) = [row for row in rows if "variance of the state" in str(row["check"])]
    assert (order["left"], order["wrong_left"]) == pytest.approx((1.0, 2.0), abs=1e-3)
    (estimated,) = [row for row in rows if "Monte Carlo" in str(row["check"])]
    assert "standard errors" in str(estimated["at"])
    assert estimated["left"] != estimated["right"]
    trained = [row for row in rows if "trained ≤ untrained" in str(row["check"])]
    assert [row["kind"] for row in trained] == ["observation"] * 4
    assert all("±" in str(row["at"]) and not row["holds"] for row in trained)
    assert len({row["right"] for row in trained}) == 4
    assert outcome.findings[2].startswith("training lowers E KL(q(z₁ | x) ‖ p₁) against 0 of 4")


def test_a_failure_of_either_kind_is_reported() -> None:
    broken = replace(CHECK, left=1.0), replace(CHECK, wrong_left=0.0)
    for check in broken:
        assert failures([CHECK, check]) == [check]
        assert findings([CHECK, check])[0].startswith("1 of 2 laws")
        assert "does not pass" in findings([CHECK, check])[1]
    assert failures([replace(one, is_property=False) for one in broken]) == []


def test_checks_by_equality_have_two_bounds() -> None:
    about_one = replace(CHECK, left=1.05, right=1.0, wrong_left=0.5, within=0.1)
    assert about_one.passes
    assert not replace(about_one, left=0.85).holds
    assert not replace(about_one, left=float("nan")).holds
    assert not replace(CHECK, left=float("nan")).holds


def test_the_rows_are_one_table(outcome: Outcome) -> None:
    assert {tuple(row) for row in outcome.rows} == {tuple(CHECK.row())}
    json.dumps(outcome.rows, allow_nan=False)
    assert set(outcome.figures) == {"theorem3", "details"}


# --------------------------------------------------------------------------- the autoencoder


def test_training_is_a_function_of_its_plan() -> None:
    plan = AutoencoderTraining(steps=4, width=4, inversion=1.0)
    images = digits()[:40]
    runs = [measure_training(plan, images, images[:10], (0, 4), quiet) for _ in range(2)]
    assert runs[0] == runs[1]
    other = measure_training(replace(plan, seed=1), images, images[:10], (0, 4), quiet)
    assert other[1] != runs[0][1]
    with pytest.raises(ValueError, match=r"\[5\]; they must be in 0 … 4"):
        measure_training(plan, images, images[:10], (5,), quiet)


@for_all("skip", [False, True])
def test_untrained_it_is_the_identity_and_both_sides_are_equal(skip: bool) -> None:
    plan = AutoencoderTraining(steps=0, width=4, skip=skip)
    (one,) = measure_training(plan, digits(), digits()[:30], (0,), quiet)
    assert one.left == pytest.approx(one.right) == pytest.approx(one.reconstruction)
    assert sum(one.discarded) == pytest.approx(one.left)
    assert one.constants == pytest.approx((1.0, 1.0))


def test_reconstruction_improves_and_bounds_the_transport() -> None:
    plan = AutoencoderTraining(steps=30, width=8, inversion=1.0, rate=6e-3)
    before, after = measure_training(plan, digits()[100:], digits()[:20], (0, 30), quiet)
    assert after.reconstruction < 0.7 * before.reconstruction
    assert after.right <= after.reconstruction
    assert after.left_with_defect is not None
    assert after.left_with_defect <= after.right
    free = measure_training(
        replace(plan, inversion=0.0), digits()[100:], digits()[:20], (30,), quiet
    )
    assert after.inversion is not None
    assert free[0].inversion is not None
    assert free[0].inversion > 5 * after.inversion


def test_a_snapshot_leaves_the_network_as_it_is() -> None:
    net = Autoencoder(depth=1, width=4, skip=False)
    snapshot(net, 0, digits()[:5])
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_the_sampled_constant_bounds_what_is_seen_of_a_network() -> None:
    torch.manual_seed(0)
    net = ResidualNet(1, 4).double()
    torch.nn.init.normal_(net.third.weight)
    x, direction = image(5, 1, 4, 4), image(5, 1, 4, 4, seed=1)
    with torch.no_grad():
        constant = sampled_constant(lambda v: net(v), x)
        small = 1e-6 * direction
        stretched = (net(x + small) - net(x)).flatten(1).norm(dim=1) / small.flatten(1).norm(dim=1)
    assert stretched.max() <= constant
    assert constant < 100 * stretched.max()


def test_the_sampled_constant_is_that_of_the_steepest_point() -> None:
    """The Jacobian of v² is diag(2v)."""
    x = image(5, 1, 4, 4)
    expected = 2 * float(x.abs().max())
    assert sampled_constant(torch.square, x) == pytest.approx(expected, rel=1e-12)
