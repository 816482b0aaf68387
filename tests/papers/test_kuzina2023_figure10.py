"""Laws of figure 10 of Kuzina & Tomczak (2023): it runs, and says what its rows show."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrvae.papers import catalogue
from mrvae.papers.desk import Desk
from mrvae.papers.kuzina2023 import figure10
from mrvae.papers.outcome import Row
from mrvae.papers.writing import write


def row(cell: str, optimizer: str, kl: float, similarity: float, se: float = 0.01) -> Row:
    return {
        "cell": cell,
        "latents": 2,
        "radius": 0.1,
        "optimizer": optimizer,
        "symmetric_kl": kl,
        "similarity": similarity,
        "similarity_se": se,
    }


@pytest.mark.parametrize(
    ("similarity", "verdict"), [(0.6, "more"), (0.4, "less"), (0.51, "about as robust as vdvae")]
)
def test_findings_compare_with_the_baseline(similarity: float, verdict: str) -> None:
    (said,) = figure10.findings([row("vdvae", "pgd", 1, 0.5), row("dct", "pgd", 1, similarity)])
    assert verdict in said


def test_findings_compare_the_optimisers_where_there_is_a_divergence() -> None:
    """A context that is attacked alone has none."""
    rows = [row("vdvae", "published", 2.0, 0.5), row("vdvae", "pgd", 3.0, 0.5)]
    idle = [row("dct", "published", 0.0, 0.5), row("dct", "pgd", 0.0, 0.5)]
    *_, said = figure10.findings([*rows, *idle])
    assert "in 1 of 1 settings; the ratio is 1.50 … 1.50" in said


@pytest.mark.slow
def test_the_figure_is_made_at_smoke(tmp_path: Path) -> None:
    item = catalogue.find("kuzina2023", "figure10")
    desk = Desk(tmp_path, "smoke", quiet=True)
    outcome = item.work(desk)
    plan = figure10.PLANS["smoke"]
    assert len(outcome.rows) == 2 * 2 * len(plan.latents)
    context = [r for r in outcome.rows if r["cell"] == "dct" and r["latents"] == 1]
    assert {r["symmetric_kl"] for r in context} == {0.0}
    assert {float(r["largest_change"] or 0) <= 0.1 for r in outcome.rows} == {True}
    names = {path.name for path in write("kuzina2023", item.name, desk, outcome)}
    assert names == {"figure10.json", "figure10.csv", "figure10-radius0.1.png"}
