"""The next batch, made while this one is used.

A batch is a function of its step (:mod:`mrvae.data.stream`), so it does not matter which thread
makes it, or when. While a step computes, one thread makes the batch that comes next: the next part
of the global batch, and after the last part the first one of the next step. Any other batch is made
when it is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

from torch import Tensor

from mrvae.data.stream import Stream

_Key = tuple[int, range]


class Prefetch:
    """The batches of a stream, of which the next is begun when one is taken.

    ``parts`` are those of the global batch in the order in which every step asks for them. A
    mistake in making a batch, such as a file that has gone, is raised when that batch is taken.

    Example:
        >>> import torch
        >>> from mrvae.data.images import Images
        >>> images = Images(torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1), "six", "train")
        >>> stream = Stream(images, batch=4, seed=0)
        >>> ahead = Prefetch(stream, [range(0, 2), range(2, 4)])
        >>> bool(torch.equal(ahead.batch(7, range(2, 4)), stream.batch(7, range(2, 4))))
        True
    """

    def __init__(self, stream: Stream, parts: Sequence[range]) -> None:
        self.stream = stream
        self._next = {a: (0, b) for a, b in pairwise(parts)}
        self._next[parts[-1]] = (1, parts[0])
        # One thread, and all batches are made by it: the stream keeps the order of an epoch.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._begun: dict[_Key, Future[Tensor]] = {}

    def batch(self, step: int, part: range | None = None) -> Tensor:
        """Return the stream's batch, and begin the one after it.

        Raises ``ValueError`` as the stream does.
        """
        members = range(self.stream.size) if part is None else part
        key = (step, members)
        begun = self._begun.pop(key, None) or self._begin(key)
        images = begun.result()
        self._begun.clear()
        if members in self._next:
            later, after = self._next[members]
            self._begun[step + later, after] = self._begin((step + later, after))
        return images

    def _begin(self, key: _Key) -> Future[Tensor]:
        return self._thread.submit(self.stream.batch, *key)
