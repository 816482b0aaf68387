"""``mrvae reproduce`` on images that are made up: what it writes, remembers and refuses."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Capture, ask, refuse
from PIL import Image

import mrvae.training
from helpers.tiny_run import after_step
from mrvae.cli import main
from mrvae.papers.catalogue import PAPERS
from mrvae.papers.falck2022 import figure5
from mrvae.papers.outcome import Extent

SMALL = (
    *("training.steps=4", "training.validate_every=2", "training.batch=4", "training.warmup=1"),
    *("training.compile=false", "model.width=4", "model.latent=1", "training.checkpoint_every=1"),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the smoke budget be about forty random images instead of MNIST."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "made-up.npz", x_train=pixels, x_test=pixels[:9])
    changes = (*SMALL, f"data={tmp_path / 'made-up.npz'}")
    monkeypatch.setitem(figure5.EXTENTS, "smoke", Extent(changes, ("x1", "r2"), images=6))
    return tmp_path / "runs" / "reproduce" / "falck2022-smoke"


def reproduce(item: str, *more: str) -> list[str]:
    return ["reproduce", "falck2022", item, "--budget", "smoke", "--quiet", *more]


@pytest.mark.slow
@pytest.mark.parametrize("item", ["figure1", "figure5", "figure6", "figure7"])
def test_an_item_is_the_same_in_its_answer_and_on_disk(
    here: Path, capsys: Capture, item: str
) -> None:
    values = ask(capsys, *reproduce(item))
    assert values.keys() == {"paper", "item", "budget", "rows", "findings", "folder"}
    assert (values["paper"], values["item"], values["budget"]) == ("falck2022", item, "smoke")
    assert values["rows"]
    assert values["findings"] == []
    found = json.loads((here / f"{item}.json").read_text())
    assert {name: found[name] for name in ("rows", "findings")} == {
        name: values[name] for name in ("rows", "findings")
    }
    with (here / f"{item}.csv").open() as file:
        lines = list(csv.DictReader(file))
    written = [{k: "" if v is None else str(v) for k, v in row.items()} for row in values["rows"]]
    assert lines == written
    pictures = list(here.glob(f"{item}*.png"))
    assert pictures
    for picture in pictures:
        assert len(np.unique(np.asarray(Image.open(picture)))) > 2


def test_at_smoke_the_text_reports_only_that_the_item_runs(here: Path, capsys: Capture) -> None:
    assert main(reproduce("figure5")) == 0
    title, shown, written = capsys.readouterr().out.strip().split("\n\n")
    assert title.startswith("falck2022 figure5: bounds against parameters")
    assert shown == "the item runs; at smoke its numbers mean nothing and are not shown"
    assert all(line.startswith("wrote ") for line in written.splitlines())


@pytest.mark.slow
def test_a_result_names_every_run_it_is_made_of(here: Path, capsys: Capture) -> None:
    ask(capsys, *reproduce("figure5"))
    found = json.loads((here / "figure5.json").read_text())
    assert [run["run"] for run in found["runs"]] == [
        f"falck2022-mnist-{model}-seed0" for model in ("r2", "x1")
    ]
    for row, run in zip(found["rows"], reversed(found["runs"]), strict=True):
        assert run["recipe"]["training"]["steps"] == row["steps"] == run["steps"] == 4
        assert run["recipe"]["name"].endswith(row["cell"])
        assert run["parameters"] == row["parameters"]
        assert run["stochastic_depth"] == row["depth"]
        assert [m["measures"]["nats"] for m in run["measured"]] == [row["nats"]]
    assert found["made_with"].keys() == {"mrvae", "torch", "python", "processor", "threads"}


@pytest.mark.slow
def test_what_is_finished_is_not_made_again_and_comes_out_the_same(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ask(capsys, *reproduce("figure5"))
    contents = {p: p.read_bytes() for p in here.rglob("*") if p.is_file()}

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("train was called")

    monkeypatch.setattr(mrvae.training, "train", forbidden)
    assert ask(capsys, *reproduce("figure5")) == before
    assert {p: p.read_bytes() for p in here.rglob("*") if p.is_file()} == contents
    ask(capsys, *reproduce("figure6", "--only", "x1"))


@pytest.mark.slow
def test_an_interrupted_item_goes_on_with_the_same_command(
    here: Path, capsys: Capture, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, 2, lambda: signal.raise_signal(signal.SIGTERM))
        assert main(reproduce("figure5")) == 128 + signal.SIGTERM
    conditioning = capsys.readouterr().err
    assert conditioning.count("\n") == 1
    assert "the same command goes on" in conditioning
    assert not (here / "figure5.json").exists()
    resumed = ask(capsys, *reproduce("figure5"))["rows"]
    whole = ask(capsys, *reproduce("figure5", "--out", str(tmp_path / "whole")))["rows"]
    for a, b in zip(resumed, whole, strict=True):
        for name in ("cell", "nats", "nats_se", "validation_nats", "flops_per_image", "seed"):
            assert a[name] == b[name]


@pytest.mark.slow
def test_cells_are_made_in_portions(here: Path, capsys: Capture) -> None:
    first = ask(capsys, *reproduce("figure5", "--only", "r2"))["rows"]
    assert [row["cell"] for row in first] == ["r2"]
    assert first[0]["flops_over_x1"] is None
    second = ask(capsys, *reproduce("figure5", "--only", "x1"))["rows"]
    assert [row["cell"] for row in second] == ["x1", "r2"]
    assert second[1]["flops_over_x1"] > 1
    assert second == ask(capsys, *reproduce("figure5"))["rows"]
    assert here.is_dir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["falck202", "figure5"], "there is no paper 'falck202'; did you mean falck2022?"),
        (["falck2022", "figur5"], "falck2022 has no item 'figur5'; did you mean figure5?"),
        (["falck2022", "zzz"], "has no item 'zzz'; there are theory, table1, table2"),
        (["falck2022", "figure5", "--only", "x9"], "--only names the cell 'x9'; did you mean"),
        (["falck2022", "figure5", "--only", "x1,,r5"], "--only names the cell ''; there are x1"),
        (["falck2022", "figure5", "--budget", "gpu"], "expected smoke, cpu or paper, found 'gpu'"),
        (["falck2022"], "required: ITEM"),
        (["falck2022", "figure5", "--out", "a-file"], "a-file, which is a file; name a folder"),
        (["falck2022", "figure5", "--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    here: Path, tmp_path: Path, capsys: Capture, arguments: list[str], message: str
) -> None:
    (tmp_path / "a-file").touch()
    assert message in refuse(capsys, "reproduce", *arguments, "--quiet")
    assert not here.exists()
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("arguments", [["--help"], ["falck2022", "figure"], ["falck2021", "x"]])
def test_lists_and_refusals_need_no_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from mrvae.cli import main\n"
        f"main(['reproduce', *{arguments!r}])\n"
        "print([m for m in ('torch', 'matplotlib', 'accelerate') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_item_of_the_paper_is_listed(capsys: Capture) -> None:
    assert main(["reproduce", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(item in text for items in PAPERS.values() for item in items)
