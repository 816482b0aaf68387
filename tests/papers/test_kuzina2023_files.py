"""Figure 5 as files: a row is what lies on the disk, and half the pictures are unseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.items import made
from mrvae.compression import open_model, read_container
from mrvae.compression.format.unpacking import decode_pictures
from mrvae.data import Picture
from mrvae.data.files.patches import of_split
from mrvae.evaluation import LOSSLESS, available, psnr
from mrvae.papers.catalogue import find
from mrvae.papers.kuzina2023 import cifar, figure5_real
from mrvae.papers.kuzina2023.files import by_codec
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Workspace
from mrvae.recipes.cut import Patches

FOLDS = figure5_real.FOLDS


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose CIFAR-10 is made up."""
    folder = tmp_path_factory.mktemp("files")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "made-up.npz", x_train=pixels, x_test=pixels[:9])
    return Workspace(folder / "out", "smoke", folder, quiet=True)


@pytest.fixture(scope="module")
def outcome(workspace: Workspace) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        small = ("data=made-up.npz", "training.batch=2")
        patch.setitem(cifar.CHANGES, "smoke", (*cifar.CHANGES["smoke"], *small))
        return made(figure5_real.ITEM, workspace)


def files(workspace: Workspace, name: str) -> list[Path]:
    return sorted((workspace.folder / "files" / name).glob("*.mrv"))


@pytest.mark.slow
def test_the_bytes_of_a_row_are_those_on_the_disk(workspace: Workspace, outcome: Outcome) -> None:
    rows = {(row["pictures"], row["method"]): row for row in outcome.rows}
    sizes = [
        path.stat().st_size
        for fold in range(2)
        for path in files(workspace, f"kodak-context-fold{fold}-seed0")
    ]
    row = rows["kodak", "context, 2 of 2 folds"]
    assert (row["files"], row["bytes"]) == (4, sum(sizes))
    assert row["bpp"] == pytest.approx(8 * sum(sizes) / (4 * 64 * 64))
    assert rows["cifar10", "CIFAR-10 model"]["files"] == 1
    assert {row["method"] for row in outcome.rows if row["lossless"]} >= {"CIFAR-10 model", "PNG"}
    assert find("kuzina2023", "figure5").of_files().name == "figure5-real"


@pytest.mark.slow
def test_what_is_scored_is_what_a_file_of_an_unseen_picture_says(
    workspace: Workspace, outcome: Outcome
) -> None:
    photographs = figure5_real.photographs(workspace)
    scores = []
    for fold in range(2):
        name = f"kodak-context-fold{fold}-seed0"
        cut = Patches(folds=2, fold=fold)
        unseen = {each.name: each for each in of_split(photographs, "test", cut)}
        assert {path.stem for path in files(workspace, name)} == set(unseen)
        known = open_model(workspace.folder / "runs" / name)
        for path in files(workspace, name):
            ((entry, pixels),) = decode_pictures(read_container(path), known)
            scores.append(psnr(unseen[entry.name].pixels, pixels))
    (row,) = (row for row in outcome.rows if row["method"] == "context, 2 of 2 folds")
    assert row["psnr"] == pytest.approx(sum(scores) / len(scores))


@pytest.mark.parametrize("codec", [each for each in LOSSLESS if available(each)], ids=str)
def test_a_codec_that_loses_nothing_is_paid_by_the_whole_file(codec: object) -> None:
    stream = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 40, 30), generator=stream, dtype=torch.uint8)
    (known,) = (each for each in LOSSLESS if each == codec)
    coded = by_codec(known, Picture("noise", pixels))
    # Noise cannot be made shorter.
    assert coded.bpp > 24
    assert coded.psnr is None


def test_every_fold_is_another_run_of_one_recipe() -> None:
    jobs = [entry.job for entry in figure5_real.entries("cpu") if entry.name in FOLDS]
    assert len({job.name for job in jobs}) == 2
    cuts = [job.recipe.data.cut for job in jobs]
    assert cuts == [Patches(16, 2, 0), Patches(16, 2, 1)]
    assert jobs[0].recipe.model == jobs[1].recipe.model
    assert jobs[0].recipe.training == jobs[1].recipe.training


@pytest.mark.parametrize(("paper", "item"), [("falck2022", "figure5"), ("kuzina2023", "table2")])
def test_an_item_without_files_says_so(paper: str, item: str) -> None:
    with pytest.raises(ValueError, match=f"{item} writes no files; leave out --real"):
        find(paper, item).of_files()
