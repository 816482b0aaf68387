"""The page on cells of one's own: its code runs, the bound falls, and the cell is a cell."""

from __future__ import annotations

import copy
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from mrvae.models import HVAE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-cell.md"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the blocks of the page as one script, and return its names."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    script = tmp_path_factory.mktemp("page") / "own_cell.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    return runpy.run_path(str(script))


def test_training_lowers_the_bound_of_the_page(page: dict[str, Any]) -> None:
    assert page["after"] < page["before"] - 20


def test_every_cell_is_the_pages_and_every_weight_learns(page: dict[str, Any]) -> None:
    model: HVAE = page["model"]
    assert [type(cell) for stage in model.stages for cell in stage.visits] == [
        page["GatedCell"]
    ] * 4
    model.zero_grad()
    model.elbo(page["x"], page["noise"]).nats.sum().backward()  # type: ignore[no-untyped-call]
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_the_gate_decides_what_a_latent_changes(page: dict[str, Any]) -> None:
    """With a closed gate the state does not depend on z; with an open one it moves by P z."""
    model: HVAE = page["model"]
    cell = copy.deepcopy(model.stages[0].visits[0])
    assert isinstance(cell, torch.nn.Module)
    gate, project = cell.get_submodule("gate"), cell.get_submodule("project")
    h = torch.randn(4, 16, 4, 4, generator=torch.Generator().manual_seed(2))
    z = page["latents"][0]
    for bias, share in ((-1e3, 0.0), (1e3, 1.0)):
        gate.get_parameter("weight").zero_()
        gate.get_parameter("bias").fill_(bias)
        moved = cell.advance(h, z) - cell.advance(h, torch.zeros_like(z))
        expected = share * (project(z) - project(torch.zeros_like(z)))
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)


def test_samples_are_images_of_the_frame(page: dict[str, Any]) -> None:
    """Drawn from what was learnt: of the brightness of digits, not of noise on 17 bins."""
    samples, x = page["samples"].double(), page["x"].double()
    assert samples.max() <= 16
    assert (samples.mean((0, 1)) - x.mean((0, 1))).abs().mean() < (8 - x.mean((0, 1))).abs().mean()
    assert len(page["coarse"]) == 4
