r"""Exact posterior sampling in the limit: Metropolis within Gibbs on (x, z).

The target is p(x, z | y) ∝ p(z) p(x | z) p(y | x), whose x-part is the posterior of images. One
step of the chain is

    x  ~ p(x | z, y), or a step that keeps it,
    z' ~ q(z | x) below the top k latents, which stay as they are,
    z  ← z' with probability min(1, e^{w(z') - w(z)}),   w(z) = log p(x | z) + log p(z)/q(z | x).

p(y | x) cancels, so z knows the observation through x only. Without the correction (pseudo-Gibbs,
Rezende et al. 2014) the chain has another limit wherever q is not p(z | x). With k = 0 this is
algorithm 2 of Mattei & Frellsen 2018; k is drawn anew in every step, from 0 … L - 1 and
independently of the state, so that each move keeps the target. The kept latents' terms cancel in
w(z') - w(z), and moves of the finest latents are accepted far more often than moves of all. The
first steps of a chain are pseudo-Gibbs, which leave a bad start faster; they are warm-up, and
nothing of them is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Purpose
from mrvae.data import generator as stream
from mrvae.models import HVAE, Trace
from mrvae.models.hierarchy.walk import from_posterior, given
from mrvae.restoration.conditionals import Conditional
from mrvae.restoration.restored import PixelMoments, Progress, Restored, by_chain


@dataclass(frozen=True)
class MarkovChain:
    """How long a chain is.

    Attributes:
        steps: in all, the warm-up included.
        warmup: steps at the beginning of which nothing is used.
        gibbs: of these, steps without correction.
        corrected: whether the later steps have the correction; without it they are pseudo-Gibbs.

    Raises:
        ValueError: if the numbers do not follow one another as 0 ≤ gibbs ≤ warmup < steps.

    Example:
        >>> MarkovChain(steps=100, warmup=50, gibbs=20).kept
        50
    """

    steps: int = 200
    warmup: int = 100
    gibbs: int = 30
    corrected: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.gibbs <= self.warmup < self.steps:
            raise ValueError(
                f"a chain of {self.steps} steps has {self.warmup} of warm-up and {self.gibbs} of "
                "pseudo-Gibbs; expected 0 ≤ gibbs ≤ warmup < steps"
            )

    @property
    def kept(self) -> int:
        """Number of steps of which something is used."""
        return self.steps - self.warmup


@dataclass(frozen=True)
class ChainState:
    """One state of the chain: images, the trace of their latents, and which proposals it took."""

    x: Tensor
    latents: tuple[Tensor, ...]
    state: Tensor
    accepted: Tensor


@torch.inference_mode()
def sample_posterior(
    model: HVAE,
    conditional: Conditional,
    n: int,
    chain: MarkovChain,
    seed: int,
    progress: Progress | None = None,
) -> Restored:
    """Return draws of n independent chains for each observation, and the moments of all.

    A draw is the last image of a chain. The mean is that of E[x | z, y] over all kept steps.

    Raises:
        ValueError: if n is not positive, or the model has a context, which is a function of the
            whole image and cannot be drawn given a part of it.
    """
    if n < 1:
        raise ValueError(f"n is {n}; draw at least one image")
    if model.context.shapes:
        raise ValueError(
            "this model has a context, a function of the whole image that a chain cannot change;"
            " use a model without one"
        )
    known, moments, scale = conditional.repeat(n), PixelMoments(n), model.frame.bins - 1
    kept, accepted = 0, torch.zeros(())
    for index, now in enumerate(states(model, known, chain, seed)):
        if progress is not None:
            progress(index + 1)
        if index >= chain.warmup:
            kept, accepted = kept + 1, accepted + now.accepted.double()
            moments.add(known.mean(model.pixels(now.state), now.x) / scale, now.x / scale)
    draws = by_chain(now.x / scale, n)
    part = by_chain(accepted / kept, n).mean(dim=0)
    return Restored(draws, moments.mean.to(draws), moments.deviation.to(draws), part)


def states(
    model: HVAE, conditional: Conditional, chain: MarkovChain, seed: int
) -> Iterator[ChainState]:
    """Yield every state of the chains, one row for each observation.

    The random numbers of a step are a function of the seed and the step.
    """
    x = conditional.first()
    trace = _proposal(model, x, (), _stream(model, seed, 0))
    latents, state = trace.latents, trace.state
    for index in range(chain.steps):
        random = _stream(model, seed, index + 1)
        x = conditional.draw(model.pixels(state), x, random)
        corrected = chain.corrected and index >= chain.gibbs
        yield (now := _move(model, x, latents, corrected, random))
        latents, state = now.latents, now.state


def _move(
    model: HVAE, x: Tensor, latents: tuple[Tensor, ...], corrected: bool, random: torch.Generator
) -> ChainState:
    """Propose latents for images, and take them or leave them."""
    depth = len(latents)
    keep = int(torch.randint(depth, (), generator=random, device=random.device))
    if not corrected:
        new = _proposal(model, x, (), random)
        return ChainState(x, new.latents, new.state, torch.ones(len(x), device=x.device))
    new, old = _proposal(model, x, latents[:keep], random), _proposal(model, x, latents, random)
    ratio = _log_weight(new, x) - _log_weight(old, x)
    uniform = torch.rand(ratio.shape, generator=random, dtype=ratio.dtype, device=ratio.device)
    accepted = uniform.log() < ratio
    pairs = zip((*new.latents, new.state), (*old.latents, old.state), strict=True)
    *chosen, state = (torch.where(accepted[:, None, None, None], a, b) for a, b in pairs)
    return ChainState(x, tuple(chosen), state, accepted)


def _proposal(
    model: HVAE, x: Tensor, latents: tuple[Tensor, ...], random: torch.Generator
) -> Trace:
    """Return the trace of images with the top latents given and the others from q."""
    observed = model.observe(x)
    below = len(model.latent_shapes) - len(latents)
    choices = [*(given(z) for z in latents), *[from_posterior()] * below]
    return model.trace(observed, choices, model.noise(len(x), random))


def _log_weight(trace: Trace, x: Tensor) -> Tensor:
    """Return w = log p(x | z) + log p(z)/q(z | x), (B,)."""
    return trace.likelihood.log_prob(x) + trace.log_ratio()


def _stream(model: HVAE, seed: int, step: int) -> torch.Generator:
    return stream(seed, Purpose.RESTORATION, step, device=next(model.parameters()).device)
