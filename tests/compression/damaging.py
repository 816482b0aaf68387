"""Damage files of mrvae compress again and again, and count what comes of it.

    PYTHONPATH=src:tests python tests/compression/damaging.py --files 10000 --json damage.json

Files of each mode, and a progressive one of a model with a context, are damaged in each way in
turn: bits turned over, ends cut off, parts left out or repeated, bytes overwritten, random headers
(those with the right check too), beginnings of any length, cuts between two chunks, and the end of
another file. Each must be refused in one line, or, if it ends too early, decode to the chunks that
are whole. Then as many files as a tenth of these are forged, their checks made right again: bits of
a header or a chunk, hostile names, other numbers in the header, and thousands of pictures more.
They must be refused or decode to the right pictures, under names that stay in the folder. All
within 1 GiB of address space more than there was at the beginning.
Whatever else happens, a crash, a wrong picture, a file that takes longer than a minute, ends the
program with the file beside it, and no count.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import torch

from helpers.damage import MODES, Victim, damage, expected_outcomes, malice, outcome, victim
from helpers.damage import within_a_gigabyte as limited
from helpers.tiny_codec import known, tiny_context
from mrvae.compression import CodingModel
from mrvae.recipes.context import AutoregressiveSpec, DCTSpec, MidTreadSpec

LONGEST = 60
FORGERIES = {"forged", "names", "header counts", "many pictures"}


def make_victims(folder: Path) -> list[Victim]:
    """Write a file of each mode, and one of a model with a context."""
    context = tiny_context(DCTSpec(3, MidTreadSpec(2.0), AutoregressiveSpec(8, 2)))
    models = [*((known(), mode) for mode in MODES)]
    models.append((CodingModel(Path("tiny-context"), bytes(32), context), "progressive"))
    victims = []
    for number, (model, mode) in enumerate(models):
        (there := folder / str(number)).mkdir()
        victims.append(victim(model, there, mode))
    return victims


def files(victims: list[Victim], count: int, rng: Random) -> Iterator[tuple[Victim, str, bytes]]:
    """Yield damaged files, and then forged ones."""
    for number in range(count):
        yield damage(victims, number, rng)
    for number in range(count // 10):
        one = victims[number // 4 % len(victims)]
        yield one, *malice(one, number, rng, Path("forged.mrv"))


def trial(one: Victim, kind: str, data: bytes, path: Path) -> str:
    """Return what comes of a file; the alarm ends the program if it takes too long."""
    signal.alarm(LONGEST)
    found = outcome(one, data, path)
    signal.alarm(0)
    if kind not in FORGERIES and found not in expected_outcomes(one, kind, data):
        raise RuntimeError(f"{kind}: {found}")
    return found


def run(count: int, seed: int, folder: Path) -> dict[str, object]:
    """Damage, and count by mode and by kind."""
    rng, began = Random(seed), time.process_time()  # noqa: S311
    victims, counts, slowest = make_victims(folder), Counter[tuple[str, str, str]](), 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with limited():
        for one, kind, data in files(victims, count, rng):
            since = time.process_time()
            counts[one.name, kind, trial(one, kind, data, Path("damaged.mrv"))] += 1
            slowest = max(slowest, time.process_time() - since)
    Path("damaged.mrv").unlink()
    Path("forged.mrv").unlink(missing_ok=True)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "files": count,
        "seed": seed,
        "by_mode": all_reduce_sum(counts, 0),
        "by_kind": all_reduce_sum(counts, 1),
        "slowest_cpu_seconds": round(slowest, 3),
        "memory_grown_mib": round(grown / 1024, 1),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def all_reduce_sum(counts: Counter[tuple[str, str, str]], place: int) -> dict[str, dict[str, int]]:
    """Return the outcomes of all modes, or of all kinds."""
    found: dict[str, dict[str, int]] = {}
    for key, number in counts.items():
        row = found.setdefault(key[place], {})
        row[key[2]] = row.get(key[2], 0) + number
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write the counts into")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = json.dumps(run(options.files, options.seed, Path(folder)), indent=2)
    if options.json is not None:
        options.json.write_text(found + "\n")
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
