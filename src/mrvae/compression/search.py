"""A search for latents with which the direct code is shorter than with the nearest ones.

A decoder of the direct code reads any integers k. Those nearest to the posterior's means are a good
first guess only: the means were learnt for draws around them, and for latents that are neither left
out nor rounded. An image takes

    J(k) = Σ_u -log₂ P(k_u) - log₂ p(x | z(k)) bits,

and the encoder looks for a smaller J. Each round computes the slopes g of the last term for all
units by one backward pass, and takes its curvature from the posterior N(m, s²): 1/s² is that of
both terms, of which Δ² is the prior's. A move of one integer is then predicted to change J by

    ± g_u + ½ (1/s_u² - Δ²) / ln 2 - log₂ P(k_u ± 1) + log₂ P(k_u),        s_u in steps of Δ.

The eight moves of the smallest prediction are tried, each by itself, and then all of those together
that make J smaller. The best of these nine is made if it makes J smaller, so that no round makes an
image longer. A move that failed by itself is not tried again.

Source: ours; the search for a better posterior of a single image is the iterative inference of
Kim et al. 2018, and that of Yang et al. 2020 for compression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coding.latents import CodedUnits, choose_nearest, gaussian
from mrvae.compression.coding.symbols import Symbols
from mrvae.compression.network import CodingNetwork
from mrvae.distributions import Distribution, Gaussian
from mrvae.models.hierarchy.walk import Choose, Step, from_prior
from mrvae.models.trace import Observation

ROUNDS = 3
"""Rounds of a search; three more make digits shorter by another half percent."""

_TRIED = 8
_SMALLEST = 2.0**-24
# A backward pass keeps about so many tensors of the size of each state.
_KEPT = 16


def search(
    network: CodingNetwork, coded: Sequence[CodedUnits], x: Tensor, rounds: int = ROUNDS
) -> tuple[Symbols, ...]:
    """Return the integers k of each latent for images x, uint8 (B, C, H, W).

    Args:
        network: the model.
        coded: which units are coded, one entry per latent.
        x: the images.
        rounds: how often to look for moves; 0 gives the integers nearest to the posterior's means.

    Returns:
        For each latent its integers in the order (image, channel, row, column) of the coded units.

    Example:
        >>> import mrvae
        >>> from mrvae.compression.coding.latents import all_active, units_of
        >>> network = CodingNetwork.of(mrvae.build(mrvae.recipe("digits-vdvae")))
        >>> units = units_of(all_active(network.shapes), 32)
        >>> x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) % 17
        >>> [len(k) for k in search(network, units, x, rounds=1)][:3]
        [4, 64, 64]
    """
    if not coded:
        return ()
    parts = [
        _search_batch(network, coded, part, rounds) for part in torch.split(x, network.batch(_KEPT))
    ]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def prior_bits(k: Tensor, step: Tensor) -> Tensor:
    """Return -log₂ P(k) of each integer under the prior.

    Example:
        >>> from mrvae.compression.coding.symbols import RoundedCentredGaussian
        >>> prior = RoundedCentredGaussian(count=1, scale=0.5, reach=6)
        >>> k = torch.tensor([3.0], dtype=torch.float64)
        >>> bits = prior_bits(k, torch.tensor(2.0, dtype=torch.float64))
        >>> round(float(bits), 4) == round(prior.bits(np.array([3], dtype=np.int32)), 4)
        True
    """
    # By symmetry in the left tail, where the difference of two small numbers keeps its digits.
    inner, outer = (0.5 - k.abs()) * step, (-0.5 - k.abs()) * step
    return -torch.log2(torch.special.ndtr(inner) - torch.special.ndtr(outer) + _SMALLEST)


@dataclass(frozen=True, eq=False)
class _Objective:
    """J of some images, for integers k (B, U) of all coded units together."""

    network: CodingNetwork
    coded: Sequence[CodedUnits]
    x: Tensor
    observed: Observation

    @property
    def sizes(self) -> list[int]:
        """Number of coded units of each latent."""
        return [int(units.active.sum()) for units in self.coded]

    @property
    def steps(self) -> Tensor:
        """Δ of each unit, (U,)."""
        pairs = zip(self.sizes, self.coded, strict=True)
        return torch.cat([torch.full((n,), u.step, dtype=torch.float64) for n, u in pairs])

    @property
    def reach(self) -> Tensor:
        """The largest integer of each unit, (U,)."""
        return (12 / self.steps).floor()

    def pixel_bits(self, k: Tensor) -> Tensor:
        """Return -log₂ p(x | z(k)), (B,)."""
        parts = torch.split(k, self.sizes, dim=1)
        choices = [_place(units, part) for units, part in zip(self.coded, parts, strict=True)]
        context = self.observed._replace(features=())
        return -self.network.log_likelihood(context, choices, self.x) / math.log(2)

    @torch.no_grad()
    def bits(self, k: Tensor) -> Tensor:
        """Return J, (B,)."""
        return self.pixel_bits(k) + prior_bits(k, self.steps).sum(1)

    def slopes(self, k: Tensor) -> Tensor:
        """Return the derivatives of the pixels' bits by k, (B, U)."""
        with torch.enable_grad():
            leaf = k.clone().requires_grad_()
            return torch.autograd.grad(self.pixel_bits(leaf).sum(), leaf)[0]

    def nearest(self) -> tuple[Tensor, Tensor]:
        """Return the integers nearest to the posterior's means, and the curvature there in bits."""
        noise = self.network.zero_noise(len(self.x))
        choices = [choose_nearest(units) for units in self.coded]
        trace = self.network.trace(self.observed, choices, noise)
        pairs = list(zip(self.coded, trace.steps, strict=True))
        integers = [units.integers(gaussian(step.prior), step.z) for units, step in pairs]
        k = [torch.from_numpy(n).double().view(len(self.x), -1) for n in integers]
        curvature = [_precision(units, step) for units, step in pairs]
        return torch.cat(k, 1), torch.cat(curvature, 1) / math.log(2)


