"""Whether a step fits into the free memory, checked before the first one.

A run that needs more than there is would be killed by the operating system, or end in the middle of
a step. So the prediction of :mod:`mrvae.training.memory.footprint` is compared with the memory that
is free: on a GPU that of its driver, on a CPU what the system can give without swapping, at most
what a container may take, divided by the processes on this machine. A bound that takes no time is
tried first, and the prediction only where the bound is too large. ``training.overcommit`` is a
factor of the free memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mrvae.models.hvae import HVAE
from mrvae.recipes.schema import Recipe, Training
from mrvae.training.memory.footprint import at_most, footprint
from mrvae.training.stop import OutOfMemory

_MEMORY = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")


def check_memory(model: HVAE, recipe: Recipe, device: torch.device, processes: int = 1) -> None:
    """Refuse a run whose step does not fit into the memory that a device has free.

    Args:
        model: the recipe's, on the meta device: nothing of it is allocated yet.
        recipe: of the run.
        device: on which it will train.
        processes: that share the batch.

    Raises:
        ValueError: if it does not fit; with the prediction, the free memory and what to change.
    """
    free = free_bytes(device)
    if free is None:
        return
    allowed = free * recipe.training.overcommit
    if at_most(model, recipe, processes) <= allowed:
        return
    needed = footprint(recipe, processes).peak
    if needed > allowed:
        raise ValueError(
            f"a step of {recipe.training.batch} images is predicted to take {gibibytes(needed)}, "
            f"the weights included, and {gibibytes(free)} are free; {advice(recipe.training)}, or "
            "training.overcommit=2 to start anyway"
        )


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that this process may still take on a device; None where it is unknown.

    Example:
        >>> free = free_bytes(torch.device("cpu"))
        >>> free is None or free > 0
        True
    """
    if device.type == "cuda":
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + spare
    if device.type != "cpu" or not _MEMORY.is_file():
        return None
    known = [available(_MEMORY.read_text()), *_container(_CONTAINER)]
    return min(known) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def available(text: str) -> int:
    r"""Return the bytes that Linux can give without swapping, from ``/proc/meminfo``.

    Example:
        >>> available("MemTotal: 9 kB\nMemAvailable:       3 kB\n")
        3072
    """
    lines = (line.split() for line in text.splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"), 1 << 62)


def advice(training: Training) -> str:
    """Return the options that make a step smaller and are not in use yet.

    Example:
        >>> advice(Training(steps=1, batch=8, precision="bfloat16"))
        'try training.accumulate=2, training.activation_checkpointing=true'
    """
    parts = _next_divisor(training.batch, training.accumulate)
    options = [
        f"training.accumulate={parts}" if parts else "",
        "" if training.activation_checkpointing else "training.activation_checkpointing=true",
        "" if training.precision == "bfloat16" else "training.precision=bfloat16",
    ]
    return f"try {', '.join(filter(None, options)) or 'a smaller model'}"


def gibibytes(count: float) -> str:
    """Format bytes in GiB.

    Example:
        >>> gibibytes(3 * 2**29)
        '1.5 GiB'
    """
    return f"{count / 2**30:,.1f} GiB"


@contextmanager
def within_memory(training: Training) -> Iterator[None]:
    """Turn an allocation failure in the middle of a step into one line with what to change.

    Raises:
        OutOfMemory: if the device, or the machine, has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        pass
    except RuntimeError as error:
        # The allocator of the CPU has no exception class of its own.
        if "can't allocate memory" not in str(error):
            raise
    else:
        return
    raise OutOfMemory(
        f"a step of {training.batch} images does not fit into the memory; {advice(training)}; the "
        "last checkpoint is intact, and the first two may change with --resume"
    ) from None


def _next_divisor(batch: int, parts: int) -> int | None:
    """Return the next larger number of equal parts of the batch; None if each has one image."""
    return next((n for n in range(parts + 1, batch + 1) if batch % n == 0), None)


def _container(folder: Path) -> list[int]:
    """Return the bytes that the container of this process may still take, if it has a limit."""
    try:
        most, used = ((folder / name).read_text() for name in ("memory.max", "memory.current"))
        return [] if most.strip() == "max" else [max(int(most) - int(used), 0)]
    except (OSError, ValueError):
        return []
