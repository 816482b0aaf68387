"""The importance-weighted bound of Burda et al. (2016, equation 8).

    log (1/K) Σ_k p(x, z_k) / q(z_k | x) ≤ log p(x) in expectation,  z_k ~ q independent,

which grows with K to log p(x). The weights are ratios of densities at the drawn z; with an
analytic KL in their place it would not be a bound.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def importance_bound(log_weights: Tensor) -> Tensor:
    """Return the log-mean-exp over the first axis: (K, B) → (B,), in nats.

    Raises:
        ValueError: if log_weights has not two axes, or none of K.

    Example:
        >>> importance_bound(torch.tensor([[0.0], [0.0]]))
        tensor([0.])
    """
    if log_weights.dim() != 2 or len(log_weights) == 0:
        raise ValueError(f"log_weights has shape {tuple(log_weights.shape)}; expected (K, B)")
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))
