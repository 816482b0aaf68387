"""The training loss of a hierarchical VAE."""

from __future__ import annotations

from torch import Tensor

from mrvae.models.elbo import Elbo


def training_loss(elbo: Elbo, dims: int) -> Tensor:
    """Return the mean over images of -ELBO / dims, in nats per dimension, a scalar.

    Divided by the number of values of an image, as published for VDVAE, so that thresholds on
    the gradient's norm mean the same for all image sizes.

    Example:
        >>> import torch
        >>> elbo = Elbo(torch.tensor([-8.0, -4.0]), torch.tensor([[1.0], [3.0]]))
        >>> training_loss(elbo, dims=2).item()
        4.0
    """
    return elbo.nats.mean() / dims
