"""The context above the coarsest latent, and how it conditions the hierarchy.

With a context c = f(x) the bound has one term more, of one number for each image
(Kuzina & Tomczak 2023, section 4.2),

    log p(x) ≥ E_q [log p(x | z, c) - Σ_l KL(q(z_l | z_<l, c, x) ‖ p(z_l | z_<l, c))] + log p(c),

and the state of every resolution begins with a function of c at that resolution,

    h ← h + C_j P x̂(c),

x̂(c) the decoded context, padded with black as the image is, P the ladder's projection onto level j,
and C_j a convolution. The released code has this variant, and one that conditions the coarsest
level only. The encoder sees the image, never the context.

A :class:`Conditioner` holds the latents that no cell draws, a tuple of none or one, so that the
hierarchy is the same with a context and without.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from mrvae.layers import convolution
from mrvae.models.context.priors.base import ContextPrior
from mrvae.models.context.transforms import ContextTransform
from mrvae.models.hierarchy.level import Level
from mrvae.models.hierarchy.walk import Shape
from mrvae.models.image import ImageFrame
from mrvae.models.trace import Latents
from mrvae.resolution import Ladder


class PriorWithContext(ContextPrior, Protocol):
    """A prior of a context, which owns the context's transform."""

    @property
    def lattice(self) -> ContextTransform:
        """The transform."""
        ...


class Conditioner(nn.Module, ABC):
    """The context of a model, or the lack of one.

    Attributes:
        shapes: shape (c, h, w) of the context; empty without one.
        noise_size: number of normals that the context's bound takes for one image.
        terms: number of terms of which one may stand for the bound; 0 if it has one only.
        prior: of the context, which holds its transform; None without a context.
    """

    prior: PriorWithContext | None
    shapes: tuple[Shape, ...] = ()
    noise_size = 0
    terms = 0

    @abstractmethod
    def fit(self, images: Tensor) -> None:
        """Measure on the training images, uint8 (N, C, H, W), what has to be measured."""

    @abstractmethod
    def encode(self, x: Tensor) -> Latents:
        """Return the codes of images, int64 (B, c, h, w) each."""

    @abstractmethod
    def place(self, x: Tensor) -> tuple[Latents, Latents]:
        """Return the codes of real-valued images, and their values before rounding."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None) -> Latents:
        """Return the codes of n draws from the prior."""

    @abstractmethod
    def conditioning(self, context: Latents) -> list[Tensor | None]:
        """Return what is added to the state at each resolution, coarse to fine."""

    @abstractmethod
    def values(self, context: Latents) -> Latents:
        """Return the codes as values on [-1, 1]."""

    @abstractmethod
    def nats(self, context: Latents, noise: Tensor, term: Tensor | None) -> Tensor:
        """Return minus the bound on log p(c) in nats: (B, 1), or (B, 0) without a context."""

    @abstractmethod
    def log_weight(self, context: Latents, noise: Tensor) -> Tensor:
        """Return numbers whose exponentials have the mean p(c): (B, 1), or (B, 0)."""


class NoContext(Conditioner):
    """No context: the hierarchy begins at its coarsest latent.

    Args:
        levels: number of resolutions.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.prior = None
        self.levels = levels

    def fit(self, images: Tensor) -> None:
        """Measure nothing."""

    def encode(self, x: Tensor) -> Latents:
        """Return no codes."""
        return ()

    def place(self, x: Tensor) -> tuple[Latents, Latents]:
        """Return no codes and no values."""
        return (), ()

    def sample(self, n: int, generator: torch.Generator | None) -> Latents:
        """Return no codes."""
        return ()

    def conditioning(self, context: Latents) -> list[Tensor | None]:
        """Return None for each resolution."""
        return [None] * self.levels

    def values(self, context: Latents) -> Latents:
        """Return no values."""
        return ()

    def nats(self, context: Latents, noise: Tensor, term: Tensor | None) -> Tensor:
        """Return no column, (B, 0)."""
        return noise.new_zeros(len(noise), 0)

    def log_weight(self, context: Latents, noise: Tensor) -> Tensor:
        """Return no column, (B, 0)."""
        return noise.new_zeros(len(noise), 0)


