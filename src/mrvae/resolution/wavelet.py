"""Orthogonal and biorthogonal wavelet transforms of signals and images, periodised.

A step splits an image into a coarse part of half the size and details; the next step splits the
coarse part. After L steps an image of V_J has become

    V_J = V_{J-L} ⊕ U_{J-L} ⊕ … ⊕ U_{J-1},    x ↦ (approximation, details coarse → fine),

as many numbers as there were pixels. In an orthogonal family this change of basis W is an
orthogonal matrix: it keeps the sum of squares, synthesis W⁻¹ = Wᵀ is its gradient, and cutting
details off is an orthogonal projection. In a biorthogonal one synthesis has filters of its own.

Signals are taken to be periodic, so that nothing is padded and W stays square. Order, signs and
phase are those of PyWavelets with ``mode="periodization"``. The details of images are, in its
order, cH (high-pass along columns: horizontal edges), cV (along rows), cD (along both). What
Kiruluta 2025 calls horizontal, the high-pass filter along rows, is cV.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from mrvae.resolution.filters import FilterBank, filter_bank
from mrvae.resolution.haar import Haar
from mrvae.resolution.periodic import Periodic
from mrvae.resolution.shapes import check_dims, check_steps


class Coefficients(NamedTuple):
    """An image in a wavelet basis.

    Attributes:
        approximation: of shape (…, h, w), or (…, n) in one dimension.
        details: coarse → fine; the first of shape (…, 3, h, w) like the approximation, in the
            order cH, cV, cD, each next one twice as large; (…, 1, n) and so on in one dimension.
    """

    approximation: Tensor
    details: tuple[Tensor, ...]


@dataclass(frozen=True)
class Wavelet:
    """The wavelet transform of one family over the last ``dims`` axes.

    Args:
        name: as PyWavelets has it: haar, db1 … db38, sym2 … sym20, coif1 … coif17, all orthogonal,
            or biorthogonal bior1.1 … bior6.8, rbio1.1 … rbio6.8.
        dims: 1 for signals, 2 for images.

    Raises:
        ValueError: if there is no such wavelet, or ``dims`` is not 1 or 2.

    Example:
        >>> import torch
        >>> wavelet = Wavelet("db2")
        >>> x = torch.arange(64.0).view(8, 8)
        >>> coarse, (second, first) = wavelet.analysis(x, levels=2)
        >>> coarse.shape, second.shape, first.shape
        (torch.Size([2, 2]), torch.Size([3, 2, 2]), torch.Size([3, 4, 4]))
        >>> back = wavelet.synthesis(Coefficients(coarse, (second, first)))
        >>> bool(torch.allclose(back, x, atol=1e-4))
        True
    """

    name: str
    dims: int = 2
    bank: FilterBank = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_dims(self.dims)
        # Looked up once: torch.compile cannot see through the cache of filter_bank.
        object.__setattr__(self, "bank", filter_bank(self.name))

    @property
    def orthogonal(self) -> bool:
        """Whether analysis is an orthonormal map, and synthesis its transpose."""
        return self.bank.orthogonal

    @property
    def step(self) -> Haar | Periodic:
        """One step of the transform: butterflies for Haar, products for the others."""
        return Haar(self.dims) if self.bank.is_haar else Periodic(self.bank, self.dims)

    def analysis(self, x: Tensor, levels: int) -> Coefficients:
        """Change to the wavelet basis.

        Args:
            x: floating point, of shape (…, H, W), or (…, n) in one dimension.
            levels: steps to take; 0 leaves ``x`` as the approximation.

        Raises:
            ValueError: if ``x`` is not floating point or has fewer than ``dims`` axes, ``levels``
                is negative, or a side is no multiple of 2^levels.
        """
        if levels < 0:
            raise ValueError(f"levels is {levels}; it must be 0 or more")
        check_steps(x, self.dims, levels)
        details: list[Tensor] = []
        for _ in range(levels):
            x, detail = self.step.analysis(x)
            details.append(detail)
        return Coefficients(x, tuple(reversed(details)))

    def synthesis(self, coefficients: Coefficients) -> Tensor:
        """Change back to pixels.

        Raises:
            ValueError: if the shapes of approximation and details do not belong together.
        """
        x, details = coefficients
        for detail in details:
            x = self.step.synthesis(x, detail)
        return x
