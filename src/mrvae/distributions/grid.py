"""Equally spaced values on the line: what a discrete variable with an order takes.

Code v of n has the value u_v = first + v·spacing, and its bin reaches half a spacing to either
side. Only then do the bins of neighbours touch, so that the masses of all bins, the outermost ones
reaching to infinity, sum to one. Two grids matter here:

    both ends of [-1, 1] included    first = -1,          spacing = 2/(n - 1),
    mid-rise, n = 2^b                first = -1 + 2^-b,   spacing = 2^{1-b},

the second of which has ±1 as the outer *edges* of its bins. An edge is computed from its own
number, so that the upper edge of one bin is bit for bit the lower edge of the next.

The elements of a tensor may have grids of their own, such as the frequencies of an image, of which
low ones need more codes: a field of the grid is then a tensor that broadcasts with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Grid:
    """The codes 0 … count-1 at first + v·spacing.

    Args:
        count: number of codes, 1 or more; one number, or integers that broadcast with the
            elements.
        first: value of code 0; one number, or as ``count``.
        spacing: distance between two codes, positive; one number, or as ``count``.

    Raises:
        ValueError: if there is no code, or the spacing is not positive.

    Example:
        >>> grid = Grid(count=4, first=-0.75, spacing=0.5)
        >>> grid.value(torch.arange(4))
        tensor([-0.7500, -0.2500,  0.2500,  0.7500])
        >>> grid.code(torch.tensor([-9.0, 0.0, 0.6]))
        tensor([0, 2, 3])
    """

    count: int | Tensor
    first: float | Tensor
    spacing: float | Tensor

    def __post_init__(self) -> None:
        if torch.compiler.is_compiling():
            return  # a compiler cannot look at what a tensor holds
        if _least(self.count) < 1:
            raise ValueError(f"count is {self.count}; a grid has at least one code")
        if not _least(self.spacing) > 0:
            raise ValueError(f"spacing is {self.spacing}; it must be positive")

    @classmethod
    def unit(cls, count: int) -> Grid:
        """Return ``count`` codes on [-1, 1], both ends included; a single one sits at 0.

        Example:
            >>> Grid.unit(5).value(torch.arange(5)).tolist()
            [-1.0, -0.5, 0.0, 0.5, 1.0]
        """
        return cls(1, 0.0, 2.0) if count == 1 else cls(count, -1.0, 2 / (count - 1))

    @property
    def most(self) -> int:
        """The largest number of codes of an element."""
        return int(self.count.max()) if isinstance(self.count, Tensor) else self.count

    def value(self, code: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Return the value of codes, of any shape; torch's default type if none is given."""
        dtype = dtype or torch.get_default_dtype()
        first, spacing = self._line(code.device, dtype)
        return first + code.to(dtype) * spacing

    def edge(self, code: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the lower edge of codes' bins: that of v + 1 is the upper edge of v."""
        first, spacing = self._line(code.device, dtype)
        return first + (code.to(dtype) - 0.5) * spacing

    def code(self, value: Tensor) -> Tensor:
        """Return the nearest codes, as int64: the upper one of two, and the ends beyond them."""
        first, spacing = self._line(value.device, value.dtype)
        nearest = torch.floor((value - first) / spacing + 0.5).clamp(min=0)
        return torch.minimum(nearest, self.last(nearest)).long()

    def place(self, value: Tensor) -> Tensor:
        """Return (value - first)/spacing, the code before it is rounded, cut to -½ … count - ½."""
        first, spacing = self._line(value.device, value.dtype)
        place = ((value - first) / spacing).clamp(min=-0.5)
        return torch.minimum(place, self.last(place) + 0.5)

    def last(self, like: Tensor) -> Tensor:
        """Return the last code, count - 1, in the type and on the device of a tensor."""
        return torch.as_tensor(self.count, dtype=like.dtype, device=like.device) - 1

    def check(self, code: Tensor) -> None:
        """Refuse what is no code of this grid; it reads the values, so it belongs at borders.

        Raises:
            ValueError: if ``code`` is not int64, or outside 0 … count-1.
        """
        if code.dtype != torch.int64:
            raise ValueError(f"codes are {code.dtype}; expected torch.int64, convert them")
        if code.numel() and bool(((code < 0) | (code > self.last(code))).any()):
            raise ValueError(
                f"codes are {int(code.min())} … {int(code.max())}; expected 0 … count-1 with"
                f" count {self.most} at most, quantise on this grid first"
            )

    def _line(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return ``first`` and ``spacing`` as tensors."""
        return (
            torch.as_tensor(self.first, dtype=dtype, device=device),
            torch.as_tensor(self.spacing, dtype=dtype, device=device),
        )


def _least(number: float | Tensor) -> float:
    """Return the smallest entry, or the number itself; infinity if none is known."""
    if not isinstance(number, Tensor):
        return number
    known = number.numel() and not number.is_meta
    return float(number.min()) if known else float("inf")
