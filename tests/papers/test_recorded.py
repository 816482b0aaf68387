"""What is recorded in ``results`` is what the items of today would make of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mrvae.papers.catalogue import find
from mrvae.papers.kiruluta2025 import ablation_noise, families, figure1, kl, table1
from mrvae.papers.kuzina2023 import defects, figure5, figure5_real, figure10
from mrvae.papers.outcome import Row
from mrvae.recipes import from_json

RESULTS = Path(__file__).parents[2] / "results"
FINDINGS: dict[str, Callable[[Sequence[Row]], Sequence[str]]] = {
    "kiruluta2025-ablation_noise": ablation_noise.findings,
    "kiruluta2025-families": families.findings,
    "kiruluta2025-figure1": figure1.findings,
    "kiruluta2025-kl": lambda rows: kl.findings(rows, kl.DRAWS["cpu"]),
    "kiruluta2025-table1": table1.findings,
    "kuzina2023-defects": defects.findings,
    "kuzina2023-figure10": figure10.findings,
    "kuzina2023-figure5": lambda rows: [*figure5.findings(rows), *figure5.decoders(rows)],
    "kuzina2023-figure5-real": figure5_real.findings,
}


def read(path: Path) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return recorded


def test_recorded_findings_follow_from_recorded_rows() -> None:
    for name, findings in FINDINGS.items():
        recorded = read(RESULTS / f"{name}-cpu.json")
        found = list(findings(recorded["rows"]))
        assert found == recorded["findings"][: len(found)], name
        assert len(recorded["findings"]) - len(found) <= 1, name


def test_recorded_runs_are_entries_of_their_items() -> None:
    """Under the same name, with the same data, model and training: so they would be reused."""
    paths = sorted(RESULTS.glob("*-cpu.json"))
    assert len(paths) > 20
    for path in paths:
        recorded = read(path)
        item = find(recorded["paper"], recorded["item"].removesuffix("-real"))
        item = item.of_files() if recorded["item"].endswith("-real") else item
        recipes = {entry.job.name: entry.job.recipe for entry in item.entries("cpu")}
        for run in recorded["runs"]:
            # Read, and not compared as they stand: a key that came later is missing there.
            then, today = from_json(run["recipe"]), recipes[run["run"]]
            assert then.data == today.data, f"{path.name}: {run['run']}"
            assert then.model == today.model, f"{path.name}: {run['run']}"
            assert then.training == today.training, f"{path.name}: {run['run']}"
