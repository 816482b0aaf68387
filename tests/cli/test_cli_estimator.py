"""``mrvae evaluate`` with the published estimator beside the bounds, and trajectories."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from cli_tools import TINY, Capture, ask, refuse, trained

from mrvae.cli import main

CONTEXT = ["model.context=dct", "frequencies=3", "unet_width=16", "unet_blocks=1"]
FEW = ["--limit", 5, "--importance-samples", 2, "--quiet"]


@cache
def with_context() -> Path:
    """Return the run directory of a tiny model below a context."""
    folder = tempfile.mkdtemp(prefix="mrvae-cli-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = Path(folder) / "dct"
    arguments = ["train", "digits-vdvae", *TINY, *CONTEXT, "--steps", "2", "--out", str(run)]
    assert main([*arguments, "--quiet"]) == 0
    return run


def test_the_published_number_stands_beside_the_bounds(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "images.csv"
    plain = ask(capsys, "evaluate", with_context(), *FEW)
    both = ask(capsys, "evaluate", with_context(), *FEW, "--estimator", "kuzina2023", "--csv", out)
    more = {f"kuzina2023_{name}" for name in ("nats", "nats_se", "bits_per_dim")}
    assert both.keys() - plain.keys() == more
    assert {name: both[name] for name in plain} == plain
    assert both["kuzina2023_nats"] < both["importance_nats"]
    assert both["kuzina2023_bits_per_dim"] == pytest.approx(
        both["kuzina2023_nats"] / (64 * np.log(2))
    )
    head, *lines = out.read_text().splitlines()
    assert head == "index,nats,importance_nats,bits_per_dim,kl,kuzina2023_nats"
    column = np.array([float(line.split(",")[5]) for line in lines])
    assert column.mean() == pytest.approx(both["kuzina2023_nats"])
    assert column.std(ddof=1) / np.sqrt(5) == pytest.approx(both["kuzina2023_nats_se"])


def test_people_are_told_that_it_is_no_bound(capsys: Capture) -> None:
    arguments = map(str, ["evaluate", with_context(), *FEW, "--context-samples", 3])
    assert main([*arguments, "--estimator", "kuzina2023"]) == 0
    text = capsys.readouterr().out
    assert "importance, K = 2, J = 3" in text
    (line,) = (line for line in text.splitlines() if "published" in line)
    assert line.startswith("published estimator (Kuzina & Tomczak 2023), no bound   ")
    assert "bits/dim" in line


def test_trajectories_change_the_second_bound_alone(capsys: Capture) -> None:
    plain = ask(capsys, "evaluate", with_context(), *FEW)
    other = ask(capsys, "evaluate", with_context(), *FEW, "--context-samples", 3)
    changed = {name for name in plain if plain[name] != other[name]}
    expected = {"importance_nats", "importance_nats_se", "importance_bits_per_dim"}
    assert changed == {"context_samples", *expected}
    assert (plain["context_samples"], other["context_samples"]) == (None, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--estimator", "iwae"], "--estimator is 'iwae'; the only one is kuzina2023"),
        (["--context-samples", 0], "--context-samples is 0"),
    ],
)
def test_what_there_is_not_is_refused(
    capsys: Capture, arguments: list[object], message: str
) -> None:
    assert message in refuse(capsys, "evaluate", trained(), *arguments, "--quiet")
