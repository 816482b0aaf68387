"""The fuzz of the fault harness: hostile files in a run directory, and commands that meet them.

Each trial copies a run that was interrupted, changes one thing of it, and calls the command line in
this process. It may go on, or refuse in one line: no exception escapes, nothing takes 10 seconds,
and the process's peak memory grows by no more than 1 GiB.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from unittest.mock import patch

from helpers.damage import within_a_gigabyte
from helpers.tiny_run import TINY, tiny, train_until
from mrvae.cli import main

CHANGES = ("steps=4", "validate_every=2", "checkpoint_every=2", "keep=2", "width=4", "batch=32")
NAMES = ("metrics.jsonl", "recipe.json", "weights.safetensors", "best.safetensors", "state",
         "state/step-00000002", "state/step-00000003", "state/step-00000003/state.json",
         "state/step-00000003/state.sha256", "state/step-00000003/tensors.safetensors",
         "loss.png", "samples.png", "evaluation.json", ".lock", "metrics.jsonl.damaged-1",
         "state/step-99999999", "state/.step-00000004", ".tmpAb3dE9",
         f".mrvae-{'0' * 16}.json")  # fmt: skip
STRANGE = ("a\nb", "\x1b[31m", "\udcff\udcfe", "x" * 255, "-rf", " ", "step-00000009", "字" * 85)
LONGEST_SECONDS, MOST_BYTES = 10, 1 << 30


class Hang(BaseException):
    """A command that takes too long."""


@dataclass(frozen=True)
class Result:
    """What a command did with a hostile run.

    Attributes:
        code: its exit code; None if an exception escaped.
        problem: what it did that it must not do; empty if nothing.
        seconds: how long it took.
        growth: bytes by which the peak of its memory exceeds what the process had before.
    """

    code: int | None
    problem: str
    seconds: float
    growth: int


# ------------------------------------------------------------------------------------ mutations


def value(draws: Random) -> object:
    """Return a value that a reader of JSON may not expect."""
    nested: object = 1
    for _ in range(draws.choice((1, 5, 400))):
        nested = draws.choice(([nested], {"a": nested}))
    return draws.choice(
        (None, True, "", "7", "\x1b[31m\n", "x" * 5000, "\u0000", "\ud800", "../../x", -1, 0, 1,
         2, 3, 7, 0.5, -0.0, 1e-320, 1e308, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**400,
         float("nan"), float("inf"), float("-inf"), [], {}, [None], [[]], [1e308] * 9,
         {"kind": "x"}, {"kind": None}, nested)
    )  # fmt: skip


def places(tree: object) -> Iterator[tuple[dict[str, object] | list[object], str | int]]:
    """Yield every container of a tree with each of its keys."""
    if isinstance(tree, dict):
        keys: list[str | int] = list(tree)
    elif isinstance(tree, list):
        keys = list(range(len(tree)))
    else:
        return
    for key in keys:
        yield tree, key
        yield from places(tree[key])  # type: ignore[index]


def change_tree(content: bytes, draws: Random) -> bytes:
    """Change one to three places of a JSON text: another value, a key more, less, or twice."""
    tree = json.loads(content)
    for _ in range(draws.randrange(1, 4)):
        found = list(places(tree))
        if not found or draws.random() < 0.03:
            tree = value(draws)
            continue
        above, key = draws.choice(found)
        act = draws.randrange(6)
        if act == 0:
            del above[key]  # type: ignore[arg-type]
        elif act == 1 and isinstance(above, dict):
            above[draws.choice(("kind", "more", "", "\x1b", "x" * 999))] = value(draws)
        else:
            above[key] = value(draws)  # type: ignore[index]
    text = json.dumps(tree)
    if draws.random() < 0.1:
        text = text.replace("{", '{"kind": 1, "kind": 2, ', 1)
    return text.encode(errors="surrogatepass")


def change_bytes(content: bytes, draws: Random) -> bytes:
    """Overwrite, cut or repeat parts of a file."""
    changed = bytearray(content)
    for _ in range(draws.randrange(1, 6)):
        place = draws.randrange(len(changed) + 1)
        act = draws.randrange(5)
        if act == 0:
            del changed[place : place + draws.randrange(1, 60)]
        elif act == 1:
            changed[place:place] = changed[: draws.randrange(200)] * draws.choice((1, 2, 300))
        else:
            changed[place : place + 1] = bytes([draws.choice(b'[]{}",:0-9eE.\n\x00\xff\xed"ntf')])
    return bytes(changed)


def change_lines(content: bytes, draws: Random) -> bytes:
    """Change the JSON of some lines, or put other lines between them."""
    lines = content.splitlines(keepends=True)
    for _ in range(draws.randrange(1, 4)):
        place = draws.randrange(len(lines))
        act = draws.randrange(3)
        if act == 0:
            lines.insert(place, json.dumps(value(draws)).encode() + b"\n")
        elif act == 1:
            lines.insert(place, b"[" * draws.choice((10, 9000, 400_000)) + b"\n")
        else:
            with suppress(ValueError, RecursionError):
                lines[place] = change_tree(lines[place], draws) + b"\n"
    return b"".join(lines)


def change_log(run: Path, draws: Random) -> str:
    """Change the log of events."""
    path = run / "metrics.jsonl"
    change = draws.choice((change_lines, change_bytes))
    path.write_bytes(change(path.read_bytes(), draws))
    return "train"


def change_checkpoint(run: Path, draws: Random) -> str:
    """Change a file of JSON of a checkpoint, or its digest; often make the digest right again."""
    folder = run / "state" / draws.choice(("step-00000002", "step-00000003"))
    path, digest = folder / "state.json", folder / "state.sha256"
    if draws.random() < 0.1:
        digest.write_bytes(change_bytes(digest.read_bytes(), draws))
        return "train"
    change = draws.choice((change_tree, change_tree, change_bytes))
    path.write_bytes(change(path.read_bytes(), draws))
    if draws.random() < 0.8:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.write_text(f"{found}  state.json\n")
    return "train"


def change_recipe(run: Path, draws: Random) -> str:
    """Change the recipe of the run."""
    path = run / "recipe.json"
    change = draws.choice((change_tree, change_tree, change_bytes))
    path.write_bytes(change(path.read_bytes(), draws))
    return draws.choice(("train", "evaluate", "sample"))


def socket_at(path: Path) -> None:
    """Make a Unix socket; its path may not be long."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def replace(path: Path, draws: Random) -> None:
    """Put something of another kind in the place of a file or a folder, or only remove it."""
    kinds: tuple[Callable[[], object], ...] = (
        lambda: None,
        path.mkdir,
        lambda: os.mkfifo(path),
        lambda: socket_at(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to("/dev/full"),
        lambda: path.symlink_to("/dev/null"),
        lambda: path.symlink_to(path.name),
        lambda: path.symlink_to("nowhere"),
        lambda: path.symlink_to(".."),
        lambda: path.symlink_to("/proc/self/mem"),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(b"\x00" * 4096),
        lambda: path.write_text("{}"),
        lambda: path.write_bytes(b"\xff" * 8 + b"{" * 90),
        lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
    )
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    draws.choice(kinds)()


def change_folder(run: Path, draws: Random) -> str:
    """Remove, replace, exchange or add files and folders."""
    path = run / draws.choice(NAMES)
    files = [file for file in run.rglob("*") if file.is_file()]
    act = draws.randrange(8)
    if act == 0:
        one, other = draws.sample(files, 2)
        shutil.copyfile(one, other)
    elif act == 1:
        foreign = draws.choice((run, run / "state", run / "state/step-00000003"))
        replace(foreign / draws.choice(STRANGE), draws)
    elif act == 2:
        one = draws.choice(files)
        one.write_bytes(change_bytes(one.read_bytes(), draws))
    else:
        replace(path, draws)
    return draws.choice(("train", "train", "evaluate", "sample"))


MUTATIONS: dict[str, Callable[[Path, Random], str]] = {
    "metrics.jsonl": change_log,
    "state.json and state.sha256": change_checkpoint,
    "recipe.json": change_recipe,
    "run directory": change_folder,
}


# ----------------------------------------------------------------------------------- the trials


def command(name: str, run: Path, draws: Random) -> list[str]:
    """Return a command that reads the run; now and then ``describe`` with a hostile value."""
    if name == "train":
        return ["train", "digits-vdvae", *TINY, *CHANGES, "--out", str(run), "--resume", "--quiet"]
    if name == "sample":
        return ["sample", str(run), "--n", "1", "--out", str(run.parent / "one.png")]
    best = ["--best"] if draws.random() < 0.3 else []
    return ["evaluate", str(run), "--limit", "2", "--importance-samples", "2", "--quiet", *best]


def describe(draws: Random) -> list[str]:
    """Return ``describe`` with a key and a value of a recipe that it may not expect."""
    keys = ("training.batch", "model.width", "width", "model.size", "data.source", "decoder",
            "training.optimizer.rate", "model", "x" * 3000, "", "encoder",
            "model.likelihood")  # fmt: skip
    text = json.dumps(value(draws)) if draws.random() < 0.5 else str(value(draws))
    text = text.replace("\x00", "") if draws.random() < 0.9 else text
    return ["describe", "digits-vdvae", f"{draws.choice(keys)}={text}"]


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Raise ``Hang`` in the block after some time, in whatever call it waits."""

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def within_bounds() -> Iterator[None]:
    """Bound the time and the address space of the block."""
    with within_a_gigabyte(), at_most(LONGEST_SECONDS):
        yield


def memory(key: str) -> int:
    """Return a size of this process from /proc, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line for line in lines if line.startswith(f"{key}:"))
    return int(found.split()[1]) * 1024


