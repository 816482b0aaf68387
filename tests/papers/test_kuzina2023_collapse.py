"""Properties of the items of Kuzina & Tomczak (2023) on collapse: findings follow from rows."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import torch

from helpers.members import for_all
from mrvae.evaluation import UnitReport, describe
from mrvae.papers import bounds
from mrvae.papers.entries import Entry, Result
from mrvae.papers.kuzina2023 import (
    collapse,
    defects,
    figure1,
    figure4,
    table1,
    table2,
    table4,
)
from mrvae.papers.kuzina2023.runs import MEASURED, mnist
from mrvae.papers.workspace import Workspace

PLAIN, CONTEXT = mnist("smoke")
cost = cache(describe)
N = 4


def report(active: list[bool], kl: list[float], context: list[bool]) -> collapse.UnitCounts:
    """Units of one layer below a context of 2 nats, or below none."""
    units = torch.tensor([*context, *active], dtype=torch.float64)
    nats = torch.tensor([[2.0] * bool(context) + [sum(kl)]] * N, dtype=torch.float64)
    shapes = ((1, 1, len(context)),) * bool(context) + ((1, 1, len(active)),)
    counts = torch.tensor([[sum(context)] * bool(context) + [sum(active)]] * N)
    each = torch.tensor(kl, dtype=torch.float64)
    return collapse.UnitCounts.of(
        UnitReport(
            shapes, int(bool(context)), 2, nats, each, 0 * each, units, 0 * units, counts.double()
        )
    )


FEW = report([True, False, False, False], [0.5, 0.001, 0.0, 0.0], [])
MORE = report([True, True, False, False], [0.5, 0.3, 0.0, 0.0], [True, True])


def result(entry: Entry, units: collapse.UnitCounts | None) -> Result[collapse.UnitCounts]:
    """A run with these units, or one that diverged."""
    measures: dict[str, object] = {"nats": 90.0, "nats_se": 0.2, "images": N}
    known = None if units is None else measures
    return Result(entry, cost(entry.job.recipe), (), known, value=units)


def test_a_context_is_compared_with_its_own_units_and_without() -> None:
    (said,) = table4.findings([result(PLAIN, FEW), result(CONTEXT, MORE)])
    assert "4 active units against 1 without a context, +3" in said
    assert "its 2 own units left out, 2, +1 ± 0.0: more" in said
    assert "0.2000 nats per unit against 0.1253, and 0.4667 with the context's" in said
    (said,) = table4.findings([result(PLAIN, None), result(CONTEXT, MORE)])
    assert "nothing to compare" in said


def test_columns_are_those_of_the_totals() -> None:
    known, diverged = result(CONTEXT, MORE), result(CONTEXT, None)
    row = {name: of(known) for name, of in collapse.COLUMNS.items()}
    assert row["active_units"] == 4
    assert row["active_percent"] == pytest.approx(100 * 4 / 6)
    assert row["active_percent_without_context"] == pytest.approx(50.0)
    assert row["kl_per_unit"] == pytest.approx(2.8 / 6)
    assert row["kl_per_unit_without_context"] == pytest.approx(0.2)
    unknown = {name: of(diverged) for name, of in collapse.COLUMNS.items()}
    assert unknown == dict.fromkeys(row)


def test_depths_are_compared_in_the_order_of_their_latent_space() -> None:
    smaller = report([True, True], [0.5, 0.5], [])
    said = table1.findings([result(PLAIN, FEW), result(CONTEXT, smaller)])
    assert said[0].startswith("from dct, vdvae, in order of latent space: active units 100.0, 25.0")
    assert all("falls throughout" in line for line in said[:2])
    assert "nothing to compare" in table1.findings([result(PLAIN, FEW), result(CONTEXT, None)])[0]


def test_units_of_almost_no_nats_are_counted() -> None:
    assert figure1.finding("L4", FEW).startswith("L4: 75.0 % of 4 units have less than 0.01 nats")


def test_half_of_the_way_is_where_the_curve_is_half_way_up() -> None:
    curves = {"vdvae": ([0.1, 0.2, 0.6, 0.9], [0.01] * 4), "dct": ([0.9, 0.9], [0.0, 0.0])}
    first, second = figure4.findings(curves, "ms_ssim")
    assert "0.100 ± 0.010 with 1 latent and 0.900 ± 0.010 with all 4" in first
    assert "half of the way is made by 3" in first
    assert "do not make it larger" in second


def test_the_papers_numbers_agree_with_each_other() -> None:
    """Active units, their share and the latent space of table 4 are three numbers of two kinds."""
    for row in table4.PUBLISHED.values():
        active, units, percent = (
            float(row[f"paper_{name}"] or 0)
            for name in ("active_units", "latent_space", "active_percent")
        )
        assert 100 * active / units == pytest.approx(percent, abs=0.15)


@for_all("units", [FEW, MORE])
def test_what_is_kept_of_a_count_is_what_was_counted(units: collapse.UnitCounts) -> None:
    assert collapse.UnitCounts.read(json.loads(json.dumps(units.written()))) == units
    assert (units.context, units.latents, units.images) == (units.whole.units - 4, 1, N)


def test_units_are_counted_once_for_all_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And images are drawn and estimators run once: the second round needs no model."""
    items = [table2, figure1, figure4]
    workspace = Workspace(tmp_path, "smoke", quiet=True)
    first = [item.ITEM.work(workspace).rows for item in items]

    def refused(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Workspace, "model", refused)
    assert [item.ITEM.work(workspace).rows for item in items] == first


def test_the_estimators_bring_the_bounds_along(tmp_path: Path) -> None:
    """One pass gives what two would."""
    together, apart = (Workspace(tmp_path / name, "smoke", quiet=True) for name in ("one", "two"))
    job, extent = PLAIN.job, MEASURED["smoke"]
    samples, limit = extent.draws, extent.images
    for workspace in (together, apart):
        workspace.trained(job)
    defects.estimates(together, PLAIN)
    found = bounds.recalled(together, job, samples=samples, limit=limit)
    assert found == bounds.measured(apart, job, samples=samples, limit=limit)
    each = [
        bounds.of_images(workspace, job, samples=samples, limit=limit)
        for workspace in (together, apart)
    ]
    assert each[0] == each[1] != {}
