"""Properties of the items of Falck et al. (2022): bands, moments, and what a change changes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import pywt
import torch
from msgspec import structs
from torch.nn import functional

from helpers.members import for_all
from mrvae.evaluation import PassNorms, describe
from mrvae.papers import catalogue
from mrvae.papers.entries import Entry, Result
from mrvae.papers.falck2022 import ablations, figure6, figure7, table1, table2
from mrvae.papers.falck2022.figure1 import bands_of, nested
from mrvae.papers.outcome import Budget
from mrvae.papers.workspace import Measures

cost = cache(describe)
BUDGETS: tuple[Budget, ...] = ("smoke", "cpu", "paper")


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


# ------------------------------------------------------------------------------------- figure 1


@for_all("channels", [1, 3])
def test_the_bands_hold_all_energy_and_are_those_of_pywavelets(channels: int) -> None:
    x = noise(5, channels, 16, 16)
    bands = bands_of(x)
    assert math.fsum(bands.values()) == pytest.approx(float(x.square().sum()) / 5, rel=1e-12)
    coarse, *details = pywt.wavedec2(x.numpy(), "haar", axes=(2, 3))
    expected = {0: np.square(coarse).sum() / 5}
    for part in details:
        expected[part[0].shape[-1]] = sum(np.square(each).sum() for each in part) / 5
    assert bands == pytest.approx(expected)


@for_all("side", [2, 4, 8])
def test_an_image_of_a_coarser_space_has_no_energy_in_finer_bands(side: int) -> None:
    x = functional.interpolate(noise(3, 1, side, side), size=16, mode="nearest")
    for band, energy in bands_of(x).items():
        assert (energy < 1e-24) == (band >= side)


def test_nested_coefficients_stand_where_pywavelets_puts_them() -> None:
    x = noise(8, 8)
    expected, _ = pywt.coeffs_to_array(pywt.wavedec2(x.numpy(), "haar"))
    np.testing.assert_allclose(nested(x).numpy(), expected, atol=1e-12)


# ------------------------------------------------------------------------------------- figure 6


def test_findings_of_norms_follow_from_the_norms() -> None:
    sizes, means = (32, 32, 16, 16, 16, 8), (4.0, 6.0, 2.0, 1.0, 1.5, 1.0)
    first, second = figure6.findings("x1", "up", PassNorms(sizes, means, (0.0,) * 6))
    assert "rises in 1 of 2 resolutions" in first
    assert "multiplied by 0.33 … 0.67; between other blocks by 0.50 … 1.50" in second


# ------------------------------------------------------------------------------------- figure 7


@for_all("bins", [2, 17])
def test_moments_are_those_of_ink_and_of_edges(bins: int) -> None:
    stream = torch.Generator().manual_seed(1)
    x = torch.randint(0, bins, (20, 3, 6, 6), generator=stream).to(torch.uint8)
    grey = x.numpy() / (bins - 1)
    ink = grey.sum(axis=(1, 2, 3))
    edges = sum(np.abs(np.diff(grey, axis=a)).sum(axis=(1, 2, 3)) for a in (2, 3))
    found = figure7.moments(x, bins)
    assert found.ink == pytest.approx(ink.mean())
    assert found.ink_sd == pytest.approx(ink.std(ddof=1))
    assert found.edges == pytest.approx(edges.mean())
    assert found.edges_sd == pytest.approx(edges.std(ddof=1))


def test_the_temperature_of_the_data_is_chosen() -> None:
    """Samples whose ink is spread t times as far as the data's are nearest at t = 1."""
    data = figure7.Moments(100.0, 20.0, 50.0, 10.0)
    grid = (0.6, 0.7, 0.8, 0.9, 1.0)
    for true in grid:
        found = {t: replace(data, ink_sd=20.0 * t / true, edges_sd=10.0 * t / true) for t in grid}
        assert figure7.nearest(found, data) == true
    assert figure7.Moments(0.0, 0.0, 0.0, 0.0).distance(data) == math.inf


# ----------------------------------------------------------------------- tables and ablations


@cache
def every(budget: Budget) -> dict[str, list[Entry]]:
    names = ("figure1", "figure5", "figure6", "figure7", "table1", "table2", "ablations")
    return {name: list(catalogue.find("falck2022", name).entries(budget)) for name in names}


@for_all("budget", BUDGETS)
def test_a_directory_belongs_to_one_recipe(budget: Budget) -> None:
    """Items share a folder, so the name of a run must say all that tells it from another."""
    jobs = [entry.job for entries in every(budget).values() for entry in entries]
    by_name = {job.name: job for job in jobs}
    assert all(by_name[job.name] == job for job in jobs)


@for_all("budget", BUDGETS)
def test_entries_have_unique_names_and_some_are_made_by_default(budget: Budget) -> None:
    for entries in every(budget).values():
        names = [entry.name for entry in entries]
        assert len(set(names)) == len(names)
        assert any(entry.default for entry in entries)
        assert not any("," in name for name in names)


def test_a_change_changes_the_model_alone() -> None:
    by_name = {entry.name: entry.job.recipe for entry in ablations.entries("cpu")}
    for change in ablations.CHANGES:
        if change.base:
            one, base = by_name[change.name], by_name[change.base]
            assert one.model != base.model
            assert structs.replace(one, model=base.model, parameters=0, depth=0) == structs.replace(
                base, parameters=0, depth=0
            )


def test_a_single_resolution_has_the_depth_and_the_parameters_of_many() -> None:
    by_name = {entry.name: cost(entry.job.recipe) for entry in ablations.entries("cpu")[:7]}
    single, many = by_name["single"], by_name["x1"]
    assert single.stochastic_depth == many.stochastic_depth
    assert single.parameters == pytest.approx(many.parameters, rel=0.005)
    assert len(single.levels) == 1
    for name in ("latent2", "latent16", "plain", "synchronous"):
        assert by_name[name].stochastic_depth == many.stochastic_depth
    assert by_name["latent16"].latents == 2 * many.latents


def result(entry: Entry, nats: float | None, base: Result[None] | None = None) -> Result[None]:
    measures: Measures = {"nats": nats, "nats_se": 0.2, "images": 10_000}
    known = None if nats is None else measures
    return Result(entry, cost(entry.job.recipe), (), known, base=base)


def test_findings_of_table_2_follow_from_its_rows() -> None:
    plain, normalised, *_ = table2.entries("cpu")
    base = result(plain, 90.0)
    (finding,) = table2.findings([base, result(normalised, 200.0, base)])
    assert finding.startswith("x1: with the state normalised 200.00 against 90.00 nats")
    assert "worse" in finding
    (finding,) = table2.findings([base, result(normalised, None, base)])
    assert "diverges" in finding
    assert table2.findings([result(normalised, 90.0)]) == []


def test_findings_of_table_1_follow_from_its_rows() -> None:
    shared, plain, *_ = table1.entries("cpu")
    (finding,) = table1.findings([result(shared, 85.0, result(plain, 86.0))])
    assert finding.startswith("mnist-ws has 68% of the parameters; equal steps: 85.00 against")
    assert "better" in finding


def test_findings_of_the_ablations_follow_from_their_rows() -> None:
    x1, latent2, *_ = ablations.entries("cpu")
    (finding,) = ablations.findings([result(latent2, 90.1, result(x1, 90.0))])
    assert "no clear difference" in finding
    assert finding.startswith("latent2 (2 latent channels instead of 8) against x1: 90.10")
