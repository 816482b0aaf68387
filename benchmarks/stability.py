"""How often an update is skipped at a multiple of the usual rate, by the scale of the latents.

    python benchmarks/stability.py --threads 1 --json results/stability.json
    python benchmarks/stability.py --recipe falck2022-mnist-x1 --times 4 --steps 500
    python benchmarks/stability.py --table results/stability.json     # as Markdown

``raw`` is σ = exp(s), as published (Child 2021); ``softplus`` is σ = softplus(β s)/β, as in
Efficient-VDVAE (Hazami et al. 2022). Both train one recipe, by default that of the digits, from the
same weights, in the same order and with the same noise. Counted are the updates that are left out,
for size (the norm of the gradient is more than four times a running quantile) or because something
is not finite, in a thousand of those that were made: a run that diverges stops, as training does.
The largest norm over the median of a run says how far its jumps go.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from itertools import product
from pathlib import Path

import torch
from accelerate import Accelerator

import mrvae
from mrvae.data import Stream, images_for
from mrvae.models.build import build
from mrvae.recipes import Recipe, override
from mrvae.training.stop import Diverged
from mrvae.training.update import Updater, UpdateReport
from pairing import as_markdown, machine, show
from pairing import measured as read

SCALES = ("raw", "softplus")
HEADINGS = (
    "recipe",
    "usual rate ×",
    "scale",
    "seed",
    "steps",
    "skips / 1,000",
    "not finite",
    "largest norm",
    "nats",
)
PLAIN = ("compile=false", "precision=float32")
WIDTH = 130


def one(
    usual: Recipe, times: float, scale: str, seed: int, steps: int, changes: list[str]
) -> dict[str, object]:
    """Train, and count what was left out."""
    rate = times * usual.training.optimizer.rate
    own = (f"model.scale={scale}", f"optimizer.rate={rate}", f"steps={steps}")
    recipe = override(usual, [*PLAIN, *changes, *own])
    torch.manual_seed(seed)
    model = build(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    binary = recipe.data.binary
    stream = Stream(images_for(recipe, "train"), recipe.training.batch, seed, binary)
    updater = Updater(model, recipe.training, stream, Accelerator(cpu=True))
    reports: list[UpdateReport] = []
    for step in range(steps):
        try:
            reports.append(updater.update(step))
        except Diverged:
            break
    norms = [report.norm for report in reports if math.isfinite(report.norm)]
    last = [report.nats for report in reports[9 * steps // 10 :] if math.isfinite(report.nats)]
    return {
        "recipe": usual.name,
        "times": times,
        "scale": scale,
        "seed": seed,
        "steps": steps,
        "changes": changes,
        "rate": rate,
        "made": len(reports),
        "skips_per_1000": 1000 * sum(report.skipped for report in reports) / len(reports),
        "not_finite": len(reports) - len(norms),
        "largest_over_median_norm": max(norms) / statistics.median(norms) if norms else None,
        "nats": statistics.fmean(last) if last else None,
    }


def rows(results: list[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return the cells of the table."""
    return [
        (
            str(found["recipe"]),
            f"{found['times']:g}",
            str(found["scale"]),
            str(found["seed"]),
            f"{found['made']} of {found['steps']}",
            f"{found['skips_per_1000']:.1f}",
            str(found["not_finite"]),
            _medians(found["largest_over_median_norm"]),
            f"{found['nats']:.1f}" if found["made"] == found["steps"] else "diverged",
        )
        for found in results
    ]


def _medians(ratio: object) -> str:
    return "–" if ratio is None else f"{ratio:.3g} medians"


def main() -> None:
    """Train with both scales, at every rate, from every seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", default="digits-vdvae", help="what is trained")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--times", type=float, nargs="+", default=[4.0], help="the usual rate")
    parser.add_argument("--change", nargs="+", default=[], help="key=value changes to the recipe")
    parser.add_argument("--threads", type=int, help="threads of torch; by default its own choice")
    parser.add_argument("--json", type=Path, help="file to write the measurements into")
    parser.add_argument("--table", type=Path, help="print a file's table as Markdown")
    options = parser.parse_args()
    if options.table is not None:
        print(as_markdown(HEADINGS, rows(read(options.table))))
        return
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    usual, results = mrvae.recipe(options.recipe), []
    for times, seed, scale in product(options.times, options.seeds, SCALES):
        results.append(one(usual, times, scale, seed, options.steps, options.change))
        print(*rows(results)[-1], file=sys.stderr, flush=True)
    if options.json is not None:
        earlier = read(options.json) if options.json.exists() else []
        kept = [each for each in earlier if each["recipe"] != usual.name]
        value = {"machine": machine("cpu"), "results": [*kept, *results]}
        options.json.write_text(json.dumps(value, indent=2) + "\n")
    show("stability at a high rate", HEADINGS, rows(results), WIDTH)


if __name__ == "__main__":
    main()
