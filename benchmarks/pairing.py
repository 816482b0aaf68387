"""How a benchmark takes its times: in turns within one process, and with the machine's name.

What else a machine is doing changes over seconds, and one round of turns is over sooner. So the
ratio of neighbours is comparable where medians of separate runs are not. A product of matrices may
take its turn with them, as the measure of what the machine could do in those same seconds.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Step = Callable[[int], object]
Result = TypeVar("Result", bound="DataclassInstance")
Case = Callable[[], Result]

_PROC = Path("/proc/self")


@dataclass(frozen=True)
class Place:
    """Where a benchmark runs, and where its numbers go.

    Attributes:
        threads: of torch; its default if not given.
        device: such as cpu or cuda.
        json: file to write the measurements to.
        table: only print the Markdown table of such a file.
    """

    threads: int | None = None
    device: str = "cpu"
    json: Path | None = None
    table: Path | None = None

    def begin(self) -> None:
        """Let torch have as many threads as were asked for."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)

    def keep(self, counts: Mapping[str, int], results: Sequence[DataclassInstance]) -> None:
        """Write what is measured so far, if a file was named."""
        if self.json is not None:
            write(self.json, self.device, counts, [asdict(each) for each in results])


@dataclass(frozen=True)
class Report(Generic[Result]):
    """A table of measurements.

    Attributes:
        title: what stands over it in a terminal, which is taken to be ``width`` wide at least.
        headings: of its columns.
        rows: makes its lines of the measurements.
        read: reads these from the file to which they were written.
    """

    title: str
    headings: Sequence[str]
    rows: Callable[[list[Result]], Iterable[Sequence[str]]]
    read: Callable[[Path], list[Result]]
    width: int

    def make(
        self, place: Place, counts: Mapping[str, int], cases: Iterable[tuple[str, Case[Result]]]
    ) -> None:
        """Measure one case after the other, and write and show them; or print what is written."""
        if place.table is not None:
            lines = list(self.rows(self.read(place.table)))
            sys.stdout.write(as_markdown(self.headings, lines) + "\n")
            return
        place.begin()
        results: list[Result] = []
        began = time.perf_counter()
        for name, measure in cases:
            sys.stderr.write(f"{name} …\n")
            results.append(measure())
            place.keep(counts, results)
        show(self.title, self.headings, list(self.rows(results)), self.width)
        said(time.perf_counter() - began)


@dataclass(frozen=True)
class Timing:
    """Seconds of every counted step, by the wall and of the process's own CPUs."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def timed(step: Step, index: int, device: torch.device) -> tuple[float, float]:
    """Return the seconds of one step, by the wall and of the process's own CPUs."""
    synchronise(device)
    wall, cpu = time.perf_counter(), time.process_time()
    step(index)
    synchronise(device)
    return time.perf_counter() - wall, time.process_time() - cpu


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def take_turns(
    steps: Sequence[Step], rounds: int, warmup: int, device: torch.device
) -> list[Timing]:
    """Time several steps in turns, and leave the first rounds out."""
    timings = [Timing() for _ in steps]
    for index in range(warmup + rounds):
        for step, timing in zip(steps, timings, strict=True):
            wall, cpu = timed(step, index, device)
            if index >= warmup:
                timing.wall.append(wall)
                timing.cpu.append(cpu)
    return timings


def ratios(first: list[float], second: list[float]) -> tuple[float, float, float]:
    """Return median, least and largest of the ratios first / second, round by round."""
    each = [a / b for a, b in zip(first, second, strict=True)]
    return statistics.median(each), min(each), max(each)


class Product:
    """A step that is one product of two square matrices, and nothing else.

    Attributes:
        operations: floating-point operations of a step, a multiply-add being 2.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device, side: int = 1024) -> None:
        self.left, self.right = (
            torch.rand(side, side, device=device).to(dtype=dtype) for _ in range(2)
        )
        self.result = torch.empty_like(self.left)
        self.operations = 2 * side**3

    def __call__(self, _: int) -> None:
        """Multiply."""
        torch.mm(self.left, self.right, out=self.result)


def operations(step: Step, index: int) -> int:
    """Return the operations of a step's convolutions and products, a multiply-add being 2."""
    counter = FlopCounterMode(display=False)
    with counter:
        step(index)
    return counter.get_total_flops()


def peak_memory(step: Step, index: int, device: torch.device) -> int | None:
    """Return how many bytes a step needs at once, beyond what is held before it.

    On the CPU it is the growth of the process's resident memory, which Linux alone tells.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step(index)
        return torch.cuda.max_memory_allocated(device) - before
    if not (_PROC / "clear_refs").exists():
        return None
    _give_back()
    before = _resident("VmRSS")
    (_PROC / "clear_refs").write_text("5")
    step(index)
    return _resident("VmHWM") - before


def _give_back() -> None:
    """Return freed memory to the system, or it would be there before the step as well."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _resident(name: str) -> int:
    """Return a line of the process's status, in bytes."""
    for line in (_PROC / "status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise ValueError(f"{_PROC / 'status'} has no line {name}")


def machine(device: str) -> dict[str, object]:
    """Return what a number means nothing without."""
    cuda = device.startswith("cuda")
    return {
        "processor": torch.cuda.get_device_name(device) if cuda else processor(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device,
    }


def processor() -> str:
    """Return the processor's name, as Linux knows it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def write(
    path: Path, device: str, counts: Mapping[str, int], results: Sequence[Mapping[str, object]]
) -> None:
    """Write machine and measurements."""
    value = {"machine": machine(device) | dict(counts), "results": list(results)}
    path.write_text(json.dumps(value, indent=2) + "\n")


def measured(path: Path) -> list[dict[str, Any]]:
    """Read the measurements in a file, as they were written."""
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["results"]
    return found


def written(path: Path) -> list[dict[str, Any]]:
    """Read the measurements in a file, their timings as such."""
    return [
        {key: Timing(**value) if isinstance(value, dict) else value for key, value in each.items()}
        for each in measured(path)
    ]


def said(seconds: float) -> None:
    """Say on stderr how long all of it took."""
    sys.stderr.write(f"{seconds:.0f} s in all\n")


def show(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> None:
    """Print a table to the terminal, which a pipe would take to be too narrow for it."""
    table = Table(*headings, title=title)
    for line in rows:
        table.add_row(*line)
    Console(width=max(Console().width, width)).print(table)


def as_markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