def _search_batch(
    network: CodingNetwork, coded: Sequence[CodedUnits], x: Tensor, rounds: int
) -> tuple[Symbols, ...]:
    """Search for images whose backward pass fits into memory."""
    objective = _Objective(network, coded, x, network.observe(x))
    k, curvature = objective.nearest()
    failed = torch.zeros(2, *k.shape, dtype=torch.bool)
    if rounds and k.shape[1]:
        bits = objective.bits(k)
        for _ in range(rounds):
            k, bits, failed = _round(objective, k, bits, curvature, failed)
    return tuple(
        part.flatten().numpy().astype(np.int32) for part in torch.split(k, objective.sizes, dim=1)
    )


def _round(
    objective: _Objective, k: Tensor, bits: Tensor, curvature: Tensor, failed: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return better integers, their J, and the moves (down or up, B, U) that failed so far."""
    directions = torch.tensor([-1.0, 1.0], dtype=torch.float64)[:, None, None]
    predicted = directions * objective.slopes(k) + curvature / 2
    steps = objective.steps
    predicted = predicted + prior_bits(k + directions, steps) - prior_bits(k, steps)
    predicted[failed | ((k + directions).abs() > objective.reach)] = math.inf
    change, direction = predicted.min(0)
    moves = _single_moves((2.0 * direction - 1) * (change < math.inf), change)
    tried = torch.stack([objective.bits(k + move) for move in moves])
    good = (tried < bits)[:, :, None]
    together = (moves * good).sum(0)
    failing = (moves * ~good).sum(0)
    moves = torch.cat([moves, together[None]])
    tried = torch.cat([tried, objective.bits(k + together)[None]])
    # Where no move is good, moving all good ones together is no move at all: J never grows.
    bits, best = tried.min(0)
    k = k + moves[best, torch.arange(len(k))]
    return k, bits, failed | torch.stack([failing < 0, failing > 0])


def _single_moves(move: Tensor, change: Tensor) -> Tensor:
    """Return the moves of the smallest predicted change, one unit per image, (tried, B, U)."""
    best = change.topk(min(_TRIED, change.shape[1]), dim=1, largest=False).indices
    chosen = torch.zeros(best.shape[1], *move.shape, dtype=torch.bool)
    chosen.scatter_(2, best.T[:, :, None], value=True)
    return move * chosen


def _place(units: CodedUnits, k: Tensor) -> Choose:
    """Choose z = μ + σΔk with gradients by k, (B, U) of the coded units; others are at μ."""
    if not k.shape[1]:
        return from_prior(0.0)

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        normal, standard = gaussian(prior), torch.zeros_like(noise)
        standard[:, units.active] = k * units.step
        return normal.mean + torch.exp(normal.log_scale) * standard

    return choose


def _precision(units: CodedUnits, step: Step) -> Tensor:
    """Return 1/s² - Δ² of each coded unit, s being the posterior's deviation in steps; (B, U)."""
    if step.posterior is None:
        raise ValueError("a search needs posteriors, and these the encoder's features")
    prior = gaussian(step.prior)
    ratio = torch.exp(prior.log_scale - step.posterior.log_scale)
    precise: Tensor = ((ratio.square() - 1).clamp(min=0) * units.step**2)[:, units.active]
    return precise
