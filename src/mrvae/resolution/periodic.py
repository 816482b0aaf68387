"""One step of a periodised filter bank, and its transpose, along any axis.

Correlating with F taps and keeping every other value is multiplication by a matrix of which row k
holds the filter reversed, from column 2k + 1 - F/2 on, wrapped around as often as it takes:

    (A x)_k = Σ_j f_j x_{2k + F/2 - j mod n},    A of n/2 rows for each filter, one filter's
                                                 rows below the other's.

A is orthogonal if the family is; in any family, with B made of the dual filters, Bᵀ A = 1.

Two ways lead to A x. The dense product costs n multiplications a value, but at the full speed of
the machine, and is the faster one up to about a thousand values a side (db4 on one core, 192
images of 128 × 128: 11 ms against 75 ms for a convolution, one axis). Beyond, a strided
convolution costs F a value and no matrix.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.resolution.filters import FilterBank, Filters
from mrvae.resolution.product import cached_matrix, full_precision, matmul_along
from mrvae.resolution.shapes import check_even, check_parts

_DENSE = 1024


@dataclass(frozen=True)
class Periodic:
    """One step of a wavelet transform over the last ``dims`` axes, periodised.

    It has the interface of :class:`~mrvae.resolution.haar.Haar`, with filters of any length.

    Example:
        >>> from mrvae.resolution.filters import filter_bank
        >>> step = Periodic(filter_bank("db2"), dims=1)
        >>> coarse, details = step.analysis(torch.tensor([1.0, 1.0, 1.0, 1.0]))
        >>> coarse, bool(details.abs().max() < 1e-6)
        (tensor([1.4142, 1.4142]), True)
    """

    bank: FilterBank
    dims: int = 2

    def analysis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Split into a coarse part (…, h, w) and details (…, 3, h, w): cH, cV, cD.

        Raises:
            ValueError: if ``x`` is not floating point, has fewer than ``dims`` axes, or a side is
                odd.
        """
        check_even(x, self.dims)
        for dim in range(-self.dims, 0):
            x = analyse(x, self.bank.filters, dim)
        if self.dims == 1:
            coarse, detail = x.chunk(2, dim=-1)
            return coarse.contiguous(), detail.contiguous().unsqueeze(-2)
        top, bottom = x.chunk(2, dim=-2)
        (coarse, vertical), (horizontal, diagonal) = top.chunk(2, dim=-1), bottom.chunk(2, dim=-1)
        # A copy of the quarter, lest it keep the whole alive.
        return coarse.contiguous(), torch.stack((horizontal, vertical, diagonal), dim=-3)

    def synthesis(self, coarse: Tensor, details: Tensor) -> Tensor:
        """Undo :meth:`analysis`.

        Raises:
            ValueError: if the two shapes do not belong together.
        """
        check_parts(coarse, details, self.dims)
        if self.dims == 1:
            x = torch.cat((coarse, details.squeeze(-2)), dim=-1)
        else:
            horizontal, vertical, diagonal = details.unbind(-3)
            top = torch.cat((coarse, vertical), dim=-1)
            x = torch.cat((top, torch.cat((horizontal, diagonal), dim=-1)), dim=-2)
        for dim in range(-1, -1 - self.dims, -1):
            x = synthesise(x, self.bank.dual, dim)
        return x


def analyse(x: Tensor, filters: Filters, dim: int) -> Tensor:
    """Return A x along axis ``dim`` (negative), of even size."""
    if dim < -2:
        flat = analyse(x.flatten(dim + 1), filters, -2)
        return torch.unflatten(flat, -1, x.shape[dim + 1 :])
    # A matrix has one size, also where a compiler would trace a symbolic one: index fixes it.
    size = operator.index(x.shape[dim])
    if size <= _DENSE:
        return matmul_along(_matrix(filters, size, x.dtype, x.device), x, dim)
    return _in_rows(x, filters, dim, _correlate)


def synthesise(y: Tensor, filters: Filters, dim: int) -> Tensor:
    """Return Aᵀ y along axis ``dim`` (negative), the transpose of :func:`analyse`."""
    if dim < -2:
        flat = synthesise(y.flatten(dim + 1), filters, -2)
        return torch.unflatten(flat, -1, y.shape[dim + 1 :])
    size = operator.index(y.shape[dim]) * 2 // len(filters)
    if size <= _DENSE:
        return matmul_along(_matrix(filters, size, y.dtype, y.device).mT, y, dim)
    return _in_rows(y, filters, dim, _spread)


def _correlate(x: Tensor, filters: Filters) -> Tensor:
    """Return A x along the rows as a convolution of stride 2, the ends of the signal joined."""
    kernel = _kernel(filters, x.dtype, x.device)
    joined = _join(x, kernel.shape[-2] // 2 - 1)
    images = joined.reshape(math.prod(x.shape[:-2]), 1, *joined.shape[-2:])
    with full_precision(x):
        parts = functional.conv2d(images, kernel, stride=(2, 1))
    return parts.reshape(*x.shape[:-2], -1, x.shape[-1])


def _spread(y: Tensor, filters: Filters) -> Tensor:
    """Return Aᵀ y along the rows as a transposed convolution, the ends joined beforehand."""
    kernel = _kernel(filters, y.dtype, y.device)
    margin, reach = kernel.shape[-2] // 2 - 1, kernel.shape[-2] // 4 + 1
    joined = _join(torch.unflatten(y, -2, (len(filters), -1)), reach)
    images = joined.reshape(math.prod(y.shape[:-2]), *joined.shape[-3:])
    with full_precision(y):
        wide = functional.conv_transpose2d(images, kernel, stride=(2, 1))
    size = y.shape[-2] * 2 // len(filters)
    x = wide.narrow(-2, 2 * reach + margin, size)
    return x.reshape(*y.shape[:-2], size, y.shape[-1])


def _in_rows(
    x: Tensor, filters: Filters, dim: int, map_: Callable[[Tensor, Filters], Tensor]
) -> Tensor:
    """Apply a map of rows along the last axis or the one before it."""
    if dim == -2:
        return map_(x, filters)
    if x.dim() == 1:
        return map_(x.unsqueeze(-1), filters).squeeze(-1)
    return map_(x.mT, filters).mT


def _join(x: Tensor, width: int) -> Tensor:
    """Continue a signal periodically by ``width`` values on either side, along the rows."""
    before = x.narrow(-2, x.shape[-2] - width, width)
    return torch.cat((before, x, x.narrow(-2, 0, width)), dim=-2)


@cached_matrix
def _matrix(filters: Filters, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return A for signals of ``size`` values."""
    starts = torch.arange(0, size, 2, device=device) + len(filters[0]) // 2
    places = (starts.unsqueeze(-1) - torch.arange(size, device=device)) % size
    wrapped = [[sum(each[j::size]) for j in range(size)] for each in filters]
    return torch.cat([torch.tensor(taps, dtype=dtype, device=device)[places] for taps in wrapped])


@cached_matrix
def _kernel(filters: Filters, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the filters, reversed, as the kernels of a convolution."""
    kernels = torch.tensor(filters, dtype=dtype, device=device).flip(-1)
    return kernels.view(len(filters), 1, -1, 1)
