"""The outcome of an item on disk: one JSON with all of it, the table as CSV, figures as PNG.

{"paper": …, "item": …, "budget": …,
"rows": [{column: value, …}, …],       all rows with the same columns
"findings": [sentence, …],
"runs": [{"run": …, "recipe": {…}, "seed": …, "steps": …, "seconds": …, "parameters": …,
"stochastic_depth": …, "flops_per_image": …, "measured": [{…}, …]}, …],
"made_with": {"mrvae": …, "torch": …, "python": …, "processor": …, "threads": …}}
"""

from __future__ import annotations

import csv
import json
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from mrvae.evaluation import describe
from mrvae.files import atomic, write_json
from mrvae.papers.bounds import curve
from mrvae.papers.outcome import Outcome
from mrvae.papers.workspace import Job, Workspace
from mrvae.recipes import to_json
from mrvae.reports.figures import write_figure

Tree = dict[str, object]


def write(paper: str, item: str, workspace: Workspace, outcome: Outcome) -> list[Path]:
    """Write an outcome into the workspace's folder and return the files.

    Raises:
        ValueError: if the rows have not all the same columns.
    """
    columns = list(outcome.rows[0]) if outcome.rows else []
    for row in outcome.rows:
        if list(row) != columns:
            raise ValueError(f"{item}: a row has the columns {list(row)}, another {columns}")
    workspace.folder.mkdir(parents=True, exist_ok=True)
    tree: Tree = {
        "paper": paper,
        "item": item,
        "budget": workspace.budget,
        "rows": [dict(row) for row in outcome.rows],
        "findings": list(outcome.findings),
        "runs": [_run(workspace, job) for _, job in sorted(workspace.used.items())],
        "made_with": made_with(),
    }
    paths = [workspace.folder / f"{item}.json", workspace.folder / f"{item}.csv"]
    write_json(paths[0], tree)
    with atomic(paths[1]) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(outcome.rows)
    for name, figure in outcome.figures.items():
        paths.append(workspace.folder / f"{name}.png")
        write_figure(paths[-1], figure)
    return paths


def _run(workspace: Workspace, job: Job) -> Tree:
    """Return the provenance of one run's numbers."""
    cost, course = describe(job.recipe), curve(workspace.path(job))
    measured = sorted(workspace.path(job).glob("measured-*.json"))
    return {
        "run": job.name,
        "recipe": to_json(job.recipe),
        "seed": job.seed,
        "steps": course[-1].step if course else 0,
        "seconds": course[-1].seconds if course else 0.0,
        "parameters": cost.parameters,
        "stochastic_depth": cost.stochastic_depth,
        "flops_per_image": cost.flops_per_image,
        "measured": [json.loads(path.read_text(encoding="utf-8")) for path in measured],
    }


def made_with() -> Tree:
    """Return the versions and the machine that a result was made with."""
    cuda = torch.cuda.is_available()
    return {
        "mrvae": version("mrvae"),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "processor": torch.cuda.get_device_name() if cuda else _processor(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Return the processor's name, as far as the system names it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
