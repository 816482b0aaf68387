"""Figure 3 of Kuzina & Tomczak: sizes of contexts, and gains over the same images."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

import mrvae
from helpers.items import made
from mrvae.papers.kuzina2023 import figure3
from mrvae.papers.kuzina2023.runs import context_size, sizes
from mrvae.papers.outcome import Budget
from mrvae.papers.workspace import Workspace


@pytest.mark.parametrize("budget", ["smoke", "cpu"])
def test_the_size_of_a_context_is_that_of_the_model(budget: Budget) -> None:
    for entry in sizes(budget):
        shapes = mrvae.build(entry.job.recipe).context.shapes
        numbers = sum(c * h * w for c, h, w in shapes)
        assert context_size(entry) == numbers


def test_a_gain_is_the_difference_of_two_bounds_and_paired(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, "smoke", quiet=True, only=("vdvae", "dct"))
    outcome = made(figure3.ITEM, workspace)
    vdvae, dct = (cast(dict[str, float], row) for row in outcome.rows)
    assert vdvae["gain"] == 0.0
    assert vdvae["context_nats"] is None
    assert dct["gain"] == pytest.approx(vdvae["importance_nats"] - dct["importance_nats"])
    assert 0 < dct["gain_se"] < vdvae["importance_nats_se"] + dct["importance_nats_se"]
    assert 0 < dct["context_nats"] < dct["nats"]
    (line,) = outcome.findings
    assert line.startswith("dct (9 numbers) against no context: ")
