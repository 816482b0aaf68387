"""The loss of a training step: the bound, with the latents' KL weighted by the recipe."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mrvae.models.elbo import Elbo
from mrvae.models.hvae import HVAE
from mrvae.objectives import training_loss, weighted_kl
from mrvae.recipes.kl_term import KlTerm

_PLAIN = KlTerm()


def beta(term: KlTerm, step: int) -> float:
    """Return β at ``step``, counted from 0.

    Example:
        >>> [beta(KlTerm(beta_steps=4, beta_start=0.5), step) for step in (0, 2, 4, 9)]
        [0.5, 0.75, 1.0, 1.0]
    """
    if step >= term.beta_steps:
        return 1.0
    return term.beta_start + (1 - term.beta_start) * step / term.beta_steps


def loss_of(elbo: Elbo, model: HVAE, term: KlTerm, step: int) -> Tensor:
    """Return the loss of a step, a scalar in nats per dimension.

    The column of a context is not weighted: it has no learnt posterior, and its prior is learnt
    from the start.
    """
    if term == _PLAIN:
        return training_loss(elbo, model.frame.dims)
    contexts = len(model.context.shapes)
    weight = beta(term, step)
    balanced = term.balance and weight < 1
    sizes = [c * h * w for c, h, w in model.latent_shapes] if balanced else ()
    latents = weighted_kl(elbo.kl[:, contexts:], beta=weight, free=term.free_nats, sizes=sizes)
    kl = torch.cat([elbo.kl[:, :contexts], latents], dim=1)
    return training_loss(replace(elbo, kl=kl), model.frame.dims)
