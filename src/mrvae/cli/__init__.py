"""The command line: one frozen dataclass per command, in a file of its own.

A command is made from the arguments, runs, and returns values (``--json``) and a text; this is the
only place that prints to stdout. A user's mistake ends in one line on stderr and exit code 2. torch
is imported by the commands that need it, when they run, so that help and lists are instant.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import mrvae
from mrvae.cli.attack import Attack
from mrvae.cli.command import Answer, Command, Stopped
from mrvae.cli.compress import Compress
from mrvae.cli.cut import Cut
from mrvae.cli.decode import Decode
from mrvae.cli.decompress import Decompress
from mrvae.cli.describe import Describe
from mrvae.cli.encode import Encode
from mrvae.cli.evaluate import Evaluate
from mrvae.cli.inspect import Inspect
from mrvae.cli.models import Models
from mrvae.cli.parse import overview, parse
from mrvae.cli.recipes import Recipes
from mrvae.cli.reconstruct import Reconstruct
from mrvae.cli.report import Report
from mrvae.cli.reproduce import Reproduce
from mrvae.cli.restore import Restore
from mrvae.cli.sample import Sample
from mrvae.cli.score import Score
from mrvae.cli.train import Train
from mrvae.files import DISK_FULL, is_stdout, reason
from mrvae.streams import (
    TolerantStream,
    discard,
    one_line,
    prepare_standard_streams,
    printable,
)

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, type[Command]] = {
    "recipes": Recipes,
    "models": Models,
    "describe": Describe,
    "train": Train,
    "evaluate": Evaluate,
    "sample": Sample,
    "reconstruct": Reconstruct,
    "restore": Restore,
    "inspect": Inspect,
    "score": Score,
    "encode": Encode,
    "decode": Decode,
    "attack": Attack,
    "report": Report,
    "compress": Compress,
    "decompress": Decompress,
    "cut": Cut,
    "reproduce": Reproduce,
}

# What ends a command through no mistake of the user.
_MACHINE = DISK_FULL | {errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EPIPE}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done; 1: the run diverged, something could not be saved or printed, or one of the processes
    was lost; 2: a user's mistake, or a step that does not fit into memory; 130 and 143: stopped by
    SIGINT or SIGTERM, and saved.

    Example:
        >>> main(["--version"])
        mrvae 0.1.0
        0

    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    prepare_standard_streams()
    # Figures become files: a backend with windows, or a notebook's, would fail here.
    os.environ["MPLBACKEND"] = "agg"
    errors, original = TolerantStream(sys.stderr), sys.stderr
    with contextlib.redirect_stderr(errors):
        code = _exit_code(arguments)
    if errors.broken:
        discard(original)
    return code


def _exit_code(arguments: list[str]) -> int:
    """Run a command, and turn what ends it into one line and an exit code."""
    try:
        return _main(arguments)
    except Stopped as stop:
        return _fail(str(stop), stop.code, stop.on_all_processes)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        full = error.errno in DISK_FULL
        more = "; what was there before is unchanged: free space, and run the command again"
        code = 1 if error.errno in _MACHINE else 2
        return _fail(reason(error) + (more if full else ""), code, on_all_processes=False)
    except ValueError as error:
        return _fail(str(error), 2)


def _main(arguments: list[str]) -> int:
    if arguments and arguments[0].startswith("-") and {"--help", "-h"} & {*arguments}:
        return _say(overview(COMMANDS))
    if arguments[:1] == ["--version"]:
        return _say(f"mrvae {mrvae.__version__}")
    command = parse(COMMANDS, arguments)
    if isinstance(command, str):
        return _say(command)
    # Nothing that a library prints may get between a program and its JSON.
    with contextlib.redirect_stdout(sys.stderr):
        answer = command.run()
    # A file that was written to stdout must not end in an answer.
    piped = any(isinstance(value, Path) and is_stdout(value) for value in vars(command).values())
    code = _print(answer, command.json, to_stderr=piped)
    for problem in answer.problems:
        _fail(problem, code, on_all_processes=False)
    return max(code, answer.code)


def _print(answer: Answer, as_json: bool, to_stderr: bool) -> int:
    """Print an answer for a program or for a person; nothing if there is none."""
    if as_json and answer.values:
        return _say(json.dumps(answer.values, allow_nan=False), to_stderr)
    return _say(printable(answer.text), to_stderr) if answer.text else 0


def _say(text: str, to_stderr: bool = False) -> int:
    """Print a text; where stdout cannot be written, on stderr, with exit code 1."""
    if to_stderr:
        print(text, file=sys.stderr)
        return 0
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader has gone, which is no mistake.
        discard(sys.stdout)
    except OSError as error:
        discard(sys.stdout)
        print(text, file=sys.stderr)
        return _fail(f"stdout cannot be written: {reason(error)}", 1)
    return 0


def _fail(problem: str, code: int, on_all_processes: bool = True) -> int:
    """Print one line on stderr; of several processes with the same problem, the first one does."""
    if not on_all_processes or _is_first_process():
        print(f"mrvae: {one_line(problem)}", file=sys.stderr)
    return code


def _is_first_process() -> bool:
    """Return whether no launcher started this process, or started it first.

    A stray RANK without other processes must not silence anything.
    """
    several = os.environ.get("WORLD_SIZE", "1") not in ("0", "1")
    return not several or os.environ.get("RANK", "0") == "0"
