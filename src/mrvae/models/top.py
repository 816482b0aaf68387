"""What stands above the coarsest latent: nothing, or a context of the image and its prior.

With a context c = f(x) the bound has one term more, of one number for each image
(Kuzina & Tomczak 2023, section 4.2),

    log p(x) ≥ E_q [log p(x | z, c) - Σ_l KL(q(z_l | z_<l, c, x) ‖ p(z_l | z_<l, c))] + log p(c),

and the state of every resolution begins with what c says of the image at that resolution,

    h ← h + C_j P x̂(c),

x̂(c) the image that c stands for, padded with black as the image is, P the ladder's projection onto
level j, and C_j a convolution. The released code has both this and the same at the coarsest level
alone. The encoder sees the image, never the context.

So a top is asked for latents that are not drawn by a cell, none or one: a tuple, for which the
hierarchy need not know which of the two it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from mrvae.layers import convolution
from mrvae.models.context import Context
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level
from mrvae.models.prior import ContextPrior
from mrvae.models.walk import Shape
from mrvae.resolution import Ladder

Above = tuple[Tensor, ...]


class PriorOfContext(ContextPrior, Protocol):
    """A prior that is built on a context, and owns it."""

    @property
    def lattice(self) -> Context:
        """The context."""
        ...


class Top(nn.Module, ABC):
    """What a model asks of that which stands above its hierarchy."""

    shapes: tuple[Shape, ...] = ()
    noise_size = 0
    terms = 0

    @abstractmethod
    def fit(self, images: Tensor) -> None:
        """Measure on the training images, uint8 (N, C, H, W), what has to be measured."""

    @abstractmethod
    def encode(self, x: Tensor) -> Above:
        """Return the latents of images, int64 (B, c, h, w) each."""

    @abstractmethod
    def place(self, x: Tensor) -> tuple[Above, Above]:
        """Return the latents of images of real numbers, and where they lie before rounding."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None) -> Above:
        """Return n draws of the latents."""

    @abstractmethod
    def told(self, above: Above) -> list[Tensor | None]:
        """Return what is added to the state at each resolution, coarse to fine."""

    @abstractmethod
    def values(self, above: Above) -> Above:
        """Return where on [-1, 1] the latents lie."""

    @abstractmethod
    def nats(self, above: Above, noise: Tensor, term: Tensor | None) -> Tensor:
        """Return minus the bound on the latents' log p in nats, a column for each: (B, 0 or 1)."""

    @abstractmethod
    def log_weight(self, above: Above, noise: Tensor) -> Tensor:
        """Return numbers whose exponentials are the latents' p in the mean: (B, 0 or 1)."""


