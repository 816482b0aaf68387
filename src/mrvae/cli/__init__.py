"""The command line: one frozen dataclass per command, in a file of its own.

A command is made from the arguments, runs, and returns values (``--json``) and a text; this is the
only place that prints to stdout. A user's mistake ends in one line on stderr and exit code 2. torch
is imported by the commands that need it, when they run, so that help and lists are instant.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence

import mrvae
from mrvae.cli.attack import Attack
from mrvae.cli.command import Answer, Command, Stopped
from mrvae.cli.compress import Compress
from mrvae.cli.cut import Cut
from mrvae.cli.decompress import Decompress
from mrvae.cli.describe import Describe
from mrvae.cli.evaluate import Evaluate
from mrvae.cli.inspect import Inspect
from mrvae.cli.parse import overview, parse
from mrvae.cli.recipes import Recipes
from mrvae.cli.reconstruct import Reconstruct
from mrvae.cli.reproduce import Reproduce
from mrvae.cli.sample import Sample
from mrvae.cli.train import Train
from mrvae.files import reason

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, type[Command]] = {
    "recipes": Recipes,
    "describe": Describe,
    "train": Train,
    "evaluate": Evaluate,
    "sample": Sample,
    "reconstruct": Reconstruct,
    "inspect": Inspect,
    "attack": Attack,
    "compress": Compress,
    "decompress": Decompress,
    "cut": Cut,
    "reproduce": Reproduce,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done; 1: the run diverged, could not save, or lost one of its processes; 2: a user's
    mistake, or a step that does not fit into memory; 130 and 143: stopped by SIGINT or SIGTERM,
    and saved.

    Example:
        >>> main(["--version"])
        mrvae 0.1.0
        0

    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _main(arguments)
    except BrokenPipeError:
        # The reader has gone; Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Stopped as stop:
        return _fail(str(stop), stop.code, stop.on_all_processes)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except OSError as error:
        return _fail(reason(error), 2, on_all_processes=False)
    except ValueError as error:
        return _fail(str(error), 2)


def _main(arguments: list[str]) -> int:
    if arguments and arguments[0].startswith("-") and {"--help", "-h"} & {*arguments}:
        print(overview(COMMANDS))
        return 0
    if arguments[:1] == ["--version"]:
        print(f"mrvae {mrvae.__version__}")
        return 0
    command = parse(COMMANDS, arguments)
    if command is None:
        return 0
    # Nothing that a library prints may get between a program and its JSON.
    with contextlib.redirect_stdout(sys.stderr):
        answer = command.run()
    _print(answer, command.json)
    return 0


def _print(answer: Answer, as_json: bool) -> None:
    """Print an answer for a program or for a person; nothing if there is none."""
    if as_json and answer.values:
        print(json.dumps(answer.values, allow_nan=False), flush=True)
    elif answer.text:
        print(answer.text, flush=True)


def _fail(problem: str, code: int, on_all_processes: bool = True) -> int:
    """Say on one line of stderr what is wrong; of several processes alike, the first one does."""
    if not on_all_processes or os.environ.get("RANK", "0") == "0":
        print(f"mrvae: {' '.join(problem.split())}", file=sys.stderr)
    return code
