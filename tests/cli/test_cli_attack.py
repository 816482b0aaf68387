from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Capture, ask, lively, refuse
from PIL import Image

from mrvae.cli import main
from mrvae.cli.runs import open_run
from mrvae.evaluation import SignGradient, attack
from mrvae.reports.image_grid import ImageGrid, grey

FEW = ["--images", 2, "--restarts", 2, "--radius", 0.125, "--latents", 2]


def test_an_attack_answers_and_shows_what_it_reached(capsys: Capture, tmp_path: Path) -> None:
    """The picture has images, attacked images, and what the latents keep of both."""
    out = tmp_path / "attack.png"
    values = ask(capsys, "attack", lively(), *FEW, "--out", out)
    run = open_run(lively())
    images = run.images("test", None, 2)
    report = attack(run.model, images, SignGradient(), radius=0.125, keep=2, restarts=2)
    assert {key: values[key] for key in ("images", "restarts", "latents")} == {
        "images": 2,
        "restarts": 2,
        "latents": 2,
    }
    for key, expected in report.summary().items():
        assert values[key] == pytest.approx(expected, rel=1e-3), key
    assert 0 < values["largest_change"] <= 0.125
    assert values["similarity"] < 1

    grid = ImageGrid(8, 2, 8, 8, enlarge=8)
    picture = np.asarray(Image.open(out).convert("L"))
    assert picture.shape == grid.shape
    corners = [grid.corner(index) for index in range(8)]
    shown = np.stack([picture[y : y + 64 : 8, x : x + 64 : 8] for y, x in corners])
    x = images.take(torch.arange(2)).numpy()[:, 0]
    assert np.array_equal(shown[:2], grey(x, 17))
    attacked = report.worst(report.images).clamp(0, 16).numpy()[:, 0]
    assert np.abs(shown[2:4].astype(int) - grey(attacked, 17)).max() <= 1
    with torch.no_grad():
        latents = run.model.encode(torch.from_numpy(x)[:, None])[:2]
        kept = run.model.likelihood(latents).mean().clamp(0, 16).numpy()[:, 0]
    assert np.abs(shown[4:6].astype(int) - grey(kept, 17)).max() <= 1
    assert not np.array_equal(shown[4:6], shown[6:8])


def test_an_attack_is_told_to_people(capsys: Capture, tmp_path: Path) -> None:
    arguments = ["attack", str(lively()), *map(str, FEW), "--optimizer", "published"]
    assert main([*arguments, "--out", str(tmp_path / "a.png")]) == 0
    text = capsys.readouterr().out
    assert "published, top 2 latents, radius 0.125" in text
    assert "symmetric KL in nats" in text
    assert "context" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--radius", -0.1], "--radius is -0.1"),
        (["--radius", "much"], "expected a number"),
        (["--latents", 9], "--latents is 9; this model has 3 latents"),
        (["--latents", 0], "--latents is 0"),
        (["--restarts", 0], "--restarts is 0"),
        (["--optimizer", "adam"], "adam"),
        (["--out", "attack.jpg"], "pictures are PNG"),
        (["--seed", -1], "--seed is -1"),
    ],
)
def test_an_attack_that_cannot_be_is_refused(
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    message: str,
) -> None:
    run = lively()
    monkeypatch.chdir(tmp_path)
    assert message in refuse(capsys, "attack", run, *arguments)
    assert list(tmp_path.iterdir()) == []
