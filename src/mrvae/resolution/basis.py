"""Images as functions: the spaces V_j with the norm of L², and two orthonormal bases of each.

An array x of n pixels a side represents the function f = n^{-d/2} Σ_k x_k φ_k on the unit interval
(d = 1) or square (d = 2), φ_k being the orthonormal scaling functions of V_j. For Haar they are
n^{d/2} on pixel k and 0 elsewhere, so that x_k is the value of f there. Then

    ‖f‖² = n^{-d} Σ_k x_k²,

the mean of x² and not its sum: an image that is drawn again with more pixels keeps its norm.

* The *standard basis* E_j is (φ_k): the coordinates of f are n^{-d/2} x.
* The *wavelet basis* Ψ_j of V_j = V_0 ⊕ U_0 ⊕ … ⊕ U_{j-1} has one coarsest part and the details of
  every level; the coordinates of f are π_j x = W_j (n^{-d/2} x), with W_j the wavelet transform.

In Ψ_j the orthogonal projection onto V_{j-1} drops the finest details, and the embedding of V_{j-1}
writes zeros for them. Both bases being orthonormal, ‖f‖² is the sum of the squared coordinates in
either, and the parts of it that lie in U_0, …, U_{j-1} are what a ladder loses at each step.

Falck et al. 2022 write V_{-j} for what is V_j here, and add V_0 = {0} below the coarsest level. On
a compact domain that is the only way to have (A2): constants lie in all the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.resolution.shapes import check_axes, check_floating
from mrvae.resolution.wavelet import Coefficients, Wavelet


@dataclass(frozen=True)
class Basis:
    """The orthonormal bases of V_0 ⊂ V_1 ⊂ … that belong to one wavelet.

    Args:
        wavelet: an orthogonal one, with its number of axes.

    Raises:
        ValueError: if the wavelet is not orthogonal.

    Source: Falck et al. 2022, definition 1 and theorem 2; Daubechies 1992, chapter 5.

    Example:
        >>> basis = Basis(Wavelet("haar"))
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
        >>> basis.coordinates(x).approximation, basis.norm(x).square().item()
        (tensor([[3.]]), 12.5)
        >>> [round(energy.item(), 4) for energy in basis.energies(x)]
        [9.0, 3.5]
    """

    wavelet: Wavelet

    def __post_init__(self) -> None:
        if not self.wavelet.orthogonal:
            raise ValueError(
                f"wavelet is {self.wavelet.name}, which is biorthogonal; an orthonormal basis"
                " needs haar, dbN, symN or coifN"
            )

    def inner(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ⟨f, g⟩ = ∫ f g, for arrays of one size, over the last axes: of shape (…).

        Raises:
            ValueError: if an array is not floating point, has too few axes, or the sizes differ.
        """
        dims = self.wavelet.dims
        for array in (x, y):
            check_floating(array)
            check_axes(array, dims)
        if x.shape[-dims:] != y.shape[-dims:]:
            raise ValueError(
                f"sizes are {tuple(x.shape[-dims:])} and {tuple(y.shape[-dims:])};"
                " embed the coarser one first"
            )
        return (x * y).mean(tuple(range(-dims, 0)))

    def norm(self, x: Tensor) -> Tensor:
        """Return ‖f‖ = (∫ f²)^½ over the last axes: of shape (…).

        Raises:
            ValueError: if ``x`` is not floating point or has too few axes.
        """
        return self.inner(x, x).sqrt()

    def standard(self, x: Tensor) -> Tensor:
        """Return the coordinates of f in E_j, n^{-d/2} x, of the shape of ``x``.

        Raises:
            ValueError: if ``x`` is not floating point or has too few axes.
        """
        check_floating(x)
        check_axes(x, self.wavelet.dims)
        return x / math.sqrt(math.prod(x.shape[x.dim() - self.wavelet.dims :]))

    def coordinates(self, x: Tensor) -> Coefficients:
        """Return π_j x: the coordinates of f in Ψ_j, down to the level that has an odd side.

        Args:
            x: of shape (…, H, W) or (…, L), floating point.

        Raises:
            ValueError: if ``x`` is not floating point or has too few axes.
        """
        standard = self.standard(x)
        sides = x.shape[x.dim() - self.wavelet.dims :]
        levels = min((side & -side).bit_length() - 1 for side in sides)
        return self.wavelet.analysis(standard, levels)

    def array(self, coefficients: Coefficients) -> Tensor:
        """Return π_j⁻¹ of coordinates in Ψ_j: the array x, of shape (…, H, W) or (…, L).

        Raises:
            ValueError: if the shapes of approximation and details do not belong together.
        """
        standard = self.wavelet.synthesis(coefficients)
        return standard * math.sqrt(math.prod(standard.shape[-self.wavelet.dims :]))

    def project(self, coefficients: Coefficients, steps: int = 1) -> Coefficients:
        """Return proj: the coordinates in Ψ_{j-steps} of the nearest function of V_{j-steps}.

        Raises:
            ValueError: if ``steps`` is negative or more than there are levels of details.
        """
        details = coefficients.details
        if not 0 <= steps <= len(details):
            raise ValueError(f"steps is {steps}; these coordinates have {len(details)} to drop")
        return Coefficients(coefficients.approximation, details[: len(details) - steps])

    def embed(self, coefficients: Coefficients, steps: int = 1) -> Coefficients:
        """Return embd: the coordinates in Ψ_{j+steps} of the same function.

        Raises:
            ValueError: if ``steps`` is negative.
        """
        if steps < 0:
            raise ValueError(f"steps is {steps}; it must be 0 or more")
        dims, (approximation, details) = self.wavelet.dims, coefficients
        lead = approximation.shape[: approximation.dim() - dims]
        coarse = approximation.shape[approximation.dim() - dims :]
        new = []
        for level in range(len(details), len(details) + steps):
            sides = [side << level for side in coarse]
            new.append(approximation.new_zeros(*lead, 2**dims - 1, *sides))
        return Coefficients(approximation, (*details, *new))

    def energies(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return ‖f‖² in parts: of V_0, and of the details U_0, U_1, … coarse to fine, each (…).

        Raises:
            ValueError: if ``x`` is not floating point or has too few axes.
        """
        approximation, details = self.coordinates(x)
        dims = self.wavelet.dims
        coarse = approximation.square().sum(tuple(range(-dims, 0)))
        return coarse, *(part.square().sum(tuple(range(-dims - 1, 0))) for part in details)


def largest_difference(left: Coefficients, right: Coefficients) -> Tensor:
    """Return the largest magnitude by which two lists of coordinates differ, without axes.

    Raises:
        ValueError: if they have different numbers of levels.
    """
    if len(left.details) != len(right.details):
        raise ValueError(
            f"there are {len(left.details)} and {len(right.details)} levels of details;"
            " embed the coarser one first"
        )
    pairs = zip((left[0], *left.details), (right[0], *right.details), strict=True)
    return torch.stack([(one - other).abs().max() for one, other in pairs]).max()
