"""Kill a training run again and again, and see that nothing is ever lost.

    python tests/faults/harness.py --kills 50 --json kills.json

Each kill is SIGKILL, in a process of its own, to a run on the digits that was begun anew. It comes
in one of three ways, in turn: at a random moment; at a random one of the run's operations on files
(opening, renaming, deleting), from inside; or from outside, when a checkpoint's temporary file has
appeared and is being written. The run is then resumed to its end, and every file of it compared
with those of a run that was never interrupted, seconds in the log aside. The answer is JSON: how
many were killed, resumed, and equal, and how many checkpoints could not be read.

    python tests/faults/harness.py --signals 40 --rivals 20 --closed 10 --groups 4 --flips 4000
    python tests/faults/harness.py --fuzz 1000

makes the other trials instead, which ``run_trials.py`` and ``fuzz.py`` describe.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from faults.fuzz import fuzz
from faults.run_trials import count_flips, try_closed, try_group, try_rivals, try_signals
from helpers.tiny_run import outcome, tiny
from mrvae.training import train

STEPS, EVERY = 12, 2
CHANGES = (f"steps={STEPS}", "validate_every=5", f"checkpoint_every={EVERY}", "keep=2")
# As small as a model with two levels and every kind of file can be: a kill costs two runs.
SMALL = ("width=4", "batch=32")
FILES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"}
Trial = Callable[[Path, int, np.random.Generator], bool]
TRIALS: dict[str, Trial] = {
    "signals": try_signals,
    "rivals": try_rivals,
    "closed": try_closed,
    "groups": try_group,
}
KINDS = ("moment", "operation", "writing")


@dataclass(frozen=True)
class Kill:
    """One kill, what it left, and what came of the run after it was resumed."""

    kind: str
    where: float
    checkpoints: int
    temporaries: int
    equal: bool
    unreadable: int


@dataclass(frozen=True)
class Whole:
    """The run that was never interrupted."""

    files: dict[str, object]
    seconds: float
    operations: int


def in_child(act: Callable[[], None], errors: Path) -> int:
    """Fork a process that acts with its stderr in a file; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    with errors.open("a") as file:
        os.dup2(file.fileno(), 2)
        try:
            act()
            code = 0
        finally:
            os._exit(code)


def finish(child: int) -> int:
    """Wait for a process, and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def watch_files(run: Path, act: Callable[[int], None]) -> None:
    """Tell ``act`` the number of each operation on files of this process, before it is made."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        opened = event == "open" and str(arguments[0]).startswith(str(run))
        if opened or event in FILES:
            count += 1
            act(count)

    sys.addaudithook(hook)


def make(run: Path, resume: bool = False) -> None:
    train(tiny(*CHANGES, *SMALL), run, resume=resume, quiet=True)


def make_whole(folder: Path) -> Whole:
    """Make the run that is never interrupted, and count its operations on files."""
    run, counter = folder / "whole", folder / "operations"

    def act() -> None:
        numbers: list[int] = []
        watch_files(run, numbers.append)
        make(run)
        last = numbers[-1]
        counter.write_text(str(last))

    began = time.monotonic()
    if finish(in_child(act, folder / "errors")) != 0:
        raise RuntimeError((folder / "errors").read_text())
    seconds = time.monotonic() - began
    return Whole(outcome(run), seconds, int(counter.read_text()))


def die_at(run: Path, number: int) -> None:
    """Make the run, and die before an operation on files."""

    def die(count: int) -> None:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    watch_files(run, die)
    make(run)


def kill_when(child: int, ready: Callable[[], bool]) -> int:
    """Kill a process as soon as something holds, unless it has ended; return its exit code."""
    while not ready():
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    return finish(child)


def kill(run: Path, kind: str, where: float, errors: Path) -> int:
    """Begin a run, kill it, and return its exit code: 0 if it was faster."""
    if kind == "operation":
        return finish(in_child(lambda: die_at(run, int(where)), errors))
    child = in_child(lambda: make(run), errors)
    if kind == "moment":
        until = time.monotonic() + where
        return kill_when(child, lambda: time.monotonic() > until)
    state = run / "state"
    begun = f".step-{int(where):08d}/.mrvae-*"
    return kill_when(child, lambda: next(state.glob(begun), None) is not None)


