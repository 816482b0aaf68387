from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Capture, ask, lively, refuse, trained
from PIL import Image

import mrvae
from mrvae.cli import main
from mrvae.data import images_for, load
from mrvae.evaluation import evaluate


def save_digits(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index, image in enumerate(load("digits", "test").first(count).tensor()):
        Image.fromarray(image[0].numpy()).save(folder / f"{index}.png")
    return folder


def test_a_folder_is_scored_as_the_images_in_it(capsys: Capture, tmp_path: Path) -> None:
    folder, table, picture = save_digits(tmp_path / "in", 3), tmp_path / "t.csv", tmp_path / "p.png"
    values = ask(
        capsys, "score", lively(), folder, "--importance-samples", 2, "--csv", table,
        "--out", picture, "--seed", 1,
    )  # fmt: skip
    model = mrvae.load(lively()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    digits = load("digits", "test").first(3)
    held_out = images_for(mrvae.recipe("digits-vdvae"), "validation")
    typical = float(evaluate(model, held_out, samples=1, seed=1).nats.mean())
    report = mrvae.score(model, digits, samples=2, seed=1, typical_nats=typical)
    assert values["images"]["nats"] == pytest.approx(float(report.nats.mean()), rel=1e-5)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["0.png", "1.png", "2.png"]
    for name, expected in report.scores().items():
        found = [float(row[name]) for row in rows]
        assert found == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-2), name
    assert [line["name"] for line in values["each"]] == [row["name"] for row in rows]
    assert values["detection"] is None
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 100


def test_noise_is_told_from_digits(capsys: Capture, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 17, (20, 8, 8)).astype(np.uint8)
    np.save(tmp_path / "noise.npy", noise)
    arguments = ["score", "digits-vdvae", "--limit", 20, "--importance-samples", 1]
    arguments += ["--against", tmp_path / "noise.npy", "--typical", "82", "--resamples", 50]
    values = ask(capsys, *arguments, "--out", tmp_path / "p.png")
    assert values["detection"]["nats"]["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert values["detection"]["llr_4"]["auroc"]["value"] > 0.9
    assert values["against"]["nats"] > values["images"]["nats"] + 50
    assert main([*map(str, arguments)]) == 0
    assert "LLR>7" in capsys.readouterr().out


def test_the_other_commands_take_files_too(capsys: Capture, tmp_path: Path) -> None:
    folder, out = save_digits(tmp_path / "in", 3), tmp_path / "p.png"
    before = {p: p.stat().st_mtime_ns for p in trained().rglob("*")}
    few = ["--importance-samples", 1, "--quiet"]
    own = ask(capsys, "evaluate", trained(), "--limit", 3, *few)
    named = ask(capsys, "evaluate", trained(), folder, *few)
    assert named["nats"] == own["nats"]
    assert named["paths"] == [str(folder)]
    for command in (
        ["reconstruct", trained(), folder],
        ["inspect", trained(), "latents", folder, "--draws", 1],
        ["attack", trained(), folder, "--restarts", 1, "--optimizer", "published"],
    ):
        assert ask(capsys, *command, "--out", out)["images"] == 3
    # What is noted in a run is of its own test images.
    assert {p: p.stat().st_mtime_ns for p in trained().rglob("*")} == before


def test_wrong_input_is_refused(capsys: Capture, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(large)
    for command in (["score"], ["evaluate"], ["reconstruct"], ["inspect", "latents"], ["attack"]):
        name, *what = command
        arguments = [name, trained(), *what]
        cases: list[tuple[list[object], str]] = [
            ([large], "has 20×30 pixels and the model's images 8×8; resize and crop it by --fit"),
            (["--fit"], "--fit changes the images of a PATH, and none is given"),
            ([large, "--fit", "--cut"], "--fit and --cut are given"),
            ([tmp_path / "none"], "there is no"),
            ([large, "--fit", "--csv" if name == "evaluate" else "--out", large], "is an input"),
            ([tmp_path, "--fit", "--csv" if name == "evaluate" else "--out", large], "lies in one"),
        ]
        for more, message in cases:
            assert message in refuse(capsys, *arguments, *more)
    assert "--typical is nan" in refuse(capsys, "score", trained(), "--typical", "nan")
    assert "--resamples is 0" in refuse(capsys, "score", trained(), "--resamples", 0)
    assert not list(tmp_path.glob("*.json"))


def test_without_validation_images_there_is_no_typicality(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("recipe.json", "weights.safetensors"):
        text = (trained() / name).read_bytes()
        (run / name).write_bytes(text.replace(b'"source": "digits"', b'"source": "gone"'))
    folder = save_digits(tmp_path / "in", 1)
    assert main(["score", str(run), str(folder), "--importance-samples", "1"]) == 0
    seen = capsys.readouterr()
    assert "no typicality" in seen.err
    assert "typicality" not in seen.out
