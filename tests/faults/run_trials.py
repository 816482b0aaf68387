"""Trials of the fault harness beyond kills: signals, rivals, changed bits, closed streams, groups.

Each trial starts the command line on the digits in a process of its own, does something to it, and
returns whether the promise held. Processes are forked, so that torch is imported once, but for the
groups, which torchrun starts.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from helpers.tiny_run import TINY, outcome, run_identity, tiny, updater
from mrvae.cli import main
from mrvae.training import train
from mrvae.training.store import checkpoint
from mrvae.training.store.identity import RunIdentity
from mrvae.training.update import Updater

LONG = ("steps=1000000", "validate_every=7", "checkpoint_every=3", "keep=2")
SHORT = ("steps=12", "validate_every=5", "checkpoint_every=2", "keep=2")
SMALL = ("width=4", "batch=32")
PATIENCE = 120.0
PAIRS = (
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGTERM, signal.SIGINT),
    (signal.SIGINT, signal.SIGTERM),
)


def arguments(run: Path, *more: str) -> list[str]:
    return ["train", "digits-vdvae", *TINY, *SMALL, "--out", str(run), *more]


def start(command: Sequence[str], errors: int, foreign: Sequence[int] = ()) -> int:
    """Fork a process that runs the command line, with its stderr in a descriptor.

    ``foreign`` are descriptors that it closes: a pipe breaks when its last reader is closed.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        for descriptor in foreign:
            os.close(descriptor)
        os.dup2(errors, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = main(command)
    finally:
        os._exit(code)


def start_logged(command: Sequence[str], errors: Path) -> int:
    with errors.open("a") as file:
        return start(command, file.fileno())


def finish(child: int) -> int:
    """Wait for a process, and return its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError("the run does not begin")
        time.sleep(0.002)


def is_training(run: Path) -> bool:
    log = run / "metrics.jsonl"
    return log.exists() and log.stat().st_size > 0


def stopped_and_saved(run: Path, message: str) -> bool:
    """Return whether one line tells the step after which a run stopped, and it was saved there."""
    found = re.findall(r"^mrvae: stopped after step (\d+) of", message, re.MULTILINE)
    steps = [int(path.name.removeprefix("step-")) for path in (run / "state").glob("step-*")]
    clean = not any(path.name.startswith(".") for path in run.rglob("*"))
    return clean and len(found) == 1 and int(found[0]) == max(steps)


def try_signals(folder: Path, number: int, random: np.random.Generator) -> bool:
    """Send two signals within 200 ms: the run exits with the code of one, and has saved."""
    run, errors = folder / "run", folder / "errors"
    child = start_logged(arguments(run, *LONG, "--quiet"), errors)
    wait_until(lambda: is_training(run))
    time.sleep(float(random.uniform(0, 0.2)))
    first, second = PAIRS[number % len(PAIRS)]
    os.kill(child, first)
    time.sleep(float(random.uniform(0, 0.2)))
    os.kill(child, second)
    code, message = finish(child), errors.read_text()
    # Two signals that are pending at once are delivered in the order of their numbers.
    good = code in {128 + first, 128 + second} and stopped_and_saved(run, message)
    return good and message.count("\n") == 1


def try_rivals(folder: Path, number: int, random: np.random.Generator) -> bool:
    """Start two runs with other seeds on one directory, or a resumed one beside a running one."""
    run = folder / "run"
    logs = folder / "first", folder / "second"
    resume = number % 2 == 1
    first = start_logged(arguments(run, *SHORT, "--quiet"), logs[0])
    if resume:
        wait_until(lambda: (run / "recipe.json").exists())
        more = ["--resume"]
    else:
        time.sleep(float(random.uniform(0, 0.1)))
        more = ["--seed", "1"]
    second = start_logged(arguments(run, *SHORT, "--quiet", *more), logs[1])
    codes = finish(first), finish(second)
    if resume and codes == (0, 0):
        # The second came when the first had ended, and found nothing left to do.
        refused = True
    else:
        loser = codes.index(2) if sorted(codes) == [0, 2] else -1
        holder = f"in use by process {(second, first)[loser]} on {socket.gethostname()}"
        text = logs[loser].read_text()
        refused = loser >= 0 and text.count("\n") == 1
        refused = refused and (holder in text or "holds a run already" in text)
    whole = folder / "whole"
    train(tiny(*SHORT, *SMALL), whole, seed=int(codes[0] != 0), quiet=True)
    expected, found = outcome(whole), outcome(run)
    return refused and all(found.get(name) == content for name, content in expected.items())


def try_closed(folder: Path, number: int, random: np.random.Generator) -> bool:
    """Let the reader of stderr go away at a random moment, or be full from the beginning."""
    run = folder / "run"
    if number % 2:
        full = os.open("/dev/full", os.O_WRONLY)
        child = start(arguments(run, *SHORT), full)
        os.close(full)
    else:
        reader, writer = os.pipe()
        child = start(arguments(run, *SHORT), writer, [reader])
        os.close(writer)
        time.sleep(float(random.uniform(0, 1.0)))
        os.close(reader)
    code = finish(child)
    train(tiny(*SHORT, *SMALL), folder / "whole", quiet=True)
    expected, found = outcome(folder / "whole"), outcome(run)
    return code == 0 and all(found.get(name) == content for name, content in expected.items())


def try_group(folder: Path, number: int, random: np.random.Generator) -> bool:
    """Send SIGTERM to torchrun and its two workers together, as a scheduler does."""
    run, errors = folder / "run", folder / "errors"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", "--module", "mrvae"]
    with errors.open("w") as file:
        launched = subprocess.Popen(  # noqa: S603
            [*command, *arguments(run, *LONG, "--quiet")],
            stderr=file,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    wait_until(lambda: is_training(run) or launched.poll() is not None)
    time.sleep(float(random.uniform(0, 0.2)))
    os.killpg(launched.pid, signal.SIGTERM)
    launched.wait(timeout=PATIENCE)
    return stopped_and_saved(run, errors.read_text())


def count_flips(folder: Path, tensors: int, random: np.random.Generator) -> dict[str, object]:
    """Flip each bit of a checkpoint's small files, and some of its tensors; count the unnoticed."""
    recipe = tiny(*SHORT, *SMALL)
    train(recipe, folder / "run", quiet=True)
    newest = checkpoint.checkpoints(folder / "run" / "state")[-1]
    state, run = updater(recipe), run_identity(recipe)
    counts: dict[str, object] = {}
    for path in sorted(newest.iterdir()):
        content = path.read_bytes()
        every = range(8 * len(content))
        chosen = (
            random.choice(len(every), tensors, replace=False) if tensors < len(every) else every
        )
        places = chosen if path.suffix == ".safetensors" else every
        unnoticed = 0
        for place in places:
            changed = bytearray(content)
            changed[int(place) // 8] ^= 1 << (int(place) % 8)
            path.write_bytes(changed)
            unnoticed += reads(newest, state, run)
        path.write_bytes(content)
        counts[path.name] = {"bits": len(every), "flipped": len(places), "unnoticed": unnoticed}
    if not reads(newest, state, run):
        raise RuntimeError("the checkpoint that was not changed cannot be read")
    return counts


def reads(path: Path, state: Updater, run: RunIdentity) -> bool:
    """Return whether a checkpoint is accepted."""
    try:
        checkpoint.read_checkpoint(path, state, run)
    except (ValueError, KeyError, OSError, SafetensorError, RuntimeError):
        return False
    return True