class ContextConditioner(Conditioner):
    """A context, its prior, and the convolutions by which it conditions the decoder.

    Args:
        prior: of the context, which it owns.
        levels: of the hierarchy, coarse to fine.
        frame: the image's place in the network.
        ladder: on which the levels stand.
        everywhere: whether all levels that have latents are conditioned, or only the coarsest.

    Attributes:
        shapes: of the one latent, the context.
        noise_size: normals of an image's bound: the prior's draws, for each code.
        terms: number of terms of which one may stand for the bound; 0 if there is one only.

    Source: Kuzina & Tomczak 2023, sections 4.2 and 4.4.

    Example:
        >>> from mrvae.distributions import MidRise
        >>> from mrvae.models import DCTContext, FactorisedPrior
        >>> transform = DCTContext((1, 4, 4), size=2, quantiser=MidRise(bits=2), bins=2)
        >>> levels = (Level(2, 8, 2, 1, 1), Level(4, 8, 2, 1, 1))
        >>> frame = ImageFrame(1, 4, 4, mean=0.5, std=0.5, bins=2)
        >>> prior = FactorisedPrior(transform)
        >>> conditioner = ContextConditioner(prior, levels, frame, Ladder(2, 1), everywhere=True)
        >>> x = torch.eye(4, dtype=torch.uint8).view(1, 1, 4, 4)
        >>> conditioner.fit(x)
        >>> [tuple(h.shape) for h in conditioner.conditioning(conditioner.encode(x))]
        [(1, 8, 2, 2), (1, 8, 4, 4)]
    """

    def __init__(
        self,
        prior: nn.Module,
        levels: Sequence[Level],
        frame: ImageFrame,
        ladder: Ladder,
        everywhere: bool,
    ) -> None:
        super().__init__()
        self.prior: PriorWithContext = cast(PriorWithContext, prior)
        self.frame, self.ladder = frame, ladder
        self.sizes = tuple(level.size for level in levels)
        self.conditioned = tuple(
            index for index, level in enumerate(levels) if not index or (everywhere and level.drawn)
        )
        self.enter = nn.ModuleList(
            convolution(frame.channels, levels[index].width, levels[index].kernel)
            for index in self.conditioned
        )
        self.shapes = (self.transform.shape,)
        self.noise_size = self.prior.draws * torch.Size(self.transform.shape).numel()
        self.terms = self.prior.draws

    @property
    def transform(self) -> ContextTransform:
        """The function of the image that the context is; it belongs to the prior."""
        return self.prior.lattice

    def fit(self, images: Tensor) -> None:
        """Measure the scales S of the transform, once.

        Raises:
            ValueError: if S is known already, or the images have another shape.
        """
        self.transform.fit(images)

    def encode(self, x: Tensor) -> Latents:
        """Return the context of images."""
        return (self.transform.encode(x),)

    def place(self, x: Tensor) -> tuple[Latents, Latents]:
        """Return the codes of real-valued images, and their values before rounding."""
        codes, places = self.transform.place(x)
        return (codes,), (places,)

    def sample(self, n: int, generator: torch.Generator | None) -> Latents:
        """Return n contexts drawn from the prior."""
        return (self.prior.sample(n, generator),)

    def conditioning(self, context: Latents) -> list[Tensor | None]:
        """Return C_j P x̂(c) for each level j, and None where there is none."""
        (c,) = context
        x = self.frame.pad(self.transform.decode(c), black=-1.0).to(next(self.parameters()).dtype)
        finest = self.ladder.level(self.sizes[-1])
        added: list[Tensor | None] = [None] * len(self.sizes)
        for index, enter in zip(self.conditioned, self.enter, strict=True):
            steps = finest - self.ladder.level(self.sizes[index])
            added[index] = enter(self.ladder.project(x, steps))
        return added

    def values(self, context: Latents) -> Latents:
        """Return the codes as values on [-1, 1]."""
        return tuple(self.transform.grid.value(c) for c in context)

    def nats(self, context: Latents, noise: Tensor, term: Tensor | None) -> Tensor:
        """Return minus the bound on log p(c), or its estimate from one term, (B, 1).

        Args:
            context: its codes.
            noise: standard normal, (B, noise_size) or more columns, of which the last are used.
            term: 1 … terms for each image, int64 (B,), or None for all. The mean of the estimate
                over all of them is the bound at the same noise.
        """
        (c,) = context
        each = self.per_draw(noise)
        if term is None or not self.terms:
            return -self.prior.bound(c, each)[:, None]
        place = torch.arange(len(c), device=c.device)
        return -self.prior.estimate(c, term, each[place, term - 1])[:, None]

    def log_weight(self, context: Latents, noise: Tensor) -> Tensor:
        """Return log p(c, y) - log q(y | c) of one trajectory for each image, (B, 1).

        The log-mean-exp of several for one c is a bound on log p(c), the tighter the more.

        Args:
            context: its codes.
            noise: standard normal, (B, noise_size) or more columns, of which the last are used.
        """
        (c,) = context
        return self.prior.log_weight(c, self.per_draw(noise))[:, None]

    def per_draw(self, noise: Tensor) -> Tensor:
        """Return the noise as the prior takes it, (B, draws, c, h, w)."""
        own = noise[..., noise.shape[-1] - self.noise_size :]
        return own.view(len(noise), self.prior.draws, *self.transform.shape)
