r"""The one walk down the hierarchy, and the choices that drive it.

A top-down hierarchical VAE draws z₁, …, z_L, coarse to fine, and carries a state h along:

    p(z_l | z_<l) = prior(h),   q(z_l | z_<l, x) = posterior(h, e),   h ← advance(h, z_l),

with e the encoder's feature at the resolution of the cell. Training, sampling, reconstruction
from the top latents, importance weighting and coding differ in one thing only: how z_l is chosen.
So there is one walk, and it asks a ``Choose`` at each cell. A choice is pure: its noise is drawn
outside and comes in as a tensor, so that a step can be computed again, on any device or process,
with the same result. Posteriors are Gaussian; a prior may be any :class:`~mrvae.distributions.Law`.
Training on little memory does just that: with ``recompute`` a step keeps
nothing but its ends, and autograd runs it a second time (Falck et al. 2022, appendix F).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from mrvae.distributions import Gaussian, Law
from mrvae.layers import recomputed
from mrvae.models.level import Level

Shape = tuple[int, int, int]
Choose = Callable[[Law, Gaussian | None, Tensor], Tensor]


class Step(NamedTuple):
    """What happened at one cell: the latent, what it was chosen by, and the state it led to."""

    z: Tensor
    prior: Law
    posterior: Gaussian | None
    state: Tensor


class Cell(Protocol):
    """One stochastic step; all tensors have shape (B, C, H, W), and the state may change it."""

    def prior(self, h: Tensor) -> tuple[Law, Tensor]:
        """Return p(z | h), and the state with what the prior's network adds to it."""
        ...

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e); it sees the state before the prior has added to it."""
        ...

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state."""
        ...


class Rung(Protocol):
    """The cells of one resolution, in the order of their visits."""

    @property
    def level(self) -> Level:
        """The resolution, as data."""
        ...

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of the latent of every visit."""
        ...

    @property
    def visits(self) -> Sequence[Cell]:
        """The cells, one entry a visit: a shared cell stands here as often as it is applied."""
        ...

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state in which the first cell finds this resolution."""
        ...


def descend(
    rungs: Sequence[Rung],
    features: Sequence[Tensor | None],
    choices: Sequence[Choose],
    noise: Sequence[Tensor],
    told: Sequence[Tensor | None],
    recompute: bool = False,
) -> tuple[Tensor, list[Step]]:
    """Walk from the coarsest rung to the finest and return the last state and every step.

    Args:
        rungs: coarse to fine.
        features: the encoder's, one a visit, or None where no posterior is asked for.
        choices: one a visit, coarse to fine.
        noise: standard normal, one tensor (B, C, H, W) a visit.
        told: one a rung: what is added to the state as the rung is entered, or None for nothing.
        recompute: keep nothing inside a step for the backward pass; compute it again there.
    """
    take = recomputed(_step) if recompute else _step
    # Without latents there is no noise, and what a context tells says how many images there are.
    batch = next(len(piece) for piece in (*noise, *told) if piece is not None)
    h: Tensor | None = None
    steps: list[Step] = []
    for rung, words in zip(rungs, told, strict=True):
        h = rung.enter(h, batch)
        h = h if words is None else h + words
        for cell in rung.visits:
            index = len(steps)
            h, step = take(cell, choices[index], h, features[index], noise[index])
            steps.append(step)
    if h is None:
        raise ValueError("a hierarchy needs at least one rung")
    return h, steps


def _step(
    cell: Cell, choose: Choose, h: Tensor, feature: Tensor | None, noise: Tensor
) -> tuple[Tensor, Step]:
    """Go through one cell: p(z | h), q(z | h, e), z, and the next state."""
    posterior = None if feature is None else cell.posterior(h, feature)
    prior, h = cell.prior(h)
    z = choose(prior, posterior, noise)
    h = cell.advance(h, z)
    return h, Step(z, prior, posterior, h)


def from_posterior(temperature: float = 1.0) -> Choose:
    """Choose z ~ q(z | z_<l, x), its standard deviation multiplied by ``temperature``."""

    def choose(prior: Law, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("a latent of the posterior needs the encoder's features")
        return posterior.sample(noise, temperature)

    return choose


def from_prior(temperature: float = 1.0) -> Choose:
    """Choose z ~ p(z | z_<l), its standard deviation multiplied by ``temperature``."""

    def choose(prior: Law, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return prior.sample(noise, temperature)

    return choose


def given(z: Tensor) -> Choose:
    """Choose the latent that is given."""

    def choose(prior: Law, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return z

    return choose
