"""The findings on the defects follow from the measurements."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers.items import made
from mrvae.evaluation import KUZINA2023, LikelihoodReport
from mrvae.papers.kuzina2023 import defects
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return made(defects.ITEM, Workspace(tmp_path_factory.mktemp("defects"), "smoke", quiet=True))


def test_each_defect_is_switched_on_alone() -> None:
    valid, *single, everything = defects.ESTIMATORS.values()
    assert everything == KUZINA2023
    flags = [list(vars(each).values()) for each in (valid, *single)]
    assert flags[0] == [False] * 4
    assert [flag.index(True) for flag in flags[1:]] == [0, 1, 2, 3]
    assert all(sum(flag) == 1 for flag in flags[1:])


def test_the_baseline_has_the_first_defect_alone(outcome: Outcome) -> None:
    apart = {(row["cell"], row["estimator"]): row["difference"] for row in outcome.rows}
    assert len(apart) == len(outcome.rows) == 12
    assert [apart["vdvae", name] for name in ("valid", "D2", "D3", "D4")] == [0.0] * 4
    assert apart["vdvae", "all"] == apart["vdvae", "D1"] != 0
    for name in ("D3", "D4"):
        lower = apart["dct", name]
        assert isinstance(lower, float)
        assert lower < 0
    assert [row["bound"] for row in outcome.rows] == [True, *[False] * 5] * 2


def test_differences_are_paired_by_image() -> None:
    """Images that differ by nats, and estimates that differ from them by the same 0.5."""
    nats = torch.tensor([1.0, 50.0, 99.0], dtype=torch.float64)
    estimates = (nats, *[nats - 0.5] * 5)
    report = LikelihoodReport(nats, nats, nats[:, None], 7, 4, None, estimates)
    valid, *others = defects.rows_of("dct", report)
    assert valid["nats_se"] == pytest.approx(49 / 3**0.5)
    for row in others:
        assert row["difference"] == -0.5
        assert row["difference_se"] == pytest.approx(0, abs=1e-12)
    assert others[-1]["paper_nats"] == 76.62


def test_estimates_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, entry = Workspace(tmp_path, "smoke", quiet=True), defects.entries("smoke")[0]
    workspace.trained(entry.job)
    first = defects.estimates(workspace, entry)
    monkeypatch.setattr(defects, "rows_of", lambda name, report: [])
    assert defects.estimates(workspace, entry) == first
    (workspace.path(entry.job) / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(ValueError, match="safetensors"):
        defects.estimates(workspace, entry)


def test_what_is_said_of_one_model_needs_no_other(outcome: Outcome) -> None:
    rows = [row for row in outcome.rows if row["cell"] == "dct"]
    (said,) = defects.findings(rows)
    assert said.startswith("dct: the published estimator is")
    assert len(defects.findings(outcome.rows)) == 2 + 1 + 5


def test_the_runs_are_the_papers(tmp_path: Path) -> None:
    names = [entry.name for entry in defects.entries("smoke") if entry.default]
    assert names == ["vdvae", "dct"]
    with pytest.raises(ValueError, match="did you mean dct"):
        defects.ITEM.work(Workspace(tmp_path, "smoke", quiet=True, only=("dc",)))
    assert list(tmp_path.iterdir()) == []
