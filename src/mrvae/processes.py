"""Several processes at one task: who they are, what each takes, and what they say to one another.

``torchrun`` and ``accelerate launch`` start the same command several times and tell each, by
environment variables, which of how many it is. Every image is then the business of one process:
of N images, process p of P takes

    ⌊pN/P⌋ … ⌊(p+1)N/P⌋ - 1,

shares that differ by one image at most. So sums and rows are put together here as what they are,
with no image filled in and none counted twice. Everything is exact for one process, which speaks
to nobody.
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
    """Tell whether a launcher started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def on_cpu() -> bool:
    """Tell whether several processes have to compute on CPUs, for want of a CUDA device.

    Without being told so, accelerate would let each of them do the whole task by itself.
    """
    return is_distributed() and not torch.cuda.is_available()


def present() -> PartialState:
    """Join the other processes, if there are any and that was not done yet."""
    return PartialState(cpu=on_cpu())


def leave() -> None:
    """Part from the other processes, if they were joined; nothing more may be asked of them."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def share(count: int, index: int, processes: int) -> range:
    """Return which of ``count`` images process ``index`` takes.

    Example:
        >>> [list(share(5, index, 3)) for index in range(3)]
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
    total = torch.tensor([value], dtype=torch.float64, device=present().device)
    return float(reduce(total, "sum"))


def all_reduce_max(value: int) -> int:
    """Return the largest of a whole number over all processes.

    Example:
        >>> all_reduce_max(15)
        15
    """
    if not is_distributed():
        return value
    return int(gather(torch.tensor([value], device=present().device)).max())


def joined(rows: Tensor) -> Tensor:
    """Return the rows of all processes, (n_p, …) of each, in the order of the processes.

    Example:
        >>> joined(torch.tensor([[1.0], [2.0]]))
        tensor([[1.],
                [2.]])
    """
    if not is_distributed():
        return rows
    device = present().device
    counts = gather(torch.tensor([len(rows)], device=device)).tolist()
    padded = torch.zeros(max(counts), *rows.shape[1:], dtype=rows.dtype, device=device)
    padded[: len(rows)] = rows.to(device)
    blocks = gather(padded).to(rows.device).view(len(counts), *padded.shape)
    return torch.cat([block[:count] for block, count in zip(blocks, counts, strict=True)])


@contextmanager
def raise_together() -> Iterator[None]:
    """Let a mistake that one process makes inside the block be the mistake of all.

    A process that stopped alone would leave the others waiting. So all of them end the block with
    the ``ValueError`` of the first that made one.

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
    first = _first_said(problem)
    if first:
        raise ValueError(first)


def _first_said(text: str) -> str:
    """Return the text of the first process that says anything."""
    words = text.encode()[:_LONGEST]
    page = torch.tensor(list(words.ljust(_LONGEST, b"\0")), dtype=torch.uint8)
    pages = gather(page.to(present().device)).cpu().view(-1, _LONGEST)
    texts = [bytes(page.tolist()).rstrip(b"\0").decode(errors="ignore") for page in pages]
    return next((text for text in texts if text), "")


def peer_lost(error: RuntimeError) -> bool:
    """Tell whether an error says that another process has gone, or no longer answers.

    Example:
        >>> peer_lost(RuntimeError("[/gloo/gloo/transport/tcp/pair.cc:553] Connection closed"))
        True
    """
    return isinstance(error, distributed.DistError) or "/gloo/" in str(error)
