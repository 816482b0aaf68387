"""The weighted KL of the training loss.

The bound has Σ_l KL_l. At the start of training this sum can collapse every posterior onto its
prior before the decoder has learnt to use the latents, for the rest of the run. Three remedies
change the loss of an image to Σ_l β γ_l max(λ, KL_l):

- β rises from 0 to 1, so that the latents cost nothing at first (Bowman et al. 2016, section 3.1;
  Sønderby et al. 2016, section 2.3);
- the first λ nats of each layer are free: its gradient is zero below them (Kingma et al. 2016,
  equation 15, who take the maximum of the mean over a minibatch; taken of each image, it is not
  lower, and does not depend on how the batch is split over processes);
- γ_l spreads the cost over the layers in proportion to the nats that each of their values carries,

      γ_l = L r_l / Σ_i r_i,    r_l = KL_l / s_l,

  with s_l values in layer l, and no gradient through γ (Vahdat & Kautz 2020, appendix A, as their
  code has it, but again of each image).

All three change only the training loss; the reported value is the bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_LEAST = 1e-6


def weighted_kl(
    kl: Tensor, *, beta: float = 1.0, free: float = 0.0, sizes: Sequence[int] = ()
) -> Tensor:
    """Return β γ_l max(λ, KL_l), shape (B, L), of KL in nats, shape (B, L).

    Args:
        kl: of each image and latent layer.
        beta: β.
        free: λ in nats, for each layer; 0 leaves KL as it is.
        sizes: number of values of each layer, for γ; without them every γ is 1.

    Raises:
        ValueError: if there is not one size for each layer.

    Example:
        >>> weighted_kl(torch.tensor([[0.25, 3.0]]), beta=0.5, free=1.0)
        tensor([[0.5000, 1.5000]])
        >>> weighted_kl(torch.tensor([[1.0, 1.0]]), sizes=(1, 3))
        tensor([[1.5000, 0.5000]])
    """
    costs = kl.clamp(min=free) if free else kl
    return beta * (costs * _balance(kl.detach(), sizes) if sizes else costs)


def _balance(kl: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return γ, shape (B, L), whose mean over layers is 1; all 1 where every KL is 0."""
    if len(sizes) != kl.shape[1]:
        raise ValueError(f"{len(sizes)} sizes for {kl.shape[1]} layers; give one for each")
    rates = kl.clamp(min=0) / torch.tensor(sizes, dtype=kl.dtype, device=kl.device) + _LEAST
    return rates / rates.mean(dim=1, keepdim=True)
