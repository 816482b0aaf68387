"""A search for latents with which the direct code is shorter than with the nearest ones.

A decoder of the direct code takes whatever whole numbers k it is given. Those nearest to the
posterior's means are a guess at good ones: a mean was learnt for draws around it, and for latents
none of which is left out or rounded. What an image really takes is

    J(k) = Σ_u -log₂ P(k_u) - log₂ p(x | z(k)) bits,

and the encoder looks for a smaller one. Each round asks for the slopes g of the last term, which
one pass backwards gives for all units at once, and takes its curvature to be what the posterior
N(m, s²) makes of it: 1/s² in all, of which Δ² is the prior's. A move of one number is then
promised to change J by

    ± g_u + ½ (1/s_u² - Δ²) / ln 2 - log₂ P(k_u ± 1) + log₂ P(k_u),        s_u in steps of Δ.

The eight moves that promise most are tried, each alone, and then all of those together that make J
smaller. The best of these nine is made, if it makes J smaller: so no round makes an image longer. A
move that failed alone is not tried again.

Source: ours; the search for a better posterior of a single image is the iterative inference of
Kim et al. 2018, and by Yang et al. 2020 that of compression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coder import Symbols
from mrvae.compression.latents import Units, choose_nearest
from mrvae.compression.network import Network
from mrvae.compression.parts import gaussian
from mrvae.distributions import Distribution, Gaussian
from mrvae.models.hierarchy.walk import Choose, Step, from_prior
from mrvae.models.trace import Latents

ROUNDS = 3
"""Rounds of a search; three more make digits shorter by another half of a percent."""

_TRIED = 8
_LEAST = 2.0**-24
# A pass backwards keeps about so many tensors of the size of each state.
_KEPT = 16


def search(
    network: Network, every: Sequence[Units], x: Tensor, rounds: int = ROUNDS
) -> tuple[Symbols, ...]:
    """Return numbers k of each latent for images x, uint8 (B, C, S, S), after some rounds.

    Args:
        network: the model.
        every: which units are coded, one entry a latent.
        x: the images.
        rounds: how often to look for moves; 0 gives the numbers nearest to the posterior's means.

    Returns:
        For each latent its numbers in the order (image, channel, row, column) of the coded units.

    Example:
        >>> import mrvae
        >>> from mrvae.compression.latents import all_active, of_shapes
        >>> network = Network.of(mrvae.build(mrvae.recipe("digits-vdvae")))
        >>> units = of_shapes(all_active(network.shapes), 32)
        >>> x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) % 17
        >>> [len(k) for k in search(network, units, x, rounds=1)][:3]
        [4, 64, 64]
    """
    if not every:
        return ()
    parts = [
        _of_part(network, every, part, rounds) for part in torch.split(x, network.batch(_KEPT))
    ]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def prior_bits(k: Tensor, step: Tensor) -> Tensor:
    """Return -log₂ P(k) of numbers under the prior, of each by itself.

    Example:
        >>> from mrvae.compression import Standard
        >>> law = Standard(count=1, scale=0.5, reach=6)
        >>> k = torch.tensor([3.0], dtype=torch.float64)
        >>> found = prior_bits(k, torch.tensor(2.0, dtype=torch.float64))
        >>> round(float(found), 4) == round(law.bits(np.array([3], dtype=np.int32)), 4)
        True
    """
    # By symmetry in the left tail, where the difference of two small numbers keeps its digits.
    inner, outer = (0.5 - k.abs()) * step, (-0.5 - k.abs()) * step
    return -torch.log2(torch.special.ndtr(inner) - torch.special.ndtr(outer) + _LEAST)


@dataclass(frozen=True, eq=False)
class _Problem:
    """J of some images, for numbers k (B, U) of all coded units together."""

    network: Network
    every: Sequence[Units]
    x: Tensor
    context: Latents

    @property
    def sizes(self) -> list[int]:
        """The coded units of each latent."""
        return [int(units.active.sum()) for units in self.every]

    @property
    def steps(self) -> Tensor:
        """Δ of each unit, (U,)."""
        pairs = zip(self.sizes, self.every, strict=True)
        return torch.cat([torch.full((n,), u.step, dtype=torch.float64) for n, u in pairs])

    @property
    def reach(self) -> Tensor:
        """The largest number of each unit, (U,)."""
        return (12 / self.steps).floor()

    def pixel_bits(self, k: Tensor) -> Tensor:
        """Return -log₂ p(x | z(k)), (B,)."""
        numbers = torch.split(k, self.sizes, dim=1)
        choices = [_place(units, part) for units, part in zip(self.every, numbers, strict=True)]
        return -self.network.log_likelihood(choices, self.x, self.context) / math.log(2)

    @torch.no_grad()
    def bits(self, k: Tensor) -> Tensor:
        """Return J, (B,)."""
        return self.pixel_bits(k) + prior_bits(k, self.steps).sum(1)

    def slopes(self, k: Tensor) -> Tensor:
        """Return the derivatives of the pixels' bits by k, (B, U)."""
        with torch.enable_grad():
            asked = k.clone().requires_grad_()
            return torch.autograd.grad(self.pixel_bits(asked).sum(), asked)[0]

    def nearest(self) -> tuple[Tensor, Tensor]:
        """Return the numbers nearest to the posterior's means, and the curvature there in bits."""
        silence = torch.zeros(len(self.x), self.network.noise_size, dtype=torch.float64)
        choices = [choose_nearest(units) for units in self.every]
        features = self.network.features(self.x)
        trace = self.network.trace(choices, features, silence, self.context)
        pairs = list(zip(self.every, trace.steps, strict=True))
        numbers = [units.numbers(gaussian(step.prior), step.z) for units, step in pairs]
        k = [torch.from_numpy(n).double().view(len(self.x), -1) for n in numbers]
        curvature = [_precision(units, step) for units, step in pairs]
        return torch.cat(k, 1), torch.cat(curvature, 1) / math.log(2)


