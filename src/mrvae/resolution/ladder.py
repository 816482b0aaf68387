"""Nested spaces of images, with the projection and the embedding between them.

An image of V_{j-1} has half the pixels a side of one of V_j. In d dimensions

    (P x)_i = 2^{-d} Σ_{k in {0,1}^d} x_{2i+k}        average pooling, V_j → V_{j-1},
    (E y)_{2i+k} = y_i                                nearest neighbour, V_{j-1} → V_j.

Then P E = 1, and E P is idempotent and self-adjoint, P being 2^{-d} times the adjoint of E: the
best approximation of a fine image by a coarse one. Several steps are one average, or one
repetition, over 2^steps pixels a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional


class Resampling(Protocol):
    """A projection P and an embedding E between levels, with P E = 1.

    Those of a :class:`Ladder` average and repeat; those of any orthogonal wavelet are
    :class:`mrvae.resolution.WaveletPooling`.
    """

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        """Go ``steps`` levels down: apply P that often."""
        ...

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Go ``steps`` levels up: apply E that often."""
        ...


@dataclass(frozen=True)
class Ladder:
    """Spaces V_0 ⊂ … ⊂ V_J of images of base·2^j pixels a side.

    Args:
        base: pixels a side at level 0, the coarsest.
        depth: J, the number of steps from the finest level to the coarsest.
        dims: 1 for signals, 2 for images.

    Raises:
        ValueError: if ``base`` is not positive, ``depth`` is negative, or ``dims`` is not 1 or 2.

    Example:
        >>> import torch
        >>> ladder = Ladder(base=7, depth=2)
        >>> [ladder.size(level) for level in range(3)], ladder.level(14)
        ([7, 14, 28], 1)
        >>> ladder.project(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        tensor([[3.]])
    """

    base: int
    depth: int
    dims: int = 2

    def __post_init__(self) -> None:
        if self.base < 1:
            raise ValueError(f"base is {self.base}; the coarsest level needs a pixel or more")
        if self.depth < 0:
            raise ValueError(f"depth is {self.depth}; it must be 0 or more")
        if self.dims not in (1, 2):
            raise ValueError(f"dims is {self.dims}; it must be 1 (signals) or 2 (images)")

    def size(self, level: int) -> int:
        """Return base·2^level, the pixels a side of a level.

        Raises:
            ValueError: if ``level`` is not in 0 … depth.
        """
        if not 0 <= level <= self.depth:
            raise ValueError(f"level is {level}; this ladder has levels 0…{self.depth}")
        return self.base << level

    def level(self, size: int) -> int:
        """Return the level whose images have ``size`` pixels a side.

        Raises:
            ValueError: if no level has.
        """
        sizes = [self.size(level) for level in range(self.depth + 1)]
        if size not in sizes:
            raise ValueError(f"size is {size}; this ladder has the sizes {sizes}")
        return sizes.index(size)

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        """Apply P ``steps`` times: averages over 2^steps pixels a side.

        Args:
            x: floating point, of shape (…, H, W), or (…, L) if ``dims`` is 1.
            steps: how many levels to go down.

        Raises:
            ValueError: if ``steps`` is negative, ``x`` has fewer than ``dims`` axes, or a side is
                no multiple of 2^steps.
        """
        factor = self._factor(x, steps)
        sides = x.shape[x.dim() - self.dims :]
        if any(side % factor for side in sides):
            raise ValueError(
                f"sides are {tuple(sides)}; {steps} steps down need multiples of {factor},"
                " pad or crop the image"
            )
        flat = self._flatten(x)
        if self.dims == 1:
            pooled = functional.avg_pool1d(flat, factor)
        else:
            pooled = functional.avg_pool2d(flat, factor)
        return pooled.reshape(*x.shape[: -self.dims], *pooled.shape[-self.dims :])

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Apply E ``steps`` times: repeats every pixel 2^steps times a side.

        Args:
            x: of shape (…, H, W), or (…, L) if ``dims`` is 1.
            steps: how many levels to go up.

        Raises:
            ValueError: if ``steps`` is negative, or ``x`` has fewer than ``dims`` axes.
        """
        factor = self._factor(x, steps)
        flat = self._flatten(x)
        wide = functional.interpolate(flat, scale_factor=float(factor), mode="nearest")
        return wide.reshape(*x.shape[: -self.dims], *wide.shape[-self.dims :])

    def _factor(self, x: Tensor, steps: int) -> int:
        """Return 2^steps, once the steps and the number of axes are known to make sense."""
        if steps < 0:
            raise ValueError(f"steps is {steps}; it must be 0 or more")
        if x.dim() < self.dims:
            raise ValueError(f"shape is {tuple(x.shape)}; expected {self.dims} axes or more")
        return 1 << steps

    def _flatten(self, x: Tensor) -> Tensor:
        """Return ``x`` with exactly two leading axes; itself, in its memory format, if it has."""
        lead = x.shape[: x.dim() - self.dims]
        if len(lead) == 2:
            return x
        return x.reshape(1, math.prod(lead), *x.shape[x.dim() - self.dims :])
