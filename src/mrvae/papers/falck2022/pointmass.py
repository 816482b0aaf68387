"""Theorem 5: where the process begins, what the bound asks of its first step, and how it grows.

*The point mass.* The state in which the top cell of VDVAE receives does not depend on
the image: it is the learned bias of the coarsest level, the same for all, in sampling and in
inference. Its distribution is a point mass; at 0 when training begins, for the bias begins at zero,
and elsewhere after that. A U-Net whose top state is pooled from the image would have another one.

*The boundary condition.* Let q_{0,1} be the joint distribution of (Z_0, z_1), the first state and
the first latent, when images come from the data, q_0 and q_1 its marginals and p_1 the prior. The
chain rule gives

    KL(q_{0,1} ‖ q_0 p_1) = KL(q_1 ‖ p_1) + I_q(Z_0; z_1),

and a point mass knows nothing of the latent: I = 0, and what is left is the distance of the
*aggregate* posterior q_1 = E_x q(z_1 | x) from the prior. The bound's first term is an upper bound
of it, by the information that the first latent has of the image,

    E_x KL(q(z_1 | x) ‖ p_1) = KL(q_1 ‖ p_1) + I_q(x; z_1) ≥ KL(q_{0,1} ‖ q_0 p_1),

so that a bound on the boundary condition of theorem 5 is one term of the loss. Training minimises
the sum of all terms, and may raise this one. It equals the bound's term if Z_0 differs between
images.

*The growth.* A process that starts in a point has to grow. With the half step of theorem 4 the mean
square of the state gains E‖σ ε‖² at every cell, whatever the networks are; without it, all growth
has to come from the drift.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor

from mrvae.distributions import Gaussian
from mrvae.models import HVAE
from mrvae.papers.falck2022.euler import TwoStep, euler_steps
from mrvae.papers.falck2022.transport import energy


def entry_states(model: HVAE, images: int) -> Tensor:
    """Return Z_0 of so many images: the state that the top cell receives.

    Source: Falck et al. 2022, theorem 5.

    Example:
        >>> import mrvae
        >>> states = entry_states(mrvae.build(mrvae.recipe("digits-vdvae")), images=3)
        >>> states.shape, states.abs().max().item()
        (torch.Size([3, 48, 1, 1]), 0.0)
    """
    return model.stages[0].enter(None, images)


def first_posteriors(model: HVAE, x: Tensor) -> tuple[Gaussian, Gaussian]:
    """Return q(z_1 | x) and p(z_1) of the top cell for uint8 images (N, C, H, W).

    Raises:
        ValueError: if p(z_1) is no Gaussian.

    Example:
        >>> import mrvae
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> posterior, prior = first_posteriors(model, torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
        >>> posterior.mean.shape, prior.log_scale.abs().max().item()
        (torch.Size([2, 4, 1, 1]), 0.0)
    """
    (step,) = model.posterior_means(model.observe(x), 1)
    if not isinstance(step.prior, Gaussian) or step.posterior is None:
        kind = type(step.prior).__name__
        raise ValueError(f"the top latent's prior is {kind}; give one of Gaussians")
    return step.posterior, step.prior


class Boundary(NamedTuple):
    """Terms of theorem 5, in nats, with standard errors, which are nan for one draw.

    Attributes:
        boundary: KL(q_{0,1} ‖ q_0 p_1).
        aggregate: KL(q_1 ‖ p_1).
        bound: E_x KL(q(z_1 | x) ‖ p_1), which the evidence lower bound has.
        boundary_se: standard error of ``boundary`` minus ``aggregate``.
        bound_se: standard error of ``bound`` minus ``boundary``.
        error: standard error of ``boundary``.
    """

    boundary: float
    aggregate: float
    bound: float
    boundary_se: float
    bound_se: float
    error: float


def boundary(posterior: Gaussian, prior: Gaussian, start: Tensor, noise: Tensor) -> Boundary:
    """Return the terms of theorem 5 for the empirical distribution of N images, by Monte Carlo.

    Every image gives S draws z_1 ~ q(z_1 | x); the densities are exact, those of q_1 and of
    q(z_1 | Z_0) being mixtures over all the images, and over those whose Z_0 is the same.

    Args:
        posterior: q(z_1 | x), of shape (N, …).
        prior: p_1, of the same shape, equal for all images.
        start: Z_0, of shape (N, …).
        noise: standard normal, of shape (S, N, …).

    Raises:
        ValueError: if the prior is not the same for all images.

    Source: Falck et al. 2022, theorem 5.

    Example:
        >>> apart = Gaussian(torch.tensor([[-9.0], [9.0]]), torch.zeros(2, 1))
        >>> unit, noise = Gaussian(torch.zeros(2, 1), torch.zeros(2, 1)), torch.zeros(1, 2, 1)
        >>> one = boundary(apart, unit, torch.zeros(2, 1), noise)
        >>> round(one.bound - one.boundary, 3), one.boundary == one.aggregate
        (0.693, True)
    """
    if any((part != part[:1]).any() for part in prior):
        raise ValueError("the prior differs between images; theorem 5 is about the top latent")
    posterior, prior = (_flat(gaussian) for gaussian in (posterior, prior))
    z = posterior.sample(noise.flatten(2))
    # log q(z of image i | x of image k), of shape (S, N, N).
    each = posterior.log_prob(z[:, :, None]).sum(-1)
    same = (start[:, None] == start[None]).flatten(2).all(-1)
    aggregate = torch.logsumexp(each, -1) - math.log(len(start))
    hidden = each.masked_fill(~same, -torch.inf)
    given = torch.logsumexp(hidden, -1) - same.sum(-1).to(each.dtype).log()
    own = each.diagonal(dim1=1, dim2=2)
    reference = prior.log_prob(z).sum(-1)
    return Boundary(
        boundary=float((given - reference).mean()),
        aggregate=float((aggregate - reference).mean()),
        bound=float((own - reference).mean()),
        boundary_se=_standard_error(given - aggregate),
        bound_se=_standard_error(own - given),
        error=_standard_error(given - reference),
    )


def aggregate_kl(posterior: Gaussian, prior: Gaussian, nodes: int) -> float:
    """Return KL(q_1 ‖ p_1) in nats by Gauss-Hermite quadrature, q_1 the mixture over N images.

    The integral of (q_1 / p_1) log (q_1 / p_1) under p_1 takes ``nodes`` points a dimension.

    Args:
        posterior: q(z_1 | x), of shape (N, …), of few dimensions; none wider than the prior by √2.
        prior: p_1, of the same shape, equal for all images.
        nodes: on each axis.

    Source: Falck et al. 2022, theorem 5.

    Example:
        >>> one, zero = torch.ones(3, 2, dtype=torch.float64), torch.zeros(3, 2).double()
        >>> round(aggregate_kl(Gaussian(one, zero), Gaussian(zero, zero), nodes=24), 6)
        1.0
    """
    posterior, prior = (_flat(gaussian) for gaussian in (posterior, prior))
    points, weights = (torch.from_numpy(part) for part in hermegauss(nodes))
    z = prior.mean[0] + torch.exp(prior.log_scale[0]) * points[:, None]
    each = posterior.log_prob(z[:, None]) - prior.log_prob(z[:, None])
    mixed, mass = each.new_zeros(1, each.shape[1]), each.new_ones(1)
    for axis in each.unbind(-1):
        mixed = (mixed[:, None] + axis).flatten(0, 1)
        mass = (mass[:, None] * weights / weights.sum()).flatten()
    ratio = torch.logsumexp(mixed, -1) - math.log(each.shape[1])
    return float((mass * ratio.exp() * ratio).sum())


def state_norms(
    model: HVAE, noise: Tensor, change: Callable[[TwoStep], TwoStep] | None = None
) -> list[Tensor]:
    """Return ‖Z_i‖ after every cell, in sampling, by the Euler form of the cells.

    Args:
        model: a VDVAE.
        noise: standard normal, of shape (N, noise_size).
        change: applied to every step, such as ``TwoStep.without_noise``.

    Returns:
        One tensor (N,) a cell, coarse to fine, in the norm of L²: squares summed over channels and
        averaged over pixels.

    Source: Falck et al. 2022, figure 6, on the right.

    Example:
        >>> import mrvae
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> with torch.no_grad():
        ...     norms = state_norms(model, model.noise(3), TwoStep.without_noise)
        >>> len(norms), norms[0].shape
        (7, torch.Size([3]))
    """
    return [energy(step.after, dims=2).sqrt() for step in euler_steps(model, noise, change)]


def _flat(gaussian: Gaussian) -> Gaussian:
    """Return a Gaussian of shape (N, values)."""
    return Gaussian(gaussian.mean.flatten(1), gaussian.log_scale.flatten(1))


def _standard_error(values: Tensor) -> float:
    """Return the standard error of the mean of (S, N) values, the images being given."""
    spread = values.var(0).sum() if len(values) > 1 else values.new_tensor(torch.nan)
    return float((spread / len(values)).sqrt()) / values.shape[1]
