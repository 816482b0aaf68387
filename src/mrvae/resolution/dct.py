"""The lowest frequencies of an image: a cropped discrete cosine transform.

The orthonormal DCT-II of n values is the matrix

    C_{ki} = s_k cos(π k (2i + 1) / 2n),    s_0 = √(1/n),  s_k = √(2/n) for k > 0,    C Cᵀ = 1.

The first m of its n rows, C_m, down an image and C_m' across it give its m × m' lowest frequencies,
and their transposes give an image back:

    analysis   c = C_m x C_m'ᵀ,       synthesis   x̂ = C_mᵀ c C_m'     (the other frequencies zero).

Analysis after synthesis is the identity; synthesis after analysis is the orthogonal projection
onto the images that these frequencies span: the best approximation with m m' numbers of that kind.
Both are products with small matrices, so each is the other's gradient.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.resolution.product import cached_matrix, matmul_along
from mrvae.resolution.shapes import check_axes, check_floating
from mrvae.sizes import ImageSize, sides


@dataclass(frozen=True)
class DCT:
    """The lowest frequencies of images, orthonormal.

    Args:
        size: frequencies kept along each axis, 0 … size - 1; or (down, across).

    Raises:
        ValueError: if ``size`` is not positive.

    Source: Kuzina & Tomczak 2023, algorithms 1 and 2, without their scaling and rounding.

    Example:
        >>> x = torch.arange(16.0).view(4, 4)
        >>> c = DCT(2).analysis(x)
        >>> (c[0] * 100).round() / 100
        tensor([30.0000, -4.4600])
        >>> bool(torch.allclose(DCT(2).analysis(DCT(2).synthesis(c, 4, 4)), c, atol=1e-5))
        True
        >>> DCT((1, 3)).analysis(torch.ones(1, 4)).shape
        torch.Size([1, 3])
    """

    size: ImageSize

    def __post_init__(self) -> None:
        if min(sides(self.size)) < 1:
            raise ValueError(f"size is {self.size}; at least one frequency must be kept")

    def analysis(self, x: Tensor) -> Tensor:
        """Return the lowest frequencies of images.

        Args:
            x: floating point, of shape (…, H, W).

        Returns:
            Of shape (…, m, m'), or (…, size, size): vertical frequencies first.

        Raises:
            ValueError: if ``x`` is not floating point, has fewer than two axes, or is smaller than
                ``size`` pixels a side.
        """
        check_floating(x)
        check_axes(x, 2)
        rows, columns = self._bases(x.shape[-2], x.shape[-1], x)
        return matmul_along(columns, matmul_along(rows, x, -2), -1)

    def synthesis(self, c: Tensor, height: int, width: int) -> Tensor:
        """Return the images that have these frequencies and no others.

        Args:
            c: floating point, of shape (…, size, size).
            height: of the images. Any size will do, but an orthonormal basis keeps the sum of
                squares: on n times the pixels the values are √n times smaller.
            width: of the images.

        Returns:
            Of shape (…, height, width).

        Raises:
            ValueError: if ``c`` is not floating point or of another size, or the image would be
                smaller than ``size`` pixels a side.
        """
        check_floating(c)
        if c.shape[-2:] != sides(self.size):
            down, across = sides(self.size)
            raise ValueError(
                f"shape is {tuple(c.shape)}; expected (…, {down}, {across}), the"
                " frequencies that analysis returns"
            )
        rows, columns = self._bases(height, width, c)
        return matmul_along(rows.mT, matmul_along(columns.mT, c, -1), -2)

    def _bases(self, height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return C_m and C_m' of an image, once it is known to be large enough."""
        down, across = sides(self.size)
        return _basis(down, height, like), _basis(across, width, like)


def _basis(size: int, side: int, like: Tensor) -> Tensor:
    """Return C_m for a side of an image."""
    if side < size:
        raise ValueError(
            f"size is {size}, but a side of the image has {side} pixels and no more"
            f" frequencies; use DCT({side}) or larger images"
        )
    return _cosines(size, operator.index(side), like.dtype, like.device)


@cached_matrix
def _cosines(size: int, side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the first ``size`` rows of C for ``side`` values."""
    # All angles are multiples of π/2n: as whole numbers they keep every digit at any n.
    scale = math.sqrt(2 / side)
    table = [scale * math.cos(math.pi * turn / (2 * side)) for turn in range(4 * side)]
    odd = 2 * torch.arange(side, device=device) + 1
    turns = torch.arange(size, device=device).unsqueeze(-1) * odd % (4 * side)
    rows = torch.tensor(table, dtype=dtype, device=device)[turns]
    return torch.cat((rows[:1] * math.sqrt(0.5), rows[1:]))