def _of_part(
    network: Network, every: Sequence[Units], x: Tensor, rounds: int
) -> tuple[Symbols, ...]:
    """Search for images that the network sees at once."""
    problem = _Problem(network, every, x, network.context(x))
    k, curvature = problem.nearest()
    refused = torch.zeros(2, *k.shape, dtype=torch.bool)
    if rounds and k.shape[1]:
        bits = problem.bits(k)
        for _ in range(rounds):
            k, bits, refused = _round(problem, k, bits, curvature, refused)
    return tuple(
        part.flatten().numpy().astype(np.int32) for part in torch.split(k, problem.sizes, dim=1)
    )


def _round(
    problem: _Problem, k: Tensor, bits: Tensor, curvature: Tensor, refused: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return better numbers, their J, and the moves (down or up, B, U) that failed so far."""
    ways = torch.tensor([-1.0, 1.0], dtype=torch.float64)[:, None, None]
    promised = ways * problem.slopes(k) + curvature / 2
    promised = promised + prior_bits(k + ways, problem.steps) - prior_bits(k, problem.steps)
    promised[refused | ((k + ways).abs() > problem.reach)] = math.inf
    change, way = promised.min(0)
    moves = _singly((2.0 * way - 1) * (change < math.inf), change)
    found = torch.stack([problem.bits(k + move) for move in moves])
    good = (found < bits)[:, :, None]
    together = (moves * good).sum(0)
    moves = torch.cat([moves, together[None]])
    found = torch.cat([found, problem.bits(k + together)[None]])
    failed = (moves[:-1] * ~good).sum(0)
    # Among these is no move at all, where none is good; so the best is never worse than k.
    bits, which = found.min(0)
    k = k + moves[which, torch.arange(len(k))]
    return k, bits, refused | torch.stack([failed < 0, failed > 0])


def _singly(move: Tensor, change: Tensor) -> Tensor:
    """Return the moves that promise most, one of each image at a time, (tried, B, U)."""
    first = change.topk(min(_TRIED, change.shape[1]), dim=1, largest=False).indices
    only = torch.zeros(first.shape[1], *move.shape, dtype=torch.bool)
    only.scatter_(2, first.T[:, :, None], value=True)
    return move * only


def _place(units: Units, k: Tensor) -> Choose:
    """Choose z = μ + σΔk with gradients by k, (B, U) of the coded units; others are at μ."""
    if not k.shape[1]:
        return from_prior(0.0)

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        law, standard = gaussian(prior), torch.zeros_like(noise)
        standard[:, units.active] = k * units.step
        return law.mean + torch.exp(law.log_scale) * standard

    return choose


def _precision(units: Units, step: Step) -> Tensor:
    """Return 1/s² - Δ² of each coded unit, s being the posterior's deviation in steps; (B, U)."""
    if step.posterior is None:
        raise ValueError("a search needs posteriors; give the walk features")
    prior = gaussian(step.prior)
    ratio = torch.exp(prior.log_scale - step.posterior.log_scale)
    precise: Tensor = ((ratio.square() - 1).clamp(min=0) * units.step**2)[:, units.active]
    return precise
