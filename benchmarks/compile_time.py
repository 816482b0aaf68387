"""How long compilation takes, the first time and when its code is in the cache.

    python benchmarks/compile_time.py --threads 1 --json results/compile.json
    python benchmarks/compile_time.py --recipes falck2022-mnist-x1 --batch 8
    python benchmarks/compile_time.py --table results/compile.json

Each recipe is compiled by two new processes, one after the other, with a cache that is empty before
the first. Seconds are those from the eager model to its first compiled backward pass; CPU seconds
are those of the process and of the C++ compilers that it starts. They do not contain imports.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
import tyro
from msgspec import structs

from mrvae.recipes import recipe
from pairing import Place, Report, written
from sides import Variant, our_step, synthetic


@dataclass(frozen=True)
class Options(Place):
    """What to compile.

    Attributes:
        recipes: their names.
        variant: the precision.
        batch: images of a step; the recipe's if not given.
        inside: compile one recipe in this process, and print the seconds; for the two processes.
    """

    recipes: tuple[str, ...] = ("falck2022-mnist-x1", "falck2022-mnist-r20")
    variant: Variant = "float32-compiled"
    batch: int | None = None
    inside: bool = False


@dataclass(frozen=True)
class Result:
    """Wall and CPU seconds of the first and the second process; None where compilation failed."""

    recipe: str
    variant: str
    batch: int
    visits: int
    first: tuple[float, float] | None
    second: tuple[float, float] | None


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def compile_here(name: str, options: Options) -> Result:
    """Compile a recipe in this process."""
    full = recipe(name)
    batch = options.batch or full.training.batch
    chosen = structs.replace(full, training=structs.replace(full.training, batch=batch))
    before = cpu_seconds()
    updater, seconds = our_step(chosen, options.variant, synthetic(chosen), torch.device("cpu"))
    # The pool of compilers ends with the process; its seconds are counted when it has.
    from torch._inductor.async_compile import shutdown_compile_workers

    shutdown_compile_workers()
    measured = None if seconds is None else (seconds, cpu_seconds() - before)
    visits = len(updater.model.decoder.shapes)
    return Result(name, options.variant, batch, visits, measured, None)


def measure(name: str, options: Options) -> Result:
    """Compile a recipe in two new processes that share a cache."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_in_new_process(name, options, folder) for _ in range(2))
    return replace(first, second=second.first)


def _in_new_process(name: str, options: Options, folder: str) -> Result:
    command = [sys.executable, __file__, "--inside", "--recipes", name]
    command += ["--variant", options.variant]
    command += [] if options.batch is None else ["--batch", str(options.batch)]
    command += [] if options.threads is None else ["--threads", str(options.threads)]
    made = subprocess.run(
        command,
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": folder},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return Result(**json.loads(made.stdout.splitlines()[-1]))


HEADINGS = (
    "recipe",
    "precision",
    "batch",
    "cells visited",
    "first, s",
    "of CPU",
    "second, s",
    "of CPU",
)


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each recipe."""
    for each in results:
        yield (
            each.recipe,
            each.variant.removesuffix("-compiled"),
            str(each.batch),
            str(each.visits),
            *(cell for times in (each.first, each.second) for cell in _cells(times)),
        )


def _cells(times: tuple[float, float] | None) -> tuple[str, str]:
    return ("failed", "–") if times is None else (f"{times[0]:.1f}", f"{times[1]:.1f}")


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    return [Result(**each) for each in written(path)]


REPORT = Report("Seconds of compilation", HEADINGS, rows, read, width=110)


def main(options: Options) -> None:
    """Compile what is asked for, and print and write the seconds."""
    if options.inside:
        options.begin()
        made = compile_here(options.recipes[0], options)
        sys.stdout.write(json.dumps(asdict(made)) + "\n")
        return
    REPORT.make(options, {}, ((each, partial(measure, each, options)) for each in options.recipes))


if __name__ == "__main__":
    main(tyro.cli(Options))
