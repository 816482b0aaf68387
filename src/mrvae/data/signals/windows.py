"""Windows of recordings, as images of 1 × T.

The recordings of a split are stored once, one after the other, and windows are cut out on demand.
A window begins at every multiple of the stride from which it fits, either into its recording or
into the whole; with a stride of its length, windows tile the signal, and every sample but the last
few is in exactly one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from mrvae.data.rows import Shape
from mrvae.recipes.data import EndToEnd, Layout


@dataclass(frozen=True, eq=False)
class WindowRows:
    """Windows of one long signal.

    Args:
        signal: uint8 (C, T).
        starts: of the windows, int64 (N,).
        length: of a window in samples.

    Example:
        >>> signal = torch.arange(6, dtype=torch.uint8).view(1, 6)
        >>> WindowRows(signal, torch.tensor([0, 2, 4]), 2).rows(torch.tensor([2, 0])).tolist()
        [[[[4, 5]]], [[[0, 1]]]]
    """

    signal: Tensor
    starts: Tensor
    length: int

    @property
    def shape(self) -> Shape:
        """(N, C, 1, T)."""
        return len(self.starts), len(self.signal), 1, self.length

    def rows(self, indices: Tensor) -> Tensor:
        """Cut out the windows at ``indices``: uint8 (len(indices), C, 1, length)."""
        places = self.starts[indices][:, None] + torch.arange(self.length)
        return self.signal[:, places].permute(1, 0, 2)[:, :, None].contiguous()


def starts_of(lengths: Sequence[int], window: int, stride: int, layout: Layout) -> Tensor:
    """Return where windows begin in recordings of these lengths that follow one another: (N,).

    Example:
        >>> from mrvae.recipes.data import EndToEnd, Within
        >>> starts_of([5, 3, 4], 4, 4, Within()).tolist()
        [0, 8]
        >>> starts_of([5, 3, 4], 4, 4, EndToEnd()).tolist()
        [0, 4, 8]
    """
    pieces = [sum(lengths)] if isinstance(layout, EndToEnd) else list(lengths)
    begins = accumulate(pieces[:-1], initial=0)
    starts = [
        begin + np.arange(0, piece - window + 1, stride)
        for begin, piece in zip(begins, pieces, strict=True)
    ]
    return torch.from_numpy(np.concatenate(starts)).long()
