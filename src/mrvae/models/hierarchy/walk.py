r"""The top-down walk over the hierarchy, and the choices that drive it.

A top-down hierarchical VAE draws z₁, …, z_L, coarse to fine, and updates a state h at each latent:

    p(z_l | z_<l) = prior(h),   q(z_l | z_<l, x) = posterior(h, e),   h ← advance(h, z_l),

with e the encoder's feature at the resolution of the cell. Training, sampling, reconstruction
from the top latents, importance weighting and coding differ in one thing only: how z_l is chosen.
So there is one walk, and it calls a ``Choose`` at each cell. A choice is pure: its noise is drawn
outside and comes in as a tensor, so that a step can be computed again, on any device or process,
with the same result. Posteriors are Gaussian; a prior may be any
:class:`~mrvae.distributions.Distribution`. With ``activation_checkpointing`` a step stores only its
inputs, and autograd computes its inside a second time (Falck et al. 2022, appendix F).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from mrvae.distributions import Distribution, Gaussian
from mrvae.layers import checkpointed
from mrvae.models.hierarchy.level import Level

Shape = tuple[int, int, int]
Choose = Callable[[Distribution, Gaussian | None, Tensor], Tensor]
Conditioning = tuple[Tensor | None, ...]
"""What is added to the state as each resolution is entered, coarse to fine; None adds nothing."""


class Step(NamedTuple):
    """One cell's latent, its prior and posterior, and the state after it."""

    z: Tensor
    prior: Distribution
    posterior: Gaussian | None
    state: Tensor


class Cell(Protocol):
    """One stochastic step; all tensors have shape (B, C, H, W), and the state may change it."""

    def prior(self, h: Tensor) -> tuple[Distribution, Tensor]:
        """Return p(z | h), and the state plus what the prior's network adds to it."""
        ...

    def posterior(self, h: Tensor, features: Tensor) -> Gaussian:
        """Return q(z | h, e); h is the state before the prior's network has added to it."""
        ...

    def advance(self, h: Tensor, z: Tensor) -> Tensor:
        """Return the next state."""
        ...


class SharingCell(ABC):
    """A cell whose posterior and prior have operations in common."""

    @abstractmethod
    def posterior_and_prior(
        self, h: Tensor, features: Tensor
    ) -> tuple[Gaussian, Distribution, Tensor]:
        """Return q(z | h, e), and what ``prior`` returns, with no operation made twice."""


class Stage(Protocol):
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
        """The cells, one entry per visit: a shared cell is listed as often as it is applied."""
        ...

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state that the first cell of this resolution receives."""
        ...


def descend(
    stages: Sequence[Stage],
    features: Sequence[Tensor | None],
    choices: Sequence[Choose],
    noise: Sequence[Tensor],
    conditioning: Sequence[Tensor | None],
    activation_checkpointing: bool = False,
) -> tuple[Tensor, list[Step]]:
    """Walk from the coarsest stage to the finest and return the last state and every step.

    Args:
        stages: coarse to fine.
        features: the encoder's, one per visit, or None where no posterior is wanted.
        choices: one per visit, coarse to fine.
        noise: standard normal, one tensor (B, C, H, W) per visit.
        conditioning: one per stage: what is added to the state as the stage is entered, or None.
        activation_checkpointing: store nothing inside a step for the backward pass.

    Raises:
        ValueError: if there is no stage.
    """
    take = checkpointed(_step) if activation_checkpointing else _step
    # Without latents there is no noise, and the conditioning gives the number of images.
    batch = next(len(tensor) for tensor in (*noise, *conditioning) if tensor is not None)
    h: Tensor | None = None
    steps: list[Step] = []
    for stage, added in zip(stages, conditioning, strict=True):
        h = stage.enter(h, batch)
        h = h if added is None else h + added
        for cell in stage.visits:
            index = len(steps)
            h, step = take(cell, choices[index], h, features[index], noise[index])
            steps.append(step)
    if h is None:
        raise ValueError("a hierarchy needs at least one stage")
    return h, steps


def _step(
    cell: Cell, choose: Choose, h: Tensor, feature: Tensor | None, noise: Tensor
) -> tuple[Tensor, Step]:
    """Apply one cell: p(z | h), q(z | h, e), z, and the next state."""
    prior: Distribution
    posterior: Gaussian | None = None
    if feature is not None and isinstance(cell, SharingCell):
        posterior, prior, h = cell.posterior_and_prior(h, feature)
    else:
        posterior = None if feature is None else cell.posterior(h, feature)
        prior, h = cell.prior(h)
    z = choose(prior, posterior, noise)
    h = cell.advance(h, z)
    return h, Step(z, prior, posterior, h)


def from_posterior(temperature: float = 1.0) -> Choose:
    """Choose z ~ q(z | z_<l, x), its standard deviation multiplied by ``temperature``."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        if posterior is None:
            raise ValueError("a latent of the posterior needs the encoder's features")
        return posterior.sample(noise, temperature)

    return choose


def from_prior(temperature: float = 1.0) -> Choose:
    """Choose z ~ p(z | z_<l), its standard deviation multiplied by ``temperature``."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return prior.sample(noise, temperature)

    return choose


def given(z: Tensor) -> Choose:
    """Choose the latent that is given."""

    def choose(prior: Distribution, posterior: Gaussian | None, noise: Tensor) -> Tensor:
        return z

    return choose