def call(arguments: list[str]) -> Result:
    """Call the command line, and judge what it did."""
    out, errors, problem, code = io.StringIO(), io.StringIO(), "", None
    # The peak counts from here.
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory("VmRSS"), time.monotonic()
    try:
        with (
            redirect_stdout(out),
            redirect_stderr(errors),
            within_a_gigabyte(),
            at_most(LONGEST_SECONDS),
        ):
            code = main(arguments)
    except Hang:
        problem = "takes too long: " + traceback.format_exc()
    except BaseException:  # whatever escapes is what is looked for
        problem = traceback.format_exc()
    seconds, growth = time.monotonic() - began, memory("VmHWM") - before
    return Result(code, problem or blame(code, errors.getvalue(), growth), seconds, growth)


def blame(code: int | None, errors: str, growth: int) -> str:
    """Return what is wrong with an exit code, the lines on stderr and the memory; or nothing."""
    lines = errors.splitlines()
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if "Traceback" in errors or not errors.replace("\n", "").isprintable():
        return f"a traceback or control characters: {errors}"
    if code and not (lines and lines[-1].startswith("mrvae: ")):
        return f"exit code {code} without a reason: {errors}"
    if len(lines) > 4 or any(len(line) > 2100 for line in lines):
        return f"too many or too long lines: {errors}"
    return f"{growth:,} bytes of memory" if growth > MOST_BYTES else ""


