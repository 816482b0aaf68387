"""The findings of the items of Kiruluta (2025) follow from the measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from msgspec import structs

from helpers.items import made
from mrvae.papers.catalogue import find
from mrvae.papers.entries import with_bounds
from mrvae.papers.kiruluta2025 import ablation_noise, families, figure1, figure2, table1
from mrvae.papers.kiruluta2025.curves import rates_figure
from mrvae.papers.kiruluta2025.quality import errors, measured_images, thresholded
from mrvae.papers.kiruluta2025.runs import ABLATION, ablation, penalty, table, wavelet_vae
from mrvae.papers.outcome import Extent, Row
from mrvae.papers.workspace import Workspace
from mrvae.recipes.wavelet import Sparse, WaveletVAE


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(tmp_path_factory.mktemp("desk"), "smoke", quiet=True)


def number(row: Row, name: str) -> float:
    value = row[name]
    assert isinstance(value, int | float)
    return float(value)


def test_the_table_has_the_paper_beside_ours(workspace: Workspace) -> None:
    outcome = made(table1.ITEM, workspace)
    rows = {str(row["cell"]): row for row in outcome.rows}
    assert list(rows) == ["vae", "wavelet", "oracle", "wavelet-elbo", "wavelet-coarse-to-fine"]
    assert rows["oracle"]["bits_per_dim"] is rows["oracle"]["rate"] is None
    for row in (each for name, each in rows.items() if name != "oracle"):
        # The mean of decibels is at least the decibels of the mean (Jensen).
        assert number(row, "psnr") >= -10 * torch.tensor(number(row, "mse")).log10().item() - 1e-4
        assert number(row, "bits_per_dim_se") > 0
        # The bound is the rate and what the likelihood asks beyond it, of a discrete pixel not < 0.
        assert 0 < number(row, "rate") < number(row, "bits_per_dim")
        assert number(row, "band_frechet") > number(row, "band_frechet_reconstructed") > 0
    # What begins with the image's own coefficients has little but its noise; the VAE has to learn.
    assert number(rows["oracle"], "mse") < number(rows["wavelet"], "mse") < 0.1**2 * 1.1
    assert number(rows["wavelet"], "mse") < number(rows["vae"], "mse")
    assert "MSE" in outcome.findings[0]
    assert "direction holds" in outcome.findings[0]
    assert len(outcome.findings) == 3 + 3 + 1
    assert set(outcome.figures) == {"table1"}


def test_the_papers_numbers_stand_beside_images_of_its_size() -> None:
    """At 128 × 128, whatever the budget, and nowhere else."""
    for budget, expected in (
        ("cpu", {"vae-128": 32.5, "wavelet-128": 28.1}),
        ("paper", {"vae": 32.5, "wavelet": 28.1}),
        ("smoke", {}),
    ):
        entries = table(budget)  # type: ignore[arg-type]
        printed = {
            entry.name: table1.PUBLISHED.get(table1.printed_name(entry)) for entry in entries
        }
        found = {name: row["paper_fid"] for name, row in printed.items() if row is not None}
        assert found == expected


def test_both_models_at_the_papers_size_have_as_many_parameters() -> None:
    import mrvae

    entries = {entry.name: entry for entry in table("cpu")}
    counts = [
        sum(p.numel() for p in mrvae.build(entries[name].job.recipe).parameters())
        for name in ("vae-128", "wavelet-128")
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.05)


def test_a_cell_may_be_measured_on_fewer_images(workspace: Workspace) -> None:
    entry = table("smoke")[0]
    assert len(measured_images(workspace, entry)) == 16
    assert len(measured_images(workspace, replace(entry, images=5))) == 5
    few = replace(entry, images=5)
    (found,) = with_bounds(workspace, [few], Extent(images=16), lambda workspace, entry: None)
    assert found.bound("images") == 5
    assert len(found.each["nats"]) == 5
    assert [each.limit(2000) for each in table("cpu")] == [2000] * 4 + [300] * 3


def test_the_figure_draws_each_row_from_its_rate_to_its_bound() -> None:
    row: Row = {"cell": "a", "size": 8, "mse": 0.1, "rate": 1.0, "bits_per_dim": 3.0}
    other: Row = {**row, "cell": "b", "size": 16, "mse": 0.2}
    left, right = rates_figure([row, other], {16: 0.01}).axes
    lines = [line.get_xydata().tolist() for line in left.lines]  # type: ignore[union-attr]
    assert lines == [[[1.0, 0.1], [3.0, 0.1]], [[1.0, 0.1]], [[3.0, 0.1]]]
    assert len(right.lines) == len(left.lines) + 1


def test_noise_adds_its_square(workspace: Workspace) -> None:
    outcome = made(ablation_noise.ITEM, workspace)
    learnt, fixed = outcome.rows
    assert number(fixed, "s") == pytest.approx(0.01)
    assert number(learnt, "s") == pytest.approx(0.1, rel=0.05)
    for row in outcome.rows:
        # 16 images of 64 pixels: the mean of 1024 squares has an error of 4 %.
        assert number(row, "mse_of_noise") == pytest.approx(number(row, "s_squared"), rel=0.25)
        assert number(row, "mse_still") + number(row, "mse_of_noise") == number(row, "mse")
    assert "fixed-0.01: MSE" in outcome.findings[0]
    # The less noise, the less error and the more bits.
    assert number(fixed, "mse") < number(learnt, "mse")
    assert number(fixed, "rate") > number(learnt, "rate") + 2
    assert "the least MSE is that of fixed-0.01" in outcome.findings[-2]
    (figure,) = outcome.figures.values()
    assert len(figure.axes) == 3


def test_the_oracles_error_grows_with_its_weight(workspace: Workspace) -> None:
    """Below the threshold λ/2 a detail is lost, and above it moved by λ/2: λ²/4 at most."""
    found = ablation_noise.oracles(workspace, ablation("smoke")[0])
    errors = list(found.values())
    assert errors == sorted(errors)
    assert errors[0] > 0
    assert all(error <= weight**2 / 4 for weight, error in found.items())


def test_claims_are_read_off_the_rows() -> None:
    base = {"size": 128, "mse": 0.045, "ssim": 0.7, "band_frechet": 1.0, "bits_per_dim": 5.0}
    vae: Row = {"cell": "vae", **base, "bits_per_dim_se": 0.1}
    other: Row = {**vae, "cell": "wavelet", "mse": 0.038, "ssim": 0.6, "bits_per_dim": 7.0}
    mse, ssim, frechet, bits = table1.findings([vae, other])
    assert "0.0450 for the VAE, 0.0380 for the Wavelet-VAE" in mse
    assert "direction holds" in mse
    assert "does not hold" in ssim
    assert "does not hold" in frechet
    assert "5.000 bits/dim for the VAE, 7.000 ± 0.100 for wavelet" in bits
    assert mse.startswith("128 × 128: MSE")
    assert "nothing to compare" in table1.findings([vae])[0]


def test_no_coefficients_are_better_than_the_oracle() -> None:
    """Equation 22 at the oracle, at the image's own coefficients, and around the oracle."""
    from mrvae.models.wavelet.surrogate import soft_threshold
    from mrvae.resolution import Coefficients, Wavelet

    spec = wavelet_vae(table("smoke")[1])
    assert spec is not None
    spec = structs.replace(spec, loss=Sparse(weights=(0.3, 0.2)))
    stream = torch.Generator().manual_seed(0)
    u = torch.rand(3, 1, 8, 8, generator=stream, dtype=torch.float64)
    haar, weights = Wavelet("haar"), penalty(spec)

    def loss(c: Coefficients) -> float:
        error = (u - haar.synthesis(c)).square().sum()
        sizes = sum(w * d.abs().sum() for w, d in zip(weights, c.details, strict=True))
        return float(error + sizes)

    best = soft_threshold(u, haar, weights)
    found = thresholded(u, spec)
    assert found is not None
    torch.testing.assert_close(found, haar.synthesis(best))
    assert loss(best) < loss(haar.analysis(u, 2))
    for _ in range(5):
        moved = [
            d + 0.01 * torch.randn(d.shape, generator=stream, dtype=d.dtype) for d in best.details
        ]
        assert loss(best) < loss(Coefficients(best.approximation, tuple(moved)))
    assert thresholded(u, structs.replace(spec, wavelet="bior2.2")) is None


