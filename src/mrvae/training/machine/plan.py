"""How a run begins: with how many threads, and how long it will take.

Both follow from passes over the run's own images and weights, which change neither. A run that
takes seconds is not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrvae.processes import is_distributed
from mrvae.training.loss import loss_of
from mrvae.training.machine.speed import Pass, PassTime, Stopwatch
from mrvae.training.machine.threads import (
    Threads,
    given_threads,
    measured_threads,
    using_threads,
)
from mrvae.training.update import Updater

_SHORT = 10.0
_LONG = 60.0
_BUDGET = 1.0
_COMPARED = 0.1
_FORWARD = 1 / 3
"""A bound takes about a third of the time of its forward and backward pass."""


@dataclass(frozen=True)
class Plan:
    """How a run begins.

    Attributes:
        threads: None where the device or a launcher decides.
        whole: the time of the run; None if it is short, or nobody reads it.
    """

    threads: Threads | None
    whole: PassTime | None = None


@dataclass(frozen=True)
class Work:
    """What is left of a run.

    Attributes:
        steps: their number.
        validated: images of all validations.
    """

    steps: int
    validated: int


def plan(updater: Updater, work: Work, wish: int | None, before: int | None, quiet: bool) -> Plan:
    """Return how a run begins.

    Args:
        updater: with the weights from which it goes on; they stay as they are.
        work: what is left of it.
        wish: the number of threads that is asked for.
        before: that of the run that is resumed.
        quiet: whether nobody reads a forecast.
    """
    device = updater.accelerator.device
    several = is_distributed()
    given = wish if several else given_threads(wish, before)
    free = device.type == "cpu" and not several and given is None
    known = Threads(given) if given is not None and device.type == "cpu" else None
    if (quiet and not free) or work.steps < 1:
        return Plan(known)
    watch = Stopwatch(training_pass(updater), device)
    with using_threads(1 if free else given), torch.random.fork_rng(devices=[]):
        one = Threads(1) if free else known
        if watch.once(1).seconds * updater.training.batch * work.steps < _SHORT:
            return Plan(one)
        whole = _whole(watch, updater, work)
        if not free or whole.seconds < _LONG:
            return Plan(one, whole)
    return _with_threads(watch, updater, work, whole)


def _with_threads(watch: Stopwatch, updater: Updater, work: Work, whole: PassTime) -> Plan:
    """Return the plan of a long run whose number of threads is free."""
    images = work.steps * updater.training.batch
    few = max(1, min(len(updater.parts[0]), int(_COMPARED / (whole.seconds / images))))
    with torch.random.fork_rng(devices=[]):
        threads = measured_threads(watch, few, torch.get_num_threads())
        if threads.count > 1:
            with using_threads(threads.count):
                whole = _whole(watch, updater, work)
    return Plan(threads, whole)


def _whole(watch: Stopwatch, updater: Updater, work: Work) -> PassTime:
    """Return the time of everything that is left of a run."""
    images = len(updater.parts[0])
    part = watch.batch(images, _BUDGET)
    parts = work.steps * len(updater.parts) + _FORWARD * work.validated / images
    return PassTime(part.seconds * parts, part.busy)


def training_pass(updater: Updater) -> Pass:
    """Return the forward and backward pass over the first images of the first batch."""
    x, noise, term = updater.inputs(0, updater.parts[0])

    def run(images: int) -> None:
        some = None if term is None else term[:images]
        elbo = updater.measure(x[:images], noise[:images], some)
        loss_of(elbo, updater.model, updater.training.kl, 0).backward()  # type: ignore[no-untyped-call]
        updater.optimizer.zero_grad(set_to_none=True)

    return run