def make_base(folder: Path) -> Path:
    """Make the run that every trial copies: interrupted at step 3 of 4, with two checkpoints."""
    run = folder / "base"
    train_until(tiny(*CHANGES), run, 3)
    return run


@contextmanager
def quick(kind: str) -> Iterator[None]:
    """Read the digits once; draw no pictures where what is mutated does not reach them."""
    from sklearn import datasets

    with ExitStack() as stack:
        stack.enter_context(patch("sklearn.datasets.load_digits", cache(datasets.load_digits)))
        if kind not in ("metrics.jsonl", "run directory"):
            stack.enter_context(patch("mrvae.cli.train._draw", lambda *_: ()))
        yield


def trial(base: Path, run: Path, kind: str, draws: Random) -> Result:
    """Copy the run, change it, and call a command on it."""
    shutil.copytree(base, run)
    if kind in MUTATIONS:
        arguments = command(MUTATIONS[kind](run, draws), run, draws)
    else:
        arguments = describe(draws)
    with quick(kind):
        result = call(arguments)
    if result.problem:
        print(ascii(" ".join(arguments)[:300]), result.problem[-4000:], sep="\n", file=sys.stderr)
    shutil.rmtree(run)
    return result


def fuzz(folder: Path, tries: int, seed: int) -> dict[str, object]:
    """Make trials, each kind in turn, and count them."""
    base, began = make_base(folder), time.monotonic()
    # The first command imports what the others only use: its memory is not the file's.
    call(command("train", Path(shutil.copytree(base, folder / "first")), Random(0)))  # noqa: S311
    results: dict[str, list[Result]] = {kind: [] for kind in (*MUTATIONS, "overrides")}
    for number in range(tries):
        kind, draws = list(results)[number % len(results)], Random(f"{seed} {number}")  # noqa: S311
        results[kind].append(trial(base, folder / "run", kind, draws))
        if results[kind][-1].problem:
            print(f"fuzz {number}, {kind}: BROKEN", file=sys.stderr, flush=True)
    every = [result for kind in results.values() for result in kind]
    return {
        "tries": tries,
        "held": sum(not result.problem for result in every),
        "kinds": {kind: exit_codes(found) for kind, found in results.items()},
        "longest_seconds": round(max(result.seconds for result in every), 2),
        "largest_growth_bytes": max(result.growth for result in every),
        "seconds": round(time.monotonic() - began, 1),
    }


def exit_codes(results: list[Result]) -> dict[str, int]:
    """Count the trials of a kind, and how their commands ended."""
    counts = Counter(f"exit_code_{result.code}" for result in results)
    return {"mutated": len(results), **dict(sorted(counts.items()))}
