"""Write the numbers into the pages: README.md and docs/ hold none that a file here does not.

    python results/fill.py            rewrites every marked block
    python results/fill.py --check    only says which pages are behind, and exits with 1

A block lies between two comments, and what stands in it is replaced:

    <!-- results:NAME -->…<!-- /results -->      the bounds measured under NAME, mean over seeds
    <!-- results:all -->…<!-- /results -->       a table of everything that was recorded
    <!-- speed:FILE -->…<!-- /speed -->          the timings of benchmarks/train_step.py in FILE.json
    <!-- recipe:NAME -->…<!-- /recipe -->        parameters and stochastic layers of a recipe
    <!-- status:NAME METRIC<=VALUE -->…<!-- /status -->
                                                 whether the claim holds; without a condition,
                                                 whether there is a measurement at all

A name that was never recorded is no error: its block says that it was not run.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import record
import tyro
from record import ROOT, Result

import mrvae

_BLOCK = re.compile(r"(<!-- (results|speed|recipe|status):(\S+?)(?: (\S+))? -->).*?(<!-- /\2 -->)", re.S)
_CONDITION = re.compile(r"(\w+)<=([\d.]+)")
_ABSENT = "not run yet"

Runs = Sequence[Result]


@dataclass(frozen=True)
class Options:
    """Which pages to fill.

    Attributes:
        check: change nothing; exit with 1 if a page is behind.
        root: folder of README.md, docs/ and results/.
    """

    check: bool = False
    root: Path = ROOT


def main(options: Options) -> int:
    """Fill the pages, or say which are behind; return the exit code."""
    behind = [page for page in pages(options.root) if filled(page) != page.read_text("utf-8")]
    for page in behind:
        if options.check:
            print(f"{page} is behind its results; run python results/fill.py")
        else:
            page.write_text(filled(page, options.root), "utf-8")
            print(f"wrote {page}")
    return int(options.check and bool(behind))
