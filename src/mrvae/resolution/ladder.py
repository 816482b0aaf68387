"""Nested spaces of images, with the projection and the embedding between them.

An image of V_{j-1} has half the pixels a side of one of V_j. In d dimensions

    (P x)_i = 2^{-d} Σ_{k in {0,1}^d} x_{2i+k}        average pooling, V_j → V_{j-1},
    (E y)_{2i+k} = y_i                                nearest neighbour, V_{j-1} → V_j.

Then P E = 1, and E P is idempotent and self-adjoint, P being 2^{-d} times the adjoint of E: the
best approximation of a fine image by a coarse one. Several steps are one average, or one
repetition, over 2^steps pixels a side.

A rectangle has a base for each axis. A side of one pixel stays one on the way down: a signal of
1 × T samples has averages and repetitions along its one axis. So each axis may have a depth of its
own, and takes its steps at the finest levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional

from mrvae.sizes import ImageSize, Sides, sides, simplest, size_text


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
        base: pixels of level 0, the coarsest: one number, or (height, width) of a rectangle.
        depth: J, the number of steps from the finest level to the coarsest; of a rectangle perhaps
            one for each axis, of which the larger is J.
        dims: 1 for signals of shape (…, L), 2 for images.

    Raises:
        ValueError: if ``base`` is not positive, ``depth`` is negative, ``dims`` is not 1 or 2, or
            the axis of fewer steps has not one pixel at level 0.

    Example:
        >>> import torch
        >>> ladder = Ladder(base=7, depth=2)
        >>> [ladder.size(level) for level in range(3)], ladder.level(14)
        ([7, 14, 28], 1)
        >>> ladder.project(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
        tensor([[3.]])
        >>> [Ladder(base=(1, 4), depth=(0, 2)).size(level) for level in range(3)]
        [(1, 4), (1, 8), (1, 16)]
        >>> [Ladder(base=(1, 3), depth=(1, 2)).size(level) for level in range(3)]
        [(1, 3), (1, 6), (2, 12)]
    """

    base: ImageSize
    depth: ImageSize
    dims: int = 2

    def __post_init__(self) -> None:
        if min(sides(self.base)) < 1:
            raise ValueError(f"base is {self.base}; the coarsest level needs a pixel or more")
        if min(sides(self.depth)) < 0:
            raise ValueError(f"depth is {self.depth}; it must be 0 or more")
        if self.dims not in (1, 2):
            raise ValueError(f"dims is {self.dims}; it must be 1 (signals) or 2 (images)")
        axes = zip(sides(self.depth), sides(self.base), strict=True)
        if any(depth < self.steps and base > 1 for depth, base in axes):
            raise ValueError(
                f"depth is {self.depth} for a base of {size_text(self.base)}; only an axis of one"
                " pixel may have fewer steps than the other"
            )

    @classmethod
    def between(cls, coarse: ImageSize, fine: ImageSize) -> Ladder:
        """Return the ladder from a coarsest size to a finest one.

        Raises:
            ValueError: if steps of 2 do not join them.

        Example:
            >>> Ladder.between((7, 5), (28, 20))
            Ladder(base=(7, 5), depth=2, dims=2)
            >>> Ladder.between((1, 4), (1, 64))
            Ladder(base=(1, 4), depth=(0, 4), dims=2)
        """
        ratios = [f // c for c, f in zip(sides(coarse), sides(fine), strict=True)]
        depth = (max(ratios[0], 1).bit_length() - 1, max(ratios[1], 1).bit_length() - 1)
        ladder = cls(simplest(coarse), simplest(depth))
        if ladder.sides(ladder.steps) != sides(fine):
            raise ValueError(
                f"resolutions {size_text(coarse)} … {size_text(fine)} are not joined by steps of 2"
            )
        return ladder

    @property
    def steps(self) -> int:
        """J, the number of steps from the finest level to the coarsest."""
        return max(sides(self.depth))

    def size(self, level: int) -> ImageSize:
        """Return base·2^level, the pixels of a level: one number, or (height, width).

        Raises:
            ValueError: if ``level`` is not in 0 … depth.
        """
        return simplest(self.sides(level))

    def sides(self, level: int) -> Sides:
        """Return the height and the width of a level.

        Raises:
            ValueError: if ``level`` is not in 0 … depth.
        """
        if not 0 <= level <= self.steps:
            raise ValueError(f"level is {level}; this ladder has levels 0…{self.steps}")
        (height, width), (down, across) = sides(self.base), sides(self.depth)
        late = self.steps - level
        return height << max(down - late, 0), width << max(across - late, 0)

    def level(self, size: ImageSize) -> int:
        """Return the level whose images have this size.

        Raises:
            ValueError: if no level has.
        """
        sizes = [self.size(level) for level in range(self.steps + 1)]
        if simplest(size) not in sizes:
            raise ValueError(f"size is {size}; this ladder has the sizes {sizes}")
        return sizes.index(simplest(size))

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        """Apply P ``steps`` times: averages over 2^steps pixels a side.

        Args:
            x: floating point, of shape (…, H, W), or (…, L) if ``dims`` is 1.
            steps: how many levels to go down.

        Raises:
            ValueError: if ``steps`` is negative, ``x`` has fewer than ``dims`` axes, or a side is
                no multiple of 2^steps.
        """
        factors = self._factors(x, steps, down=True)
        lengths = x.shape[x.dim() - self.dims :]
        if any(length % factor for length, factor in zip(lengths, factors, strict=True)):
            raise ValueError(
                f"sides are {tuple(lengths)}; {steps} steps down need multiples of {1 << steps},"
                " pad or crop the image"
            )
        flat = self._flatten(x)
        if self.dims == 1:
            pooled = functional.avg_pool1d(flat, factors[0])
        else:
            pooled = functional.avg_pool2d(flat, factors)
        return pooled.reshape(*x.shape[: -self.dims], *pooled.shape[-self.dims :])

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Apply E ``steps`` times: repeats every pixel 2^steps times a side.

        Args:
            x: of shape (…, H, W), or (…, L) if ``dims`` is 1.
            steps: how many levels to go up.

        Raises:
            ValueError: if ``steps`` is negative, or ``x`` has fewer than ``dims`` axes.
        """
        factors = [float(factor) for factor in self._factors(x, steps, down=False)]
        flat = self._flatten(x)
        wide = functional.interpolate(flat, scale_factor=factors, mode="nearest")
        return wide.reshape(*x.shape[: -self.dims], *wide.shape[-self.dims :])

    def _factors(self, x: Tensor, steps: int, down: bool) -> tuple[int, ...]:
        """Return 2^steps for each axis, once the steps and the number of axes make sense."""
        if steps < 0:
            raise ValueError(f"steps is {steps}; it must be 0 or more")
        if x.dim() < self.dims:
            raise ValueError(f"shape is {tuple(x.shape)}; expected {self.dims} axes or more")
        if isinstance(self.depth, int) or self.dims == 1:
            return (1 << steps,) * self.dims
        height, width = x.shape[-2:]
        here = self.level((height, width))
        low, high = (here - steps, here) if down else (here, here + steps)
        coarse, fine = self.sides(low), self.sides(high)
        return fine[0] // coarse[0], fine[1] // coarse[1]

    def _flatten(self, x: Tensor) -> Tensor:
        """Return ``x`` with exactly two leading axes; itself, in its memory format, if it has."""
        lead = x.shape[: x.dim() - self.dims]
        if len(lead) == 2:
            return x
        return x.reshape(1, math.prod(lead), *x.shape[x.dim() - self.dims :])
