"""The state divided by its norm after every block.

The norm of the state of a very deep VAE grows from block to block, and Falck et al. (2022, section
3.2) interpret it as the time of the process, which blocks with shared weights can read. Their
ablation removes it: h ← h / ‖h‖₂ after every block (Table 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-12


def unit_norm(h: Tensor) -> Tensor:
    """Return h / ‖h‖₂ for each image of a batch (B, …); a state of zeros stays zero.

    Example:
        >>> unit_norm(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    axes = tuple(range(1, h.dim()))
    norm: Tensor = torch.linalg.vector_norm(h, dim=axes, keepdim=True)
    return h / norm.clamp_min(_LEAST)