def test_errors_have_the_spread_of_their_images() -> None:
    x = torch.full((2, 1, 8, 8), 0.5)
    y = torch.stack([x[0] + 0.1, x[1] + 0.3])
    found = errors(x, y)
    assert found["mse"] == pytest.approx(0.05)
    assert found["mse_se"] == pytest.approx(0.04)
    assert found["psnr"] == pytest.approx((20 + 10.4576) / 2, abs=1e-3)


def test_entries_differ_in_their_models_and_share_a_run() -> None:
    entries = {entry.name: entry for entry in ablation("cpu")}
    shared = {entry.name: entry for entry in table("cpu")}["wavelet"]
    assert set(entries) == set(ABLATION)
    assert entries["learnt"].job == shared.job
    assert len({entry.job.name for entry in entries.values()}) == len(entries)
    models = [entry.job.recipe.model for entry in entries.values()]
    assert all(isinstance(model, WaveletVAE) for model in models)
    assert len(set(models)) == len(models)
    assert find("kiruluta2025", "table1") is table1.ITEM


def test_each_budget_has_its_images(tmp_path: Path) -> None:
    for entry in table("cpu"):
        assert entry.job.recipe.data.source == "cifar10_8k.npz"
    assert {entry.job.recipe.model.size for entry in table("paper")} == {128}


def test_the_figures_show_each_model_and_each_band(workspace: Workspace) -> None:
    shown = made(figure1.ITEM, workspace)
    assert set(shown.figures) == {"figure1", "figure1_samples"}
    assert [row["cell"] for row in shown.rows] == [entry.name for entry in table("smoke")]
    assert "bits/dim, proxy Fréchet" in shown.findings[0]
    bands = made(figure2.ITEM, workspace)
    assert set(bands.figures) == {"figure2-wavelet"}
    assert sum(number(row, "share") for row in bands.rows) == pytest.approx(1)
    # Digits are bright strokes: no band of details has what the approximation has.
    first, *others = (number(row, "mse_without") for row in bands.rows)
    assert first > max(others)


@pytest.mark.slow
def test_families_are_compared_at_equal_depth(workspace: Workspace) -> None:
    outcome = made(families.ITEM, workspace)
    assert [(row["wavelet"], row["levels"]) for row in outcome.rows] == [
        ("haar", 1),
        ("bior2.2", 2),
    ]
    assert outcome.findings == ["no two wavelets are finished at one depth; nothing to compare"]
    assert len(families.entries("cpu")) == 20
