"""Theorem 3: what a U-Net without skip connections discards is bounded by its reconstruction.

Let F_j and B_j = F_j⁻¹ be maps of V_j, and x_J = x, y_j = F_j x_j, x_{j-1} = P y_j the way down;
let U_{j-1} be the complement of V_{j-1} in V_j. Falck et al. 2022, equation 3, state

    Σ_j E‖proj_{U_{j-1}} y_j‖² / ‖F_{j|J}‖²  ≤  W₂²(B_{1|J} F_{1|J} ν, ν),                    (3)

with ‖F_{j|J}‖ the Lipschitz constant of the *projected* composition F_{j|J}. So read, it is not
true. Take one level, coordinates (c, d) in V_0 ⊕ U_0, F = diag(0.1, 1), and data with d = ±1. The
projected map is 0.1 c, and its constant 0.1; the left side is 1/0.01 = 100. The reconstruction is
(c, 0), at squared distance 1. :func:`counter_example` is this.

It is true with the product of the constants of the *unprojected* maps, L_j ⋯ L_J. For any x and any
reconstruction x̂, also of another x, F_J x̂ = E x̂_{J-1} by B_J = F_J⁻¹, and the two parts of
F_J x - E x̂_{J-1} are orthogonal, one in U_{J-1} and one in V_{J-1}:

    ‖x - x̂‖² ≥ ‖F_J x - F_J x̂‖²/L_J² = (‖proj_U y_J‖² + ‖x_{J-1} - x̂_{J-1}‖²)/L_J².

The last term is of the same form, one level below. Hence ‖x - x̂‖² ≥ Σ_j ‖proj_U y_j‖²/(L_j ⋯ L_J)²
for every pair, thus for every coupling of data and reconstructions, thus for the best. The proof
uses that B inverts F and that P is orthogonal, and the inequality fails without either: a decoder
that remembers the data makes the right side zero, and subsampling makes the left side too large.

Trained networks invert each other only roughly. Let d_j² = E‖F_j x̂_j - E x̂_{j-1}‖² be the defect on
the way up and u_j² = E‖proj_U y_j‖². Minkowski's inequality in the same proof gives, without any
hypothesis on B,

    W₂ ≥ a_J,    a_0 = 0,    a_j = max(0, (u_j² + a_{j-1}²)^½ - d_j)/L_j,

which is the inequality above if all d_j = 0 (:func:`sides_with_defect`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.papers.falck2022.bottleneck import Map, Pair, PooledUNet, without_skips
from mrvae.papers.falck2022.transport import transport
from mrvae.resolution import Basis, Ladder, Wavelet
from mrvae.resolution.wavelet import Coefficients

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sides:
    """The two sides of theorem 3, in the squared norm of L²."""

    left: float
    right: float

    @property
    def holds(self) -> bool:
        """Whether left ≤ right, but for rounding."""
        return self.left <= self.right * (1 + _ROUNDING) + _ROUNDING


def sides(net: PooledUNet, x: Tensor, constants: Sequence[float]) -> Sides:
    """Return both sides of theorem 3 on one sample, which is their measure ν.

    Args:
        net: the maps F_j and B_j, with P and E.
        x: data, of shape (N, …, H, W) or (N, …, L).
        constants: for each level 1 … J, coarse to fine, a Lipschitz constant L_j of F_j; the part
            of level j is divided by (L_j ⋯ L_J)².

    Raises:
        ValueError: if there is not one positive constant for each level.

    Source: Falck et al. 2022, theorem 3, with the constants of this module's docstring.

    Example:
        >>> x, chain, right, wrong = counter_example()
        >>> round(sides(chain, x, [right]).left, 9), round(sides(chain, x, [wrong]).left, 9)
        (1.0, 100.0)
        >>> round(sides(chain, x, [right]).right, 9), sides(chain, x, [wrong]).holds
        (1.0, False)
    """
    if len(constants) != net.levels or not all(value > 0 for value in constants):
        raise ValueError(
            f"constants are {tuple(constants)}; give a positive one for each of {net.levels} levels"
        )
    lost = [float(part.mean()) for part in net.discarded(x)]
    products = [math.prod(constants[level:]) for level in range(len(constants))]
    left = math.fsum(part / product**2 for part, product in zip(lost, products, strict=True))
    right, _ = transport(net.reconstruct(x), x, net.dims)
    return Sides(left, right)


def sides_with_defect(net: PooledUNet, x: Tensor, constants: Sequence[float]) -> Sides:
    """Return a_J² and W₂² on one sample, for B_j that are not exactly the inverses of F_j.

    The arguments are those of :func:`sides`.

    Raises:
        ValueError: if there is not one positive constant for each level.

    Source: this module's docstring; with exact inverses, theorem 3 of Falck et al. 2022.

    Example:
        >>> x, net, right, _ = counter_example()
        >>> round(sides_with_defect(net, x, [right]).left, 9)
        1.0
    """
    right = sides(net, x, constants).right
    lost = [float(part.mean()) for part in net.discarded(x)]
    defects = [float(part.mean()) for part in net.defect(x)]
    a = 0.0
    for u, d, constant in zip(lost, defects, constants, strict=True):
        a = max(0.0, math.sqrt(u + a**2) - math.sqrt(d)) / constant
    return Sides(a**2, right)


def counter_example() -> tuple[Tensor, PooledUNet, float, float]:
    """Return data, maps, and the constants of F and of proj ∘ F, which show (3) to be false.

    The signals have two pixels; their Haar coordinates are c, of the mean, and d = ±1.
    """
    ladder, basis = Ladder(base=1, depth=1, dims=1), Basis(Wavelet("haar", dims=1))
    scales = torch.tensor([0.1, 1.0], dtype=torch.float64)
    c = torch.linspace(-20, 20, 8, dtype=torch.float64).repeat(2)
    d = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat_interleave(8)
    x = basis.array(Coefficients(c[:, None], (d[:, None, None],)))
    pair = Pair(_scaled(basis, scales), _scaled(basis, 1 / scales))
    return x, without_skips((pair,), ladder, dims=1), 1.0, 0.1


def _scaled(basis: Basis, scales: Tensor) -> Map:
    """Return the map that multiplies the Haar coordinates (c, d) of two pixels."""

    def apply(x: Tensor) -> Tensor:
        approximation, (details,) = basis.coordinates(x)
        return basis.array(Coefficients(scales[0] * approximation, (scales[1] * details,)))

    return apply


# -------------------------------------------------------------------------- exactly invertible


def linear_pair(values: int, generator: torch.Generator) -> tuple[Pair, float]:
    """Return x ↦ A x on arrays of so many values, its inverse, and its Lipschitz constant.

    A = Q diag(s) R with Q, R orthogonal at random and s in [½, 2]: the constant is max s.

    Example:
        >>> pair, constant = linear_pair(4, torch.Generator().manual_seed(0))
        >>> x = torch.eye(4, dtype=torch.float64)
        >>> bool(torch.allclose(pair.backward(pair.forward(x)), x)), constant <= 2
        (True, True)
    """
    one, two = (_orthogonal(values, generator) for _ in range(2))
    s = 0.5 + 1.5 * torch.rand(values, generator=generator, dtype=torch.float64)
    pair = Pair(_matrix(one @ torch.diag(s) @ two), _matrix(two.T @ torch.diag(1 / s) @ one.T))
    return pair, float(s.max())


def leaky_pair(values: int, generator: torch.Generator) -> tuple[Pair, float]:
    """Return x ↦ g(A x) with g a leaky rectifier of slopes 1 and ½, its inverse, and a constant.

    The constant of g is 1, so that max s of A is a Lipschitz constant, if not always the smallest.

    Example:
        >>> pair, _ = leaky_pair(4, torch.Generator().manual_seed(0))
        >>> x = torch.eye(4, dtype=torch.float64)
        >>> bool(torch.allclose(pair.backward(pair.forward(x)), x))
        True
    """
    pair, constant = linear_pair(values, generator)

    def forward(x: Tensor) -> Tensor:
        return functional.leaky_relu(pair.forward(x), 0.5)

    def backward(y: Tensor) -> Tensor:
        return pair.backward(functional.leaky_relu(y, 2.0))

    return Pair(forward, backward), constant


Family = Callable[[int, torch.Generator], tuple[Pair, float]]


def invertible_pairs(
    family: Family, size: int, depth: int, dims: int, seed: int = 0
) -> tuple[tuple[Pair, ...], tuple[float, ...]]:
    """Return pairs and constants of a family for the levels 1 … depth, coarse to fine.

    Args:
        family: :func:`linear_pair` or :func:`leaky_pair`.
        size: pixels a side of the finest level.
        depth: J.
        dims: 1 for signals, 2 for images.
        seed: of the maps.

    Example:
        >>> pairs, constants = invertible_pairs(linear_pair, size=8, depth=2, dims=1)
        >>> pairs[0].forward(torch.zeros(1, 4, dtype=torch.float64)).shape, len(constants)
        (torch.Size([1, 4]), 2)
    """
    generator = torch.Generator().manual_seed(seed)
    sides_ = [size >> (depth - level) for level in range(1, depth + 1)]
    result = [family(side**dims, generator) for side in sides_]
    return tuple(pair for pair, _ in result), tuple(constant for _, constant in result)


def remembering(net: PooledUNet, x: Tensor) -> PooledUNet:
    """Return the net with a finest B_J that knows the data: it answers with the nearest of x.

    Not B_J = F_J⁻¹, so that theorem 3 states nothing about it; it reconstructs the data from codes
    that have lost their details.

    Example:
        >>> x, net, _, _ = counter_example()
        >>> net = remembering(net, x[:8])
        >>> bool((net.reconstruct(x[:8]) == x[:8]).all())
        True
    """
    lower = replace(net, forwards=net.forwards[:-1], backwards=net.backwards[:-1])
    codes = net.resampling.embed(lower.up(net.down(x)[:-1]))

    def recall(embedded: Tensor, y: Tensor) -> Tensor:
        return x[torch.cdist(embedded.flatten(1), codes.flatten(1)).argmin(1)]

    return replace(net, backwards=(*net.backwards[:-1], recall))


def _orthogonal(values: int, generator: torch.Generator) -> Tensor:
    normal = torch.randn(values, values, generator=generator, dtype=torch.float64)
    rotation: Tensor = torch.linalg.qr(normal).Q
    return rotation


def _matrix(matrix: Tensor) -> Map:
    """Return the linear map of the flattened arrays."""

    def apply(x: Tensor) -> Tensor:
        return (x.flatten(1) @ matrix.T).view_as(x)

    return apply
