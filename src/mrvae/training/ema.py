"""The exponential moving average of the weights, which is evaluated in their place.

    a ← d_n a + (1 - d_n) w after the n-th update,   d_n = min(d, (1 + n)/(10 + n)).

The published average starts at the initial weights with d_n = d from the first step on, so a
short run evaluates mostly its initial weights; the growing d_n removes them (Hazami et al. 2022
correct the same bias).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """The averages of ``parameters``, in the same order.

    Example:
        >>> weight = nn.Parameter(torch.zeros(1))
        >>> ema = Ema([weight], decay=0.999)
        >>> _ = weight.data.fill_(1.0)
        >>> ema.update(0)
        >>> ema.averages[0]
        tensor([0.9000])
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.parameters = list(parameters)
        self.decay = decay
        self.averages: list[Tensor] = [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Average in the present weights, after ``updates`` earlier ones."""
        decay = min(self.decay, (1 + updates) / (10 + updates))
        values = [p.detach() for p in self.parameters]
        torch._foreach_lerp_(self.averages, values, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Use the averages as the model's weights inside the block."""
        raw = [p.detach().clone() for p in self.parameters]
        self._write(self.averages)
        try:
            yield
        finally:
            self._write(raw)

    @torch.no_grad()
    def _write(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(list(self.parameters), values)
