"""How long one waits for the first answer, against the time that importing torch takes.

    python benchmarks/startup.py --json results/startup.json
    python benchmarks/startup.py --quick
    python benchmarks/startup.py --table results/startup.json

Every command runs in a process of its own, from nothing to its end, and all take turns. The floor
is ``python -c "import torch"``: what needs torch cannot be faster, and what does not need it should
be faster by far. The first training step is a whole run of one step with its validation, its
weights and its checkpoint.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from pairing import Timing, as_markdown, ratios, said, show, write

FLOOR = "import torch"
_OUT = "OUT"
COMMANDS: dict[str, tuple[str, ...]] = {
    FLOOR: ("-c", "import torch"),
    "mrvae --help": ("-m", "mrvae", "--help"),
    "mrvae recipes": ("-m", "mrvae", "recipes"),
    "mrvae describe digits-vdvae": ("-m", "mrvae", "describe", "digits-vdvae"),
    "mrvae train digits-vdvae --steps 1": (
        *("-m", "mrvae", "train", "digits-vdvae", "--steps", "1", "--seed", "0", "--out"),
        _OUT,
    ),
}


@dataclass(frozen=True)
class Options:
    """What to time.

    Attributes:
        commands: names of the table's lines; the floor is always among them.
        rounds: turns of every command.
        warmup: rounds before them that are not counted, in which files get into memory.
        quick: one round without warming up, and no training.
        json: file to write the measurements to.
        table: only print the Markdown table of such a file.
    """

    commands: tuple[str, ...] = tuple(COMMANDS)
    rounds: int = 5
    warmup: int = 1
    quick: bool = False
    json: Path | None = None
    table: Path | None = None


@dataclass(frozen=True)
class Result:
    """Seconds of every run of a command."""

    command: str
    seconds: Timing


def run(arguments: Sequence[str]) -> tuple[float, float]:
    """Run Python with these arguments to its end; return its seconds, wall and CPU.

    Raises:
        CalledProcessError: if it fails.
    """
    with TemporaryDirectory() as folder:
        given = [str(Path(folder) / "run") if each == _OUT else each for each in arguments]
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *given], check=True, capture_output=True)
        wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def measure(options: Options) -> list[Result]:
    """Let all commands take turns."""
    names = [name for name in COMMANDS if name in options.commands or name == FLOOR]
    results = [Result(name, Timing()) for name in names]
    for turn in range(options.warmup + options.rounds):
        for result in results:
            wall, cpu = run(COMMANDS[result.command])
            if turn >= options.warmup:
                result.seconds.wall.append(wall)
                result.seconds.cpu.append(cpu)
    return results


HEADINGS = ("command", "seconds", "CPU seconds", "of the floor", "of the floor's CPU time")


def rows(results: list[Result]) -> Iterator[tuple[str, ...]]:
    """Yield one line of the table for each command."""
    floor = next(each.seconds for each in results if each.command == FLOOR)
    for each in results:
        yield (
            f"`{each.command}`",
            f"{statistics.median(each.seconds.wall):.2f}",
            f"{statistics.median(each.seconds.cpu):.2f}",
            f"{ratios(each.seconds.wall, floor.wall)[0]:.2f}",
            f"{ratios(each.seconds.cpu, floor.cpu)[0]:.2f}",
        )


def read(path: Path) -> list[Result]:
    """Read the results of an earlier run."""
    found = json.loads(path.read_text())["results"]
    return [Result(each["command"], Timing(**each["seconds"])) for each in found]


def main(options: Options) -> None:
    """Time what is asked for, and print and write it."""
    if options.table is not None:
        sys.stdout.write(as_markdown(HEADINGS, list(rows(read(options.table)))) + "\n")
        return
    if options.quick:
        short = tuple(name for name in options.commands if "train" not in name)
        options = replace(options, commands=short, rounds=1, warmup=0)
    began = time.perf_counter()
    results = measure(options)
    if options.json is not None:
        counts = {"rounds": options.rounds, "warmup": options.warmup}
        write(options.json, "cpu", counts, list(map(asdict, results)))
    show("Until the first answer", HEADINGS, list(rows(results)), width=110)
    said(time.perf_counter() - began)


if __name__ == "__main__":
    main(tyro.cli(Options))
