"""The Python of docs/compression.md runs, in a folder with a few digits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from mrvae.data import load
from mrvae.data.files.image_files import from_tensor

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compression.md"


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    monkeypatch.chdir(tmp_path)
    Path("pictures").mkdir()
    digits = load("digits", "test").take(torch.arange(3))
    for index, digit in enumerate(digits):
        from_tensor(digit).save(f"pictures/{index}.png")
    exec(compile("\n".join(blocks), "compression.md", "exec"), {})  # noqa: S102
    first, second = capsys.readouterr().out.splitlines()
    assert 80 < float(first) < 260
    bits, ideal = map(int, second.split())
    assert 0 <= bits - ideal < 64
    for path in Path("pictures").iterdir():
        assert path.read_bytes() == (Path("back") / path.name).read_bytes()
