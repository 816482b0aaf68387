"""Average pooling is a crop in the Haar basis; and so for every orthogonal wavelet.

The pixels x of an image represent the function n^{-d/2} Σ_k x_k φ_k on the unit square, and π_j x
are its coordinates in the orthonormal wavelet basis of V_j (:class:`~mrvae.resolution.Basis`).
Theorem 2 of Falck et al. 2022 says, for average pooling and Haar,

    π_{j-1} ∘ pool = proj ∘ π_j,

where proj drops the finest details. It holds for any orthogonal wavelet with the low-pass filter h,
if one pools with it: pool = 2^{-d/2} × low-pass along the d axes, the factor being the change from
n^{-d/2} to (n/2)^{-d/2}. For Haar the low-pass filter is (a + b)/√2, and that is the average.

With L for the low-pass filter, L Lᵀ = 1. So P = 2^{-d/2} L and E = 2^{d/2} Lᵀ have P E = 1, and
E P = Lᵀ L is the orthogonal projection of V_j onto V_{j-1}: a ladder made of another wavelet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from mrvae.resolution.basis import Basis, largest_difference
from mrvae.resolution.filters import Filters
from mrvae.resolution.ladder import Ladder
from mrvae.resolution.periodic import analyse, synthesise
from mrvae.resolution.shapes import check_axes, check_floating, check_steps
from mrvae.resolution.wavelet import Wavelet


class Pooling(Protocol):
    """A projection to coarser images: :class:`Ladder`, :class:`WaveletPooling`."""

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        """Go ``steps`` levels down."""
        ...


@dataclass(frozen=True)
class WaveletPooling:
    """The projection P and the embedding E that belong to an orthogonal wavelet.

    They have the interface of :class:`Ladder`, and for Haar they are its average pooling and
    nearest neighbour. Images in channels-last memory stay so.

    Args:
        wavelet: an orthogonal one, with its number of axes.

    Raises:
        ValueError: if the wavelet is not orthogonal.

    Source: Falck et al. 2022, theorem 2, for wavelets other than Haar.

    Example:
        >>> pooling = WaveletPooling(Wavelet("db2", dims=1))
        >>> y = torch.tensor([1.0, 2.0, 4.0, 2.0])
        >>> fine = pooling.embed(y)
        >>> fine.shape, bool(torch.allclose(pooling.project(fine), y))
        (torch.Size([8]), True)
    """

    wavelet: Wavelet
    _down: Filters = field(init=False, repr=False, compare=False)
    _up: Filters = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.wavelet.orthogonal:
            raise ValueError(
                f"wavelet is {self.wavelet.name}, which is biorthogonal; a projection that is"
                " orthogonal needs haar, dbN, symN or coifN"
            )
        low = self.wavelet.bank.filters[0]
        object.__setattr__(self, "_down", (tuple(tap * math.sqrt(0.5) for tap in low),))
        object.__setattr__(self, "_up", (tuple(tap * math.sqrt(2.0) for tap in low),))

    def project(self, x: Tensor, steps: int = 1) -> Tensor:
        """Apply P ``steps`` times.

        Args:
            x: floating point, of shape (…, H, W), or (…, L) in one dimension.
            steps: how many levels to go down.

        Raises:
            ValueError: if ``x`` is not floating point or has too few axes, ``steps`` is negative,
                or a side is no multiple of 2^steps.
        """
        check_steps(x, self.wavelet.dims, steps)
        if self.wavelet.bank.is_haar:
            return self._averages.project(x, steps)
        x, moved = _channels_last(x)
        for _ in range(steps):
            for dim in self._axes(moved):
                x = analyse(x, self._down, dim)
        return x.movedim(-1, -3) if moved else x

    def embed(self, x: Tensor, steps: int = 1) -> Tensor:
        """Apply E ``steps`` times.

        Args:
            x: floating point, of shape (…, H, W), or (…, L) in one dimension.
            steps: how many levels to go up.

        Raises:
            ValueError: if ``x`` is not floating point or has too few axes, or ``steps`` is
                negative.
        """
        check_floating(x)
        check_axes(x, self.wavelet.dims)
        if steps < 0:
            raise ValueError(f"steps is {steps}; it must be 0 or more")
        if self.wavelet.bank.is_haar:
            return self._averages.embed(x, steps)
        x, moved = _channels_last(x)
        for _ in range(steps):
            for dim in self._axes(moved):
                x = synthesise(x, self._up, dim)
        return x.movedim(-1, -3) if moved else x

    @property
    def _averages(self) -> Ladder:
        """The ladder that does the same by averages, of which only ``dims`` matters."""
        return Ladder(base=1, depth=0, dims=self.wavelet.dims)

    def _axes(self, moved: bool) -> range:
        """Return the axes of the pixels, which have moved one up if the channels are last."""
        return range(-self.wavelet.dims - moved, -moved)


def conjugacy_residual(
    x: Tensor, wavelet: Wavelet, depth: int, pool: Pooling | None = None
) -> Tensor:
    """Return the residual of theorem 2 at one depth: max |π_{j-1} pool z - proj π_j z|.

    The images x of V_J are first brought to V_j, j = J - depth + 1, as z = P^{depth - 1} x with
    the wavelet's own pooling: depth 1 is the finest step. The coordinates are those of functions on
    the unit square (interval), so that the number of pixels does not enter.

    Args:
        x: images, of shape (…, H, W) or (…, L), floating point, read as scaling coefficients.
        wavelet: the basis, orthogonal.
        depth: the step, from 1 to as many as the sides can be halved.
        pool: the pooling to compare; the wavelet's own by default, which is
            average pooling for Haar.

    Returns:
        The largest magnitude, without axes.

    Raises:
        ValueError: if ``depth`` is not positive, a side is no multiple of 2^depth, or the wavelet
            is not orthogonal.

    Source: Falck et al. 2022, theorem 2, and its generalisation in this module's docstring.

    Example:
        >>> x = torch.linspace(0, 1, 256, dtype=torch.float64).view(16, 16) ** 2
        >>> bool(conjugacy_residual(x, Wavelet("db2"), depth=1) < 1e-12)
        True
        >>> averages = WaveletPooling(Wavelet("haar"))
        >>> bool(conjugacy_residual(x, Wavelet("db2"), depth=1, pool=averages) > 1e-3)
        True
    """
    if depth < 1:
        raise ValueError(f"depth is {depth}; the finest step is depth 1")
    check_steps(x, wavelet.dims, depth)
    own = WaveletPooling(wavelet)
    z = own.project(x, depth - 1)
    pooled = (own if pool is None else pool).project(z, 1)
    basis = Basis(wavelet)
    return largest_difference(basis.coordinates(pooled), basis.project(basis.coordinates(z)))


def _channels_last(x: Tensor) -> tuple[Tensor, bool]:
    """Return the images with the channels as last axis if memory has them there, and whether."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    if last and not x.is_contiguous():
        return x.movedim(-3, -1), True
    return x, False