class NoTop(Top):
    """Nothing: the hierarchy begins at its coarsest latent.

    Args:
        levels: number of resolutions.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels

    def fit(self, images: Tensor) -> None:
        """Measure nothing."""

    def encode(self, x: Tensor) -> Above:
        """Return no latents."""
        return ()

    def place(self, x: Tensor) -> tuple[Above, Above]:
        """Return no latents and no places."""
        return (), ()

    def sample(self, n: int, generator: torch.Generator | None) -> Above:
        """Return no latents."""
        return ()

    def told(self, above: Above) -> list[Tensor | None]:
        """Return None for each resolution."""
        return [None] * self.levels

    def values(self, above: Above) -> Above:
        """Return no values."""
        return ()

    def nats(self, above: Above, noise: Tensor, term: Tensor | None) -> Tensor:
        """Return no column, (B, 0)."""
        return noise.new_zeros(len(noise), 0)

    def log_weight(self, above: Above, noise: Tensor) -> Tensor:
        """Return no column, (B, 0)."""
        return noise.new_zeros(len(noise), 0)


class ContextTop(Top):
    """A context, its prior, and the convolutions by which the decoder sees it.

    Args:
        prior: of the context, which it owns.
        levels: of the hierarchy, coarse to fine.
        frame: the image's place in the network.
        ladder: on which the levels stand.
        everywhere: whether all levels that have latents are told, or the coarsest alone.

    Attributes:
        shapes: of the one latent, the context.
        noise_size: normals of an image's bound: the prior's draws, for each level of the context.
        terms: number of terms of which one may stand for the bound; 0 if there is one only.

    Source: Kuzina & Tomczak 2023, sections 4.2 and 4.4.

    Example:
        >>> from mrvae.distributions import MidRise
        >>> from mrvae.models import DCTContext, NormalPrior
        >>> context = DCTContext((1, 4, 4), size=2, quantiser=MidRise(bits=2), bins=2)
        >>> levels = (Level(2, 8, 2, 1, 1), Level(4, 8, 2, 1, 1))
        >>> frame = ImageFrame(1, 4, 4, mean=0.5, std=0.5, levels=2)
        >>> top = ContextTop(NormalPrior(context), levels, frame, Ladder(2, 1), everywhere=True)
        >>> x = torch.eye(4, dtype=torch.uint8).view(1, 1, 4, 4)
        >>> top.fit(x)
        >>> [tuple(h.shape) for h in top.told(top.encode(x))]
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
        self.prior_, self.frame, self.ladder = prior, frame, ladder
        self.sizes = tuple(level.size for level in levels)
        self.seeing = tuple(
            index for index, level in enumerate(levels) if not index or (everywhere and level.drawn)
        )
        self.enter = nn.ModuleList(
            convolution(frame.channels, levels[index].width, levels[index].kernel)
            for index in self.seeing
        )
        self.shapes = (self.context.shape,)
        self.noise_size = self.prior.draws * torch.Size(self.context.shape).numel()
        self.terms = self.prior.draws

    @property
    def prior(self) -> PriorOfContext:
        """The prior of the context."""
        return cast(PriorOfContext, self.prior_)

    @property
    def context(self) -> Context:
        """The context, which belongs to its prior."""
        return self.prior.lattice

    def fit(self, images: Tensor) -> None:
        """Measure the context's S, once and for all.

        Raises:
            ValueError: if it is known already, or the images are not the context's.
        """
        self.context.fit(images)

    def encode(self, x: Tensor) -> Above:
        """Return the context of images."""
        return (self.context.encode(x),)

    def place(self, x: Tensor) -> tuple[Above, Above]:
        """Return the context of images of real numbers, and its places, differentiable in x."""
        levels, places = self.context.place(x)
        return (levels,), (places,)

    def sample(self, n: int, generator: torch.Generator | None) -> Above:
        """Return n contexts drawn from the prior."""
        return (self.prior.sample(n, generator),)

    def told(self, above: Above) -> list[Tensor | None]:
        """Return C_j P x̂(c) for each level j, and None where it is not told."""
        (c,) = above
        x = self.frame.pad(self.context.decode(c), black=-1.0).to(next(self.parameters()).dtype)
        finest = self.ladder.level(self.sizes[-1])
        told: list[Tensor | None] = [None] * len(self.sizes)
        for index, enter in zip(self.seeing, self.enter, strict=True):
            steps = finest - self.ladder.level(self.sizes[index])
            told[index] = enter(self.ladder.project(x, steps))
        return told

    def values(self, above: Above) -> Above:
        """Return where on [-1, 1] the levels of the context lie."""
        return tuple(self.context.grid.value(c) for c in above)

    def nats(self, above: Above, noise: Tensor, term: Tensor | None) -> Tensor:
        """Return minus the bound on log p(c), or its estimate from one term, (B, 1).

        Args:
            above: the context.
            noise: standard normal, (B, noise_size).
            term: 1 … terms for each image, int64 (B,), or None for all. The mean of the estimate
                over all of them is the bound at the same noise.
        """
        (c,) = above
        each = self._each(noise)
        if term is None or not self.terms:
            return -self.prior.bound(c, each)[:, None]
        place = torch.arange(len(c), device=c.device)
        return -self.prior.estimate(c, term, each[place, term - 1])[:, None]

    def log_weight(self, above: Above, noise: Tensor) -> Tensor:
        """Return log p(c, y) - log q(y | c) of one trajectory for each image, (B, 1).

        The log-mean-exp of several for one c is a bound on log p(c), the tighter the more.

        Args:
            above: the context.
            noise: standard normal, (B, noise_size).
        """
        (c,) = above
        return self.prior.log_weight(c, self._each(noise))[:, None]

    def _each(self, noise: Tensor) -> Tensor:
        """Return the noise of images (B, noise_size) as the prior reads it."""
        return noise.view(len(noise), self.prior.draws, *self.context.shape)
