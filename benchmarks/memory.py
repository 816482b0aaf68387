"""The memory that a training step takes, against what ``mrvae describe --batch`` predicts.

    python benchmarks/memory.py --json results/memory.json
    python benchmarks/memory.py --only digits kuzina          # some of the cases
    python benchmarks/memory.py --mmap-threshold 131072       # freed memory is given back at once
    python benchmarks/memory.py --table results/memory.json   # as Markdown

Each case is a process of its own. It makes two steps of a small model, so that libraries are
loaded, and notes its resident memory; builds the recipe's model, the optimiser and the averages,
and makes two updates of random images, the second with the optimiser's moments in place. What it
took is its largest resident memory less what it noted, as the operating system counts both.

The C library keeps freed pieces of up to 32 MiB, in case they are wanted again. With a fixed
threshold every larger piece is the system's own and goes back to it, which takes some time.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator

import mrvae
from mrvae.data import Images, Stream
from mrvae.models.build import build
from mrvae.recipes import Recipe, override
from mrvae.training.memory.footprint import footprint
from mrvae.training.update import Updater
from pairing import as_markdown, machine, show
from pairing import measured as read

PLAIN = ("compile=false", "precision=float32")
HEADINGS = ("recipe", "batch", "changes", "predicted MiB", "measured MiB", "predicted / measured")
WIDTH = 110


@dataclass(frozen=True)
class Case:
    """A recipe, its batch, and what else is changed of it."""

    recipe: str
    batch: int
    changes: tuple[str, ...] = ()

    def make(self) -> Recipe:
        """Return the recipe with the changes."""
        changes = (*PLAIN, f"batch={self.batch}", "accumulate=1", *self.changes)
        return override(mrvae.recipe(self.recipe), changes)


CASES = (
    Case("digits-vdvae", 1024),
    Case("digits-vdvae", 1024, ("activation_checkpointing=true",)),
    Case("digits-vdvae", 1024, ("precision=bfloat16",)),
    Case("digits-vdvae", 1024, ("accumulate=4",)),
    Case("kuzina2023-mnist-vdvae", 64),
    Case("kuzina2023-mnist-vdvae", 64, ("activation_checkpointing=true",)),
    Case("falck2022-mnist-x1", 128),
    Case("kiruluta2025-cifar10-32-wavelet-elbo", 256),
    Case("vdvae-cifar10", 1),
    Case("vdvae-cifar10", 1, ("activation_checkpointing=true",)),
)


def resident() -> int:
    """Return the bytes that this process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def two_updates(recipe: Recipe) -> None:
    """Make the first two updates of a run of random images."""
    model = recipe.model
    levels, count = model.likelihood.bins, 64
    shape = (count, *model.image)
    pixels = torch.randint(0, levels, shape, dtype=torch.uint8)
    images = Images(pixels, "random", "train", levels)
    stream = Stream(images, recipe.training.batch, 0)
    network = build(recipe)
    if recipe.training.activation_checkpointing:
        network.enable_activation_checkpointing()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    updater = Updater(network, recipe.training, stream, Accelerator(cpu=True))
    for step in range(2):
        updater.update(step)


def measured(case: Case) -> int:
    """Return the bytes that two updates took, in this process."""
    two_updates(override(mrvae.recipe("digits-vdvae"), [*PLAIN, "batch=2", "accumulate=1"]))
    before = resident()
    two_updates(case.make())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def in_its_own_process(index: int, threshold: int | None) -> int:
    """Measure a case in a new process, perhaps with a fixed threshold of the C library's malloc."""
    command = [sys.executable, __file__, "--one", str(index)]
    fixed = {} if threshold is None else {"MALLOC_MMAP_THRESHOLD_": str(threshold)}
    environment = os.environ | fixed
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(found.stdout.split()[-1])


def one(index: int, threshold: int | None) -> dict[str, object]:
    """Predict and measure a case."""
    case = CASES[index]
    found = footprint(case.make())
    took = in_its_own_process(index, threshold)
    return {
        "recipe": case.recipe,
        "batch": case.batch,
        "changes": list(case.changes),
        "step_flops": found.flops,
        "kept_bytes": found.kept,
        "predicted_bytes": found.peak,
        "measured_bytes": took,
        "ratio": found.peak / took,
    }


def rows(results: list[dict[str, object]]) -> list[tuple[str, ...]]:
    """Return the cells of the table."""
    return [
        (
            str(found["recipe"]),
            str(found["batch"]),
            ", ".join(found["changes"]) or "none",  # type: ignore[arg-type]
            f"{found['predicted_bytes'] / 2**20:,.0f}",  # type: ignore[operator]
            f"{found['measured_bytes'] / 2**20:,.0f}",  # type: ignore[operator]
            f"{found['ratio']:.2f}",
        )
        for found in results
    ]


def main() -> None:
    """Predict and measure every case that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names and changes")
    parser.add_argument("--mmap-threshold", type=int, help="bytes, fixed for malloc")
    parser.add_argument("--json", type=Path, help="file to write the measurements into")
    parser.add_argument("--table", type=Path, help="print a file's table as Markdown")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table is not None:
        print(as_markdown(HEADINGS, rows(read(options.table))))
        return
    if options.one is not None:
        print(measured(CASES[options.one]))
        return
    results = []
    for index, case in enumerate(CASES):
        if any(part in " ".join((case.recipe, *case.changes)) for part in options.only):
            results.append(one(index, options.mmap_threshold))
            print(*rows(results)[-1], file=sys.stderr, flush=True)
    if options.json is not None:
        value = {
            "machine": machine("cpu"),
            "mmap_threshold": options.mmap_threshold,
            "results": results,
        }
        options.json.write_text(json.dumps(value, indent=2) + "\n")
    show("memory of a training step", HEADINGS, rows(results), WIDTH)


if __name__ == "__main__":
    main()
