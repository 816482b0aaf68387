from __future__ import annotations

import re
from pathlib import Path

from cli_tools import STEPS, Capture, ask, lively, refuse, trained

import mrvae

SMALL = ["--split", "validation", "--limit", "8", "--importance-samples", "2"]


def test_the_page_has_the_numbers_of_evaluate_and_the_command_of_the_run(
    tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "page.html"
    values = ask(capsys, "report", lively(), *SMALL, "--out", out)
    same = ask(capsys, "evaluate", lively(), *SMALL, "--quiet")
    html = out.read_text("utf-8")
    for key in ("nats", "importance_nats", "nats_se"):
        assert values[key] == same[key]
        assert f"<td>{same[key]:.2f}</td>" in html
    command = re.search(r"mrvae train digits-vdvae --seed 0 ([^\n]*)", html)
    assert command is not None
    assert {f"training.steps={STEPS}", "model.width=8", "model.latent=1"} <= set(command[1].split())
    assert html.count("<img ") == 4


def test_a_page_of_a_model_without_a_log_has_no_curves(tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "page.html"
    ask(capsys, "report", "digits-vdvae", *SMALL, "--out", out)
    html = out.read_text("utf-8")
    assert ">Training</h2>" not in html
    assert ">Latents</h2>" in html


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("a file")
    for name, reason in (("page.png", "end its name in .html"), ("file/page.html", "file")):
        assert reason in refuse(capsys, "report", trained(), "--out", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_every_model_that_ships_is_listed_and_loads(capsys: Capture) -> None:
    listed = ask(capsys, "models")["models"]
    assert {"digits-vdvae", "mnist-fast"} <= {entry["model"] for entry in listed}
    for entry in listed:
        model = mrvae.load(entry["model"])
        assert sum(p.numel() for p in model.parameters()) == entry["parameters"]
        assert f"{entry['parameters']:,}" in Path(entry["card"]).read_text("utf-8")


def test_train_needs_a_recipe_or_data(capsys: Capture) -> None:
    assert refuse(capsys, "train").startswith("give a recipe")
