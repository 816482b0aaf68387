"""The tables of ``benchmarks/`` for the pages, made by each script from the file that it wrote."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from record import ROOT

SCRIPTS = ROOT / "benchmarks"
_COUNTS = ("steps", "rounds")


class Benchmark(Protocol):
    """What a script has, beside its ``main``."""

    HEADINGS: Sequence[str]

    def read(self, path: Path) -> object:
        """Return the measurements in a file."""

    def rows(self, results: object) -> Iterable[Sequence[str]]:
        """Return one line of the table for each of them."""


def timings(script: str, path: Path) -> tuple[list[Sequence[str]], str]:
    """Return a script's table, the head first, and what it was measured on.

    Raises:
        ValueError: if there is no such script, or it makes no table.
    """
    module = _load(script)
    machine = json.loads(path.read_text("utf-8"))["machine"]
    counts = "".join(f" {machine[name]} {name}." for name in _COUNTS if name in machine)
    made = (
        f"{machine['processor']}, {machine['threads']} threads; torch {machine['torch']}.{counts}"
    )
    return [module.HEADINGS, *module.rows(module.read(path))], made


def table_of(script: str, name: str, path: Path) -> list[Sequence[str]]:
    """Return one of a script's further tables, the head first.

    Raises:
        ValueError: if the script has no such table.
    """
    module = _load(script)
    tables: dict[str, Callable[[object], Iterable[Sequence[str]]]] = vars(module).get("TABLES", {})
    if name not in tables:
        raise ValueError(f"the benchmark {script!r} has no table {name!r}; it has {list(tables)}")
    return list(tables[name](module.read(path)))


def number_of(script: str, name: str, path: Path) -> str:
    """Return one of a script's numbers, as it is written in a sentence.

    Raises:
        ValueError: if the script has no such number.
    """
    module = _load(script)
    found: dict[str, str] = vars(module)["numbers"](module.read(path))
    if name not in found:
        raise ValueError(f"the benchmark {script!r} has no number {name!r}; it has {list(found)}")
    return found[name]


def _load(script: str) -> Benchmark:
    if not (SCRIPTS / f"{script}.py").is_file():
        known = ", ".join(sorted(each.stem for each in SCRIPTS.glob("*.py")))
        raise ValueError(f"there is no benchmark {script!r}; there are {known}")
    if str(SCRIPTS) not in sys.path:
        sys.path.append(str(SCRIPTS))
    module = import_module(script)
    if not {"HEADINGS", "read", "rows"} <= set(vars(module)):
        raise ValueError(f"the benchmark {script!r} makes no table; name another")
    return cast("Benchmark", module)
