"""The Wasserstein-2 distance of two samples of functions, exactly.

For two lists of n points with equal weights, the best transport of one onto the other is a
permutation s (Birkhoff's theorem), and

    W₂² = min_s 1/n Σ_i ‖x_i - y_{s(i)}‖²,

an assignment problem that SciPy solves without error in O(n³). The norm is that of L² on the unit
square: squares summed over channels and averaged over pixels. The distance is that of the samples;
it is not corrected towards the distributions they came from, and both sides of a theorem about
measures may be taken on the same samples, which are measures too.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def energy(x: Tensor, dims: int) -> Tensor:
    """Return ‖f‖² of each function: squares averaged over pixels, summed over the axes between.

    Args:
        x: of shape (N, …, H, W), or (N, …, L) if ``dims`` is 1.
        dims: how many of the last axes are pixels.

    Returns:
        Of shape (N,).

    Example:
        >>> energy(torch.tensor([[1.0, 3.0]]), dims=1)
        tensor([5.])
    """
    return x.square().mean(tuple(range(-dims, 0))).reshape(len(x), -1).sum(1)


def transport(x: Tensor, y: Tensor, dims: int) -> tuple[float, Tensor]:
    """Return W₂² of two samples and the permutation s that attains it.

    Args:
        x: N functions, of shape (N, …, H, W) or (N, …, L).
        y: as many, of the same shape.
        dims: how many of the last axes are pixels.

    Raises:
        ValueError: if the shapes differ or there is no function.

    Source: Falck et al. 2022, theorem 3, its right side.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> transport(x, torch.tensor([[1.0], [0.5]]), dims=1)
        (0.125, tensor([1, 0]))
    """
    # SciPy's optimisers take a third of a second to import, which nobody else should pay.
    from scipy.optimize import linear_sum_assignment

    if x.shape != y.shape or len(x) < 1:
        raise ValueError(
            f"shapes are {tuple(x.shape)} and {tuple(y.shape)}; give two samples of one size"
        )
    scale = math.sqrt(math.prod(x.shape[-dims:]))
    costs = torch.cdist(
        x.detach().flatten(1) / scale,
        y.detach().flatten(1) / scale,
        compute_mode="donot_use_mm_for_euclid_dist",
    ).square()
    rows, columns = linear_sum_assignment(costs.numpy())
    return float(costs[rows, columns].mean()), torch.from_numpy(columns)
