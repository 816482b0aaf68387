"""Properties of figure 10 of Kuzina & Tomczak (2023): findings follow from rows, and it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrvae.papers import catalogue
from mrvae.papers.kuzina2023 import figure10
from mrvae.papers.outcome import Row
from mrvae.papers.workspace import Workspace
from mrvae.papers.writing import write


def row(cell: str, optimizer: str, kl: float, similarity: float, se: float = 0.01) -> Row:
    return {
        "cell": cell,
        "latents": 2,
        "radius": 0.1,
        "optimizer": optimizer,
        "objective": kl,
        "similarity": similarity,
        "similarity_se": se,
    }


@pytest.mark.parametrize(
    ("similarity", "verdict"), [(0.6, "more"), (0.4, "less"), (0.51, "about as robust as vdvae")]
)
def test_findings_compare_with_the_baseline(similarity: float, verdict: str) -> None:
    (said,) = figure10.findings([row("vdvae", "pgd", 1, 0.5), row("dct", "pgd", 1, similarity)])
    assert verdict in said


def test_findings_compare_the_optimisers_by_what_both_climb() -> None:
    """More, less, and equal but for rounding; and nothing where there is nothing to climb."""
    reached = {"vdvae": (2.0, 3.0), "dct": (2.0, 1.0), "L4": (2.0, 2.0001), "L6": (0.0, 0.0)}
    rows = [
        row(cell, optimizer, most, 0.5)
        for cell, pair in reached.items()
        for optimizer, most in zip(("published", "pgd"), pair, strict=True)
    ]
    *_, said = figure10.findings(rows)
    assert "in 1 of 3 settings, less in 1, and within 0.1% as much" in said
    assert said.endswith("the ratio is 0.500 … 1.500")


def test_the_papers_plan_is_the_issues() -> None:
    """Three radii, 50 images from 5 starts, 50 plain steps, 100 of the sign; the cpu has a part."""
    paper, cpu = figure10.ATTACKS["paper"], figure10.ATTACKS["cpu"]
    assert (paper.radii, paper.images, paper.restarts) == ((0.05, 0.1, 0.2), 50, 5)
    assert (cpu.radii, cpu.latents, cpu.steps) == (paper.radii, paper.latents, paper.steps)
    assert [each.steps for each in figure10.ascents(paper.steps).values()] == [50, 100]


@pytest.mark.slow
def test_the_figure_is_made_at_smoke(tmp_path: Path) -> None:
    item = catalogue.find("kuzina2023", "figure10")
    workspace = Workspace(tmp_path, "smoke", quiet=True)
    outcome = item.work(workspace)
    plan = figure10.ATTACKS["smoke"]
    assert len(outcome.rows) == 2 * 2 * len(plan.latents)
    context = [r for r in outcome.rows if r["cell"] == "dct" and r["latents"] == 1]
    assert {r["symmetric_kl"] for r in context} == {0.0}
    assert {float(r["largest_change"] or 0) <= 0.1 for r in outcome.rows} == {True}
    names = {path.name for path in write("kuzina2023", item.name, workspace, outcome)}
    assert names == {"figure10.json", "figure10.csv", "figure10-radius0.1.png"}
