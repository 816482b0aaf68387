"""The endless, resumable sequence of training batches.

Count the examples of a run: number i = step·batch + j is the j-th image of the global batch at
this step. With N images, epoch e = i div N visits image π_e(i mod N), where π_e is a random
permutation that depends on (seed, e) only. So the batch of step n needs no steps 0…n-1,
any process can take its part of it, and every epoch visits every image exactly once, whether or
not the batch divides N.

Dynamic binarisation (Salakhutdinov & Murray 2008) draws each pixel again whenever its image is
used: here from the stream (seed, step, j).
"""

from __future__ import annotations

import torch
from torch import Tensor

from mrvae.data.images import Images, bernoulli
from mrvae.data.randomness import Purpose, generator


class Stream:
    """Batches of training images as a pure function of the step.

    ``batch`` is the global batch, whatever the number of processes; it may exceed the number of
    images. ``binary`` draws each pixel v as 1 with probability v / (bins-1), again at each step.

    Raises ``ValueError`` for a batch below 1 or a negative seed.

    Example:
        >>> images = Images(torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1), "six", "train")
        >>> stream = Stream(images, batch=4, seed=0)
        >>> epoch = torch.cat([stream.batch(0), stream.batch(1)])[:6]
        >>> sorted(epoch.flatten().tolist())
        [0, 1, 2, 3, 4, 5]

    """

    def __init__(self, images: Images, batch: int, seed: int, binary: bool = False) -> None:
        if batch < 1:
            raise ValueError(f"batch is {batch}; it must be at least 1")
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must not be negative")
        self.images = images
        self.size = batch
        self.seed = seed
        self.binary = binary
        self._orders: dict[int, Tensor] = {}

    def batch(self, step: int, part: range | None = None) -> Tensor:
        """Return the images ``part`` of step ``step``: uint8 of shape (len(part), C, H, W).

        ``part`` holds indices 0 … batch-1 in the global batch; ``None`` is the whole batch. The
        result equals the rows ``part`` of the whole batch. Raises ``ValueError`` for a negative
        step or an index outside the batch.
        """
        members = range(self.size) if part is None else part
        if step < 0 or (members and not (min(members) >= 0 and max(members) < self.size)):
            raise ValueError(
                f"step {step} has no part {members}; take step ≥ 0 and parts of 0…{self.size - 1}"
            )
        x = self.images.take(self.indices(step, members))
        if not self.binary or not members:
            return x
        streams = (generator(self.seed, Purpose.DYNAMIC_PIXELS, step, j) for j in members)
        bins = self.images.bins
        return torch.stack(
            [bernoulli(image, bins, stream) for image, stream in zip(x, streams, strict=True)]
        )

    def indices(self, step: int, members: range) -> Tensor:
        """Return which images of the set are the ``members`` of the batch at ``step``."""
        places = (divmod(step * self.size + j, len(self.images)) for j in members)
        return torch.tensor(
            [int(self._order(epoch)[place]) for epoch, place in places], dtype=torch.long
        )

    def _order(self, epoch: int) -> Tensor:
        """Return π_epoch; the two used last are kept, for a batch may straddle two epochs."""
        if epoch not in self._orders:
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            stream = generator(self.seed, Purpose.ORDER, epoch)
            self._orders[epoch] = torch.randperm(len(self.images), generator=stream)
        return self._orders[epoch]
