"""The divergence of a Gaussian from a Laplace: three ways, at the ends of the grid and inside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from scipy import integrate, stats

from mrvae.papers.kiruluta2025 import kl
from mrvae.papers.outcome import Outcome, Row
from mrvae.papers.workspace import Workspace


@pytest.fixture(scope="module", autouse=True)
def few_places() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kl, "SHIFTS", (0.0, 0.1, 10.0, 41.0, 1e6))
        patch.setattr(kl, "RATES", (1e-8, 1.0, 1e4))
        yield


@pytest.fixture(scope="module")
def outcome(few_places: None, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return kl.ITEM.work(Workspace(tmp_path_factory.mktemp("kl"), "smoke", quiet=True))


def number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return float(value)


def test_the_closed_form_is_exact_to_rounding(outcome: Outcome) -> None:
    assert len(outcome.rows) == len(kl.SHIFTS) * len(kl.RATES)
    for row in outcome.rows:
        assert 0 < number(row, "quadrature") < math.inf
        assert number(row, "relative_float64") < 1e-14
        assert number(row, "relative_float32") < 1e-5
    off = [number(row, "off_by_se") for row in outcome.rows]
    assert max(off) < 5
    assert 0.5 < (sum(value**2 for value in off) / len(off)) ** 0.5 < 1.5


@pytest.mark.parametrize(("mean", "scale", "rate"), [(0.0, 1.0, 1.0), (-0.3, 0.5, 2.0)])
def test_quadrature_agrees_with_another_of_the_densities(
    mean: float, scale: float, rate: float
) -> None:
    q, p = stats.norm(mean, scale), stats.laplace(0, 1 / rate)

    def integrand(z: float) -> float:
        return float(q.pdf(z) * (q.logpdf(z) - p.logpdf(z)))

    pieces = [(mean - 12 * scale, 0.0), (0.0, mean + 12 * scale)]
    expected = sum(integrate.quad(integrand, *piece, epsabs=1e-13)[0] for piece in pieces)
    assert float(kl.quadrature(mean, scale, rate)) == pytest.approx(expected, abs=1e-11)


def test_a_wrong_form_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """|μ| in the place of E|z| is right far from zero, and nowhere near it."""

    def crude(mean: torch.Tensor, scale: torch.Tensor, rate: torch.Tensor) -> torch.Tensor:
        entropy = scale.log() + 0.5 * math.log(2 * math.pi * math.e)
        return math.log(2.0) - rate.log() - entropy + rate * mean.abs()

    monkeypatch.setattr(kl, "gaussian_laplace_kl", crude)
    rows = kl.ITEM.work(Workspace(tmp_path, "smoke", quiet=True)).rows
    errors = {(row["shift"], row["rate"]): number(row, "relative_float64") for row in rows}
    assert errors[0.1, 1.0] > 0.1
    assert errors[41.0, 1.0] < 1e-14
