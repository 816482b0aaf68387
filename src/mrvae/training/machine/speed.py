"""Seconds per training step on this machine, from passes over a few images.

A pass is the forward and backward pass of a model. Its time is close to a + b·n for n images, so
a and b are measured with few images where a whole batch would take too long. Each number of images
goes through the model three times, and the first time, which chooses kernels, does not count.

On the CPU with one thread, a pass is timed by the processor's own seconds, which other processes do
not lengthen; how much longer the clock took is :attr:`PassTime.busy`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Pass = Callable[[int], object]
"""Makes a forward and a backward pass over the first n images."""

_FEW = 4


@dataclass(frozen=True)
class PassTime:
    """The time of a pass.

    Attributes:
        seconds: on a machine that has nothing else to do.
        busy: by what the time is multiplied while other processes use the processor.
    """

    seconds: float
    busy: float = 1.0


@dataclass(frozen=True)
class Stopwatch:
    """Times passes on one device.

    Attributes:
        run: the pass.
        device: that computes it.
    """

    run: Pass
    device: torch.device

    def once(self, images: int) -> PassTime:
        """Return the time of one pass."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.run(images)
        synchronise(self.device)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if self.device.type == "cpu" and torch.get_num_threads() == 1:
            return PassTime(min(cpu, wall), max(1.0, wall / max(cpu, 1e-9)))
        return PassTime(wall)

    def warm(self, images: int) -> PassTime:
        """Return the least time of two passes, after one that does not count."""
        self.once(images)
        return min((self.once(images) for _ in range(2)), key=lambda time: time.seconds)

    def batch(self, images: int, budget: float) -> PassTime:
        """Return the time of a pass over ``images``, measured in about ``budget`` seconds.

        If a pass of one image takes a quarter of that, it is the only one.

        Example:
            >>> watch = Stopwatch(lambda images: None, torch.device("cpu"))
            >>> watch.batch(32, budget=0.1).seconds < 0.1
            True
        """
        first = self.once(1)
        if images == 1 or first.seconds > budget / 4:
            return PassTime(first.seconds * images, first.busy)
        one, few = self.warm(1), min(_FEW, images)
        small = self.warm(few)
        left = budget - first.seconds - 3 * (one.seconds + small.seconds)
        each = max(small.seconds - one.seconds, 0.0) / max(few - 1, 1)
        rows = min(images, int((left / 3 - one.seconds) / max(each, 1e-6)))
        if small.seconds < budget / 8:
            # Where few images take hardly longer than one, more are needed to see the slope.
            rows = min(images, max(rows, 4 * few))
        if rows <= few:
            return PassTime(small.seconds + (images - few) * each, small.busy)
        large = self.warm(rows)
        each = max(large.seconds - small.seconds, 0.0) / (rows - few)
        return PassTime(large.seconds + (images - rows) * each, large.busy)


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU always has."""
    if device.type not in ("cpu", "meta"):
        torch.accelerator.synchronize(device)
