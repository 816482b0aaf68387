"""The number of threads of a run on the CPU: one, unless more are measured to be worth it.

A small model gains little by a second thread and pays for it whenever another process wants the
processor. So a run begins with one thread, and takes 2, 4, … or all of them while each doubling
makes a pass at least 1.3 times faster. A run of less than a minute is not measured. Sums of floats
depend on the number of threads, so the run directory keeps it, and a resumed run goes on with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from mrvae.training.machine.speed import Stopwatch

WORTH_IT = 1.3
"""How many times faster a pass must be with twice the threads."""

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_ROUNDS = 3


@dataclass(frozen=True)
class Threads:
    """A number of threads, and how it came about.

    Attributes:
        count: of threads.
        why: for people; empty if nothing was measured.
    """

    count: int
    why: str = ""

    def __str__(self) -> str:
        return f"threads: {self.count}" + (f" ({self.why})" if self.why else "")


def given_threads(wish: int | None, before: int | None) -> int | None:
    """Return the number of threads that is set: asked for, the resumed run's, or by OpenMP's name.

    Example:
        >>> given_threads(2, 1), given_threads(None, 1)
        (2, 1)
    """
    if wish is not None or before is not None:
        return before if wish is None else wish
    named = any(os.environ.get(name, "").strip() for name in _VARIABLES)
    most = torch.get_num_threads()
    return most if named or most == 1 else None


def measured_threads(watch: Stopwatch, images: int, most: int) -> Threads:
    """Return the number of threads of a run, from passes of ``images``.

    Args:
        watch: times the passes, on the CPU.
        images: of a pass; few, so that it takes a fraction of a second.
        most: threads.
    """
    chosen, why = 1, ""
    while chosen < most:
        more = min(2 * chosen, most)
        faster = _gain(watch, images, chosen, more)
        why = f"{more} make a pass {faster:.2g} times faster than {chosen}"
        if faster < WORTH_IT:
            break
        chosen = more
    return Threads(chosen, why)


def _gain(watch: Stopwatch, images: int, few: int, many: int) -> float:
    """Return how many times faster a pass is with ``many`` threads, by the clock, in turns."""
    times: dict[int, list[float]] = {few: [], many: []}
    for _ in range(_ROUNDS):
        for count, seconds in times.items():
            with using_threads(count):
                each = watch.once(images)
            seconds.append(each.seconds * each.busy)
    # The first pass of each counts threads that have yet to start.
    return min(times[few][1:]) / min(times[many][1:])


@contextmanager
def using_threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads inside the block, and with as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
