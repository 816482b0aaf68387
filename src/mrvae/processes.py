"""Distributed processes: their group, the shard of images of each, and collective operations.

``torchrun`` and ``accelerate launch`` start the same command several times, and set the rank and
the number of processes as environment variables. Every image belongs to one process: of N images,
process p of P takes

    ⌊pN/P⌋ … ⌊(p+1)N/P⌋ - 1,

shards that differ by at most one image. Sums and rows are collected without padding images and
without counting one twice. With one process nothing is communicated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import PartialState
from accelerate.utils import gather, reduce
from torch import Tensor, distributed

from mrvae.files import reason

_LONGEST = 2000


def is_distributed() -> bool:
    """Return whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def on_cpu(device: torch.device | None = None) -> bool:
    """Return whether several processes have to compute on CPUs, or are asked to.

    Without ``cpu=True``, accelerate would let each of them do the whole task separately.
    """
    asked = device is not None and device.type == "cpu"
    return is_distributed() and (asked or not torch.cuda.is_available())


def process_state(device: torch.device | None = None) -> PartialState:
    """Return the state of this process, after joining the group of the others if necessary.

    With ``device`` the process computes there from now on. Of several processes each has a CUDA
    device of its own.

    Raises:
        ValueError: if several processes are to compute on one device.
    """
    if device is None:
        return PartialState(cpu=on_cpu())
    if is_distributed() and (device.type == "mps" or device.index is not None):
        raise ValueError(
            f"the device is {device}, and each of several processes has its own; give cpu or cuda"
        )
    state = PartialState(cpu=on_cpu(device))
    if not is_distributed():
        state.device = device
    return state


def leave_group() -> None:
    """Leave the process group, if it was joined; no collective operation may follow."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def shard(count: int, index: int, processes: int) -> range:
    """Return the indices of the images, of ``count``, that belong to process ``index``.

    Example:
        >>> [list(shard(5, index, 3)) for index in range(3)]
        [[0], [1, 2], [3, 4]]
    """
    return range(index * count // processes, (index + 1) * count // processes)


def all_reduce_sum(value: float) -> float:
    """Return the sum of a number over all processes, in double precision.

    Example:
        >>> all_reduce_sum(2.5)
        2.5
    """
    if not is_distributed():
        return value
    total = torch.tensor([value], dtype=torch.float64, device=process_state().device)
    return float(reduce(total, "sum"))


def all_reduce_max(value: int) -> int:
    """Return the maximum of an integer over all processes.

    Example:
        >>> all_reduce_max(15)
        15
    """
    if not is_distributed():
        return value
    return int(gather(torch.tensor([value], device=process_state().device)).max())


def all_gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, (n_p, …) each, in the order of the ranks.

    Example:
        >>> all_gather_rows(torch.tensor([[1.0], [2.0]]))
        tensor([[1.],
                [2.]])
    """
    if not is_distributed():
        return rows
    device = process_state().device
    counts = gather(torch.tensor([len(rows)], device=device)).tolist()
    padded = torch.zeros(max(counts), *rows.shape[1:], dtype=rows.dtype, device=device)
    padded[: len(rows)] = rows.to(device)
    blocks = gather(padded).to(rows.device).view(len(counts), *padded.shape)
    return torch.cat([block[:count] for block, count in zip(blocks, counts, strict=True)])


@contextmanager
def raise_together() -> Iterator[None]:
    """Raise an error of any process inside the block on all of them.

    If only one process stopped, the others would wait for ever. So all of them end the block with
    the ``ValueError`` of the first process that raised one.

    Example:
        >>> with raise_together():
        ...     raise ValueError("no such data set")
        Traceback (most recent call last):
        ValueError: no such data set
    """
    if not is_distributed():
        yield
        return
    problem = ""
    try:
        yield
    except OSError as error:
        problem = reason(error)
    except ValueError as error:
        problem = str(error)
    first = _first_text(problem)
    if first:
        raise ValueError(first)


def _first_text(text: str) -> str:
    """Return the text of the first process whose text is not empty."""
    encoded = text.encode()[:_LONGEST].ljust(_LONGEST, b"\0")
    row = torch.tensor(list(encoded), dtype=torch.uint8, device=process_state().device)
    rows = gather(row).cpu().view(-1, _LONGEST)
    texts = [bytes(row.tolist()).rstrip(b"\0").decode(errors="ignore") for row in rows]
    return next((text for text in texts if text), "")


def peer_lost(error: RuntimeError) -> bool:
    """Return whether an error reports that another process has ended, or does not answer.

    Example:
        >>> peer_lost(RuntimeError("[/gloo/gloo/transport/tcp/pair.cc:553] Connection closed"))
        True
    """
    return isinstance(error, distributed.DistError) or "/gloo/" in str(error)
