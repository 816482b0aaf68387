"""Figures 5, 6 and 9 of Kuzina & Tomczak (2023): their rows, and that they are made."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from msgspec import structs

from helpers.items import made
from helpers.members import for_all
from mrvae.data import gallery
from mrvae.data.patches import cut_patches, join_patches
from mrvae.distributions import MidTread
from mrvae.models import DCTContext
from mrvae.papers.kuzina2023 import cifar, figure5, kodak
from mrvae.papers.kuzina2023.pages import FIGURE6, FIGURE9
from mrvae.papers.outcome import Budget, Outcome
from mrvae.papers.workspace import Workspace
from mrvae.recipes.catalogue.cifar_small import CIFAR_SMALL

BUDGETS: tuple[Budget, ...] = ("smoke", "cpu", "paper")
FOLDER = os.environ.get("MRVAE_DATA", "")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose data are random images, and no photographs."""
    folder = tmp_path_factory.mktemp("kodak")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "made-up.npz", x_train=pixels, x_test=pixels[:9])
    return Workspace(folder / "out", "smoke", folder, quiet=True)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    small = ("data=made-up.npz", "training.batch=2")
    monkeypatch.setitem(cifar.CHANGES, "smoke", (*cifar.CHANGES["smoke"], *small))


def rows_of(outcome: Outcome) -> dict[str, dict[str, object]]:
    return {str(row["method"]): dict(row) for row in outcome.rows}


@pytest.mark.slow
def test_figure_5_has_every_method_at_its_rate(workspace: Workspace) -> None:
    outcome = made(figure5.ITEM, replace(workspace, only=("vdvae", "dct-explicit")))
    rows = rows_of(outcome)
    for name in ("vdvae", "dct-explicit"):
        drawn, mean = (rows[f"{name}, t = {t}"] for t in (0.1, 0))
        assert drawn["bpp"] == mean["bpp"]
    assert rows["dct-explicit, algorithm 2"]["bpp"] == rows["dct-explicit, t = 0.1"]["bpp"]
    matched = [row for row in outcome.rows if row["matched"] is not None]
    assert {row["matched"] for row in matched} == {"dct-explicit, t = 0.1"}
    gained = {name for name, row in rows.items() if row["decoder_gain"] is not None}
    assert gained == {"dct-explicit, t = 0.1", "dct-explicit, t = 0"}
    assert rows["algorithm 2, 6 × 6, not quantised"]["bpp"] is None
    assert all(row.keys() == outcome.rows[0].keys() for row in outcome.rows)
    assert len(matched) + len(gained) + 1 + 1 == len(outcome.findings) >= 8
    assert set(outcome.figures) == {"figure5"}


@pytest.mark.slow
def test_the_pages_show_the_rows(workspace: Workspace) -> None:
    for item in (FIGURE6, FIGURE9):
        outcome = item.work(workspace)
        shown = outcome.figures[item.name].axes
        assert len(shown) == 1 + len(outcome.rows) == 6
        assert outcome.rows[0]["picture"] == "made-up"
        for axes, row in zip(shown[1:], outcome.rows, strict=True):
            assert f"{row['bpp']:.3f} bpp, {row['psnr']:.2f} dB" in axes.get_title()


@for_all("budget", BUDGETS)
def test_items_share_their_runs(budget: Budget) -> None:
    items = (figure5.ITEM, FIGURE6, FIGURE9)
    jobs = [entry.job for item in items for entry in item.entries(budget)]
    by_name = {job.name: job for job in jobs}
    assert all(by_name[job.name] == job for job in jobs)
    assert len(by_name) == len(cifar.KINDS)


def test_one_hierarchy_stands_under_all_contexts() -> None:
    first, *others = CIFAR_SMALL
    for other in others:
        assert structs.replace(other.hierarchy, context=first.hierarchy.context) == first.model
        assert (other.training, other.data) == (first.training, first.data)


def test_photographs_are_asked_for_where_there_are_none(tmp_path: Path) -> None:
    assert [p.name for p in cifar.pictures(Workspace(tmp_path, "smoke", tmp_path))] == ["made-up"]
    with pytest.raises(ValueError, match="there is no folder kodak"):
        cifar.pictures(Workspace(tmp_path, "cpu", tmp_path))


def test_a_row_is_a_mean_with_its_error() -> None:
    pixels = torch.zeros(3, 1, 1)
    values = [(0.1, 20.0, 0.5), (0.2, 21.0, 0.6), (0.6, 25.0, 0.9)]
    row = kodak.averaged([kodak.Version("m", "KL", *each, pixels) for each in values], "x")
    array = np.array(values)
    assert (row["bpp"], row["psnr"], row["ms_ssim"]) == pytest.approx(tuple(array.mean(0)))
    errors = array.std(0, ddof=1) / np.sqrt(3)
    assert (row["bpp_se"], row["psnr_se"]) == pytest.approx(tuple(errors[:2]))


def test_what_a_decoder_gains_is_paired_by_photograph() -> None:
    """Photographs that differ by 10 dB, and a decoder that adds 1 to each."""
    pixels, levels = torch.zeros(3, 1, 1), (20.0, 25.0, 30.0)
    context, decoded = (
        [kodak.Version("m", "pmf", 0.1, psnr + more, None, pixels) for psnr in levels]
        for more in (0.0, 1.0)
    )
    row = kodak.averaged(decoded, None, context)
    assert (row["decoder_gain"], row["decoder_gain_se"]) == (1.0, 0.0)
    assert row["psnr_se"] == pytest.approx(5 / 3**0.5)
    (said,) = figure5.decoders([row])
    assert said == "m: the decoder adds 1.00 ± 0.00 dB to algorithm 2 alone"
    doubtful = {**row, "decoder_gain": -1.0, "decoder_gain_se": 0.6}
    assert "loses 1.00 ± 0.60" in figure5.decoders([doubtful])[0]
    assert "within two standard errors" in figure5.decoders([doubtful])[0]


@for_all("size", [3, 8])
def test_frequencies_that_are_not_quantised_are_a_projection(size: int) -> None:
    """They are those of a context whose quantiser is as fine as can be, and all of them are all."""
    picture = cifar.made_up(24)
    found = kodak.unquantised(picture, 8, size)
    context = DCTContext((3, 8, 8), size, MidTread(1e-6))
    patches = cut_patches(picture.pixels, 8)
    context.fit(patches)
    u = context.decode(context.encode(patches))
    levels = ((u + 1) * 127.5).round().clamp(0, 255).byte()
    apart = join_patches(levels, 24, 24).int() - found.pixels.int()
    assert apart.abs().max() <= 1
    assert (apart != 0).double().mean() < 0.01
    assert torch.equal(found.pixels, picture.pixels) == (size == 8)


@pytest.mark.slow
@pytest.mark.skipif(not Path(FOLDER, "kodak").is_dir(), reason="MRVAE_DATA holds no kodak")
def test_algorithm_2_alone_on_kodak() -> None:
    """6 × 6 frequencies of 32 × 32 pixels give 24.73 dB on the mean, before they are quantised."""
    found = [kodak.unquantised(picture, 32, 6).psnr for picture in gallery("kodak", FOLDER)]
    assert len(found) == 24
    assert fmean(found) == pytest.approx(24.73, abs=0.005)
    assert (min(found), max(found)) == pytest.approx((18.85, 28.72), abs=0.005)
