"""What the model reads from images before it descends, and what a descent returns.

An :class:`Observation` holds all that the top-down walk needs to know of a batch: the encoder's
features, the context's codes, and what these add to the state of each resolution. It is computed
once, however many draws follow. A :class:`Trace` is one descent: its latents with their priors and
posteriors, the last state, and the distribution of the image. With z the latents of the trace,

    kl         = Σ over a latent's elements of KL(q(z_l | z_<l, x) ‖ p(z_l | z_<l)),
    log_ratio  = Σ_l log p(z_l | z_<l) - log q(z_l | z_<l, x).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mrvae.distributions import PixelDistribution
from mrvae.models.elbo import sum_per_image
from mrvae.models.hierarchy.walk import Conditioning, Shape, Step

Latents = tuple[Tensor, ...]


class Observation(NamedTuple):
    """What the decoder knows of a batch of images before it draws the first latent.

    Attributes:
        features: one for each latent, coarse to fine; empty where nothing was encoded.
        context: the context's codes, int64 (B, c, h, w); empty without a context.
        conditioning: what is added to the state at each resolution, or None.
    """

    features: Latents
    context: Latents
    conditioning: Conditioning

    def repeat(self, count: int) -> Observation:
        """Return the observation of ``count`` copies of the batch, one after the other."""
        return Observation(
            _repeated(self.features, count),
            _repeated(self.context, count),
            tuple(_repeated_each(self.conditioning, count)),
        )


@dataclass(frozen=True)
class Trace:
    """One descent of the hierarchy for a batch of images.

    Attributes:
        context: the context's codes; empty without a context.
        steps: one for each latent of the hierarchy, coarse to fine.
        state: the last state, (B, C, H, W).
        head: from the state to the distribution of the image.
    """

    context: Latents
    steps: tuple[Step, ...]
    state: Tensor
    head: Callable[[Tensor], PixelDistribution] = field(repr=False)

    @property
    def likelihood(self) -> PixelDistribution:
        """p(x | z)."""
        return self.head(self.state)

    @property
    def latents(self) -> Latents:
        """The context, if there is one, then z of every step."""
        return (*self.context, *(step.z for step in self.steps))

    def kl(self) -> Tensor:
        """Return KL(q‖p) of every latent, or its estimate at the drawn z: (B, layers)."""
        return divergences(self.steps, self.state)

    def log_ratio(self) -> Tensor:
        """Return log p(z) - log q(z | x) at the drawn z, (B,)."""
        ratios = [_log_ratio(step) for step in self.steps if step.posterior is not None]
        if ratios:
            return torch.stack(ratios).sum(dim=0)
        return self.state.new_zeros(len(self.state))

    def log_ratios(self) -> Tensor:
        """Return log p(z_l | z_<l) - log q(z_l | z_<l, x) of every latent: (B, layers).

        It is 0 where there is no posterior.
        """
        if not self.steps:
            return self.state.new_zeros(len(self.state), 0)
        return torch.stack([_log_ratio(step) for step in self.steps], dim=1)


def _log_ratio(step: Step) -> Tensor:
    """Return log p(z) - log q(z | x) of one step, (B,)."""
    if step.posterior is None:
        return step.state.new_zeros(len(step.state))
    return sum_per_image(step.prior.log_prob(step.z) - step.posterior.log_prob(step.z))


def divergences(steps: Sequence[Step], like: Tensor) -> Tensor:
    """Return KL(q‖p) of every step, or its estimate, summed over its latent: (B, layers).

    ``like`` is (B, …), and gives the number of images where there is no step.
    """
    columns = [
        sum_per_image(step.prior.kl_from(step.posterior, step.z))
        for step in steps
        if step.posterior is not None
    ]
    return torch.stack(columns, dim=1) if columns else like.new_zeros(len(like), 0)


def check_latents(
    latents: Sequence[Tensor], shapes: Sequence[Shape], contexts: int, dtype: torch.dtype
) -> None:
    """Refuse latents that are not the first ones of a hierarchy.

    Args:
        latents: coarse to fine.
        shapes: of all latents of the hierarchy.
        contexts: how many of them are codes of a context.
        dtype: of the others.

    Raises:
        ValueError: if one has another shape or type, there are too many, or none.
    """
    if not 1 <= len(latents) <= len(shapes):
        raise ValueError(f"{len(latents)} latents are given; this model has {len(shapes)}")
    for number, (z, shape) in enumerate(zip(latents, shapes, strict=False), start=1):
        if tuple(z.shape) != (*latents[0].shape[:1], *shape):
            raise ValueError(f"latent {number} has shape {tuple(z.shape)}; expected (B, *{shape})")
        wanted = torch.int64 if number <= contexts else dtype
        if z.dtype != wanted:
            kind = "codes of a context" if number <= contexts else "the type of the weights"
            raise ValueError(f"latent {number} is {z.dtype}; give it {wanted}, {kind}")


def _repeated(tensors: Sequence[Tensor], count: int) -> Latents:
    """Repeat every distinct tensor once, whatever the number of its places."""
    wider: dict[int, Tensor] = {}
    for tensor in tensors:
        if id(tensor) not in wider:
            wider[id(tensor)] = torch.cat([tensor] * count)
    return tuple(wider[id(tensor)] for tensor in tensors)


def _repeated_each(conditioning: Conditioning, count: int) -> list[Tensor | None]:
    return [None if added is None else torch.cat([added] * count) for added in conditioning]
