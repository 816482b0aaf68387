"""The page "Your own data": its five commands on a small folder, and the rule's table."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mrvae.cli import main
from mrvae.recipes.automatic import SCALES

PAGE = (Path(__file__).parents[2] / "docs/your-data.md").read_text()


@pytest.mark.slow
def test_the_five_commands_lead_from_a_folder_to_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    stream = np.random.default_rng(0)
    for number in range(20):
        pixels = stream.integers(0, 256, (12, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{number:02}.png")
    commands = re.findall(r"^mrvae (.*)$", PAGE.split("```bash")[1].split("```")[0], re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        short = " --steps 2 training.batch=4 width=16" if command.startswith("train") else ""
        assert main(shlex.split(command + short)) == 0, command
    assert main(["decompress", "photos.mrv", "--run", "runs/photos", "--out", "back"]) == 0
    for number in range(20):
        found, wanted = (np.array(Image.open(f"{d}/{number:02}.png")) for d in ("back", "photos"))
        assert np.array_equal(found, wanted)
    assert "12x8 pixels, 3 channels, 256 bins" in capsys.readouterr().err


def test_the_table_of_the_page_is_the_rule() -> None:
    for name, rule in SCALES.items():
        (row,) = re.findall(rf"^\| {name} \|(.*)\|$", PAGE, re.MULTILINE)
        cells = [cell.strip().replace(",", "") for cell in row.split("|")]
        gib = f"{rule.memory >> 30} GiB"
        wanted = [rule.blocks, rule.cells, rule.widest, rule.latent, gib, rule.batch, rule.steps]
        assert [*cells[:4], *cells[5:8]] == [str(value) for value in wanted]
