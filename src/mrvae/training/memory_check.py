"""Whether a step fits into the memory that is free, asked before the first one is made.

A run that needs more than there is would be killed by the operating system, or end in the middle of
a step. So the prediction of :mod:`mrvae.training.footprint` is held against what is free: on a GPU
what its driver says, on a CPU what the system could give without swapping, and no more than a
container may take, shared by the processes on this machine. A bound that takes no time comes
first, and the prediction only where the bound is not enough. ``training.overcommit`` multiplies
what is free, for who knows better.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from mrvae.models.hvae import HVAE
from mrvae.recipes.schema import Recipe, Training
from mrvae.training.footprint import at_most, footprint
from mrvae.training.stop import OutOfMemory

_MEMORY = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")


def check_room(model: HVAE, recipe: Recipe, processes: int = 1) -> None:
    """Refuse a run whose step would not fit beside the model, which has its place already.

    Raises:
        ValueError: with the prediction, what is free, and what to do.
    """
    weight = next(model.parameters())
    free = free_bytes(weight.device)
    if free is None:
        return
    allowed = free * recipe.training.overcommit
    there = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    if at_most(model, recipe, processes) - there <= allowed:
        return
    needed = footprint(recipe, processes).peak - there
    if needed > allowed:
        raise ValueError(
            f"a step of {recipe.training.batch} images is predicted to take {gibibytes(needed)} "
            f"beside the weights, and {gibibytes(free)} are free; {advice(recipe.training)}, or "
            "training.overcommit=2 to begin all the same"
        )


def free_bytes(device: torch.device) -> int | None:
    """Return the bytes that this process may still take on a device; None where nobody says.

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
    r"""Return the bytes that Linux can give without swapping, from its own account.

    Example:
        >>> available("MemTotal: 9 kB\nMemAvailable:       3 kB\n")
        3072
    """
    lines = (line.split() for line in text.splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"), 1 << 62)


def advice(training: Training) -> str:
    """Return what makes a step smaller and is not done yet.

    Example:
        >>> advice(Training(steps=1, batch=8, bf16=True))
        'try training.accumulate=2, training.activation_checkpointing=true'
    """
    parts = _next_divisor(training.batch, training.accumulate)
    options = [
        f"training.accumulate={parts}" if parts else "",
        "" if training.activation_checkpointing else "training.activation_checkpointing=true",
        "" if training.bf16 else "training.bf16=true",
    ]
    return f"try {', '.join(filter(None, options)) or 'a smaller model'}"


def gibibytes(count: float) -> str:
    """Return bytes for people.

    Example:
        >>> gibibytes(3 * 2**29)
        '1.5 GiB'
    """
    return f"{count / 2**30:,.1f} GiB"


@contextmanager
def within_memory(training: Training) -> Iterator[None]:
    """Turn the lack of memory in the middle of a step into one line that says what to do.

    Raises:
        OutOfMemory: if the device, or the machine, has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        pass
    except RuntimeError as error:
        # A CPU's allocator has no error of its own.
        if "can't allocate memory" not in str(error):
            raise
    else:
        return
    raise OutOfMemory(
        f"the memory does not hold a step of {training.batch} images; {advice(training)}; what was "
        "saved before is whole, and the first two may change with --resume"
    ) from None


def _next_divisor(batch: int, parts: int) -> int | None:
    """Return the next number of parts that the batch can be cut into; none if they hold one."""
    return next((n for n in range(parts + 1, batch + 1) if batch % n == 0), None)


def _container(folder: Path) -> list[int]:
    """Return what the container of this process may still take, if there is one with a limit."""
    try:
        most, used = ((folder / name).read_text() for name in ("memory.max", "memory.current"))
        return [] if most.strip() == "max" else [max(int(most) - int(used), 0)]
    except (OSError, ValueError):
        return []