def place(kind: str, whole: Whole, random: np.random.Generator) -> float:
    """Draw where a kill of a kind comes: seconds, the number of an operation, or a step."""
    if kind == "moment":
        return float(random.uniform(0, whole.seconds))
    if kind == "operation":
        return int(random.integers(1, whole.operations + 1))
    return EVERY * int(random.integers(1, STEPS // EVERY + 1))


def trial(folder: Path, kind: str, whole: Whole, random: np.random.Generator) -> Kill:
    """Kill one run, resume it, and compare."""
    for attempt in range(1000):
        run, errors = folder / f"run-{attempt}", folder / f"errors-{attempt}"
        where = place(kind, whole, random)
        code = kill(run, kind, where, errors)
        if code == -signal.SIGKILL:
            break
        if code:
            raise RuntimeError(errors.read_text())
    checkpoints = len(list(run.glob("state/step-*")))
    left = [path for path in run.rglob(".*") if path.is_file()]
    if finish(in_child(lambda: make(run, resume=True), errors)) != 0:
        raise RuntimeError(f"{kind} {where}: {errors.read_text()}")
    found = outcome(run)
    equal = all(found.get(name) == content for name, content in whole.files.items())
    clean = not any(path.name.startswith(".") for path in run.rglob("*"))
    unreadable = errors.read_text().count("cannot be read")
    return Kill(kind, where, checkpoints, len(left), equal and clean, unreadable)


def count(kills: list[Kill], seconds: float) -> dict[str, object]:
    return {
        "kills": len(kills),
        "by_kind": {kind: sum(k.kind == kind for k in kills) for kind in KINDS},
        "while_writing": sum(kill.temporaries > 0 for kill in kills),
        "resumes": len(kills),
        "bits_equal": sum(kill.equal for kill in kills),
        "unreadable": sum(kill.unreadable for kill in kills),
        "seconds": round(seconds, 1),
        "each": [asdict(kill) for kill in kills],
    }


def make_trials(
    name: str, trial_of: Trial, tries: int, random: np.random.Generator
) -> dict[str, object]:
    """Make the trials of one kind, and count those in which the promise held."""
    began, held = time.monotonic(), 0
    for number in range(tries):
        with tempfile.TemporaryDirectory() as folder:
            good = trial_of(Path(folder), number, random)
        print(f"{name} {number}: {'held' if good else 'BROKEN'}", file=sys.stderr, flush=True)
        held += good
    return {"tries": tries, "held": held, "seconds": round(time.monotonic() - began, 1)}


def make_kills(tries: int, random: np.random.Generator) -> tuple[dict[str, object], bool]:
    """Kill runs; return the counts, and whether nothing was lost."""
    began = time.monotonic()
    kills: list[Kill] = []
    with tempfile.TemporaryDirectory() as folder:
        whole = make_whole(Path(folder))
        for number in range(tries):
            place_of = Path(folder) / str(number)
            place_of.mkdir()
            kills.append(trial(place_of, KINDS[number % len(KINDS)], whole, random))
            print(kills[-1], file=sys.stderr, flush=True)
    good = all(kill.equal and not kill.unreadable for kill in kills)
    return count(kills, time.monotonic() - began), good


def make_others(options: argparse.Namespace, random: np.random.Generator) -> dict[str, object]:
    """Make the trials that are no kills."""
    found: dict[str, object] = {
        name: make_trials(name, trial_of, getattr(options, name), random)
        for name, trial_of in TRIALS.items()
        if getattr(options, name)
    }
    if options.flips:
        with tempfile.TemporaryDirectory() as folder:
            found["flips"] = count_flips(Path(folder), options.flips, random)
    if options.fuzz:
        with tempfile.TemporaryDirectory() as folder:
            found["fuzz"] = fuzz(Path(folder), options.fuzz, options.seed)
    return found


def all_held(found: dict[str, object]) -> bool:
    """Return whether every promise held in every trial, and every changed bit was noticed."""
    values = [value for value in found.values() if isinstance(value, dict)]
    inner = all(all_held(value) for value in values)
    return inner and found.get("tries") == found.get("held") and not found.get("unnoticed")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=0)
    for name, trial_of in TRIALS.items():
        what = (trial_of.__doc__ or "").strip()
        parser.add_argument(f"--{name}", type=int, default=0, help=what)
    parser.add_argument("--flips", type=int, default=0, help="bits of the tensors to flip")
    parser.add_argument("--fuzz", type=int, default=0, help="hostile files for commands to meet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write the counts into")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    if options.kills:
        found, good = make_kills(options.kills, random)
    else:
        found = {"command": " ".join(["python", *sys.argv]), **make_others(options, random)}
        good = all_held(found)
    text = json.dumps(found, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n")
    print(text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
