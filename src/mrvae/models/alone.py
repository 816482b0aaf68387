"""A model that has no latent but its context: p(x) = Σ_c p(c) p(x | c).

A context is a function c = f(x) of the image, so nothing is left to be inferred, and the bound is

    log p(x) ≥ log p(c) + log p(x | c),        x | c around x̂(c), the image that c stands for.

Its hierarchy is one resolution without cells, whose state is x̂(c) on [0, 1]. All that is learnt is
the prior of the context, and one scale for each channel of the pixels. Of a file's two layers the
first is a picture, the mean of p(x | c): algorithm 2 of Kuzina & Tomczak (2023), but for the tails
of the pixels' law, which are folded in at black and white.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mrvae.models.around import AroundImage
from mrvae.models.decoder import Decoder
from mrvae.models.hvae import HVAE
from mrvae.models.image import ImageFrame
from mrvae.models.level import Level
from mrvae.models.top import Above, ContextTop
from mrvae.models.tops import make_prior
from mrvae.models.walk import Cell, Shape
from mrvae.models.wavelet_vae import image_frame
from mrvae.recipes import alone as spec
from mrvae.resolution import Ladder


class Silent(nn.Module):
    """An encoder of no latents: it has nothing to say."""

    def forward(self, v: Tensor) -> tuple[Tensor, ...]:
        """Return no feature."""
        return ()


class EmptyRung(nn.Module):
    """A resolution at which nothing is drawn.

    Args:
        channels: of the state.
        size: pixels a side.
    """

    zero: Tensor

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.level = Level(size, channels, latent=1, blocks=0, cells=0)
        # With the weights, so that a model that is built without values is given this one too.
        self.register_buffer("zero", torch.zeros(channels, 1, 1))

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """No shape."""
        return ()

    @property
    def visits(self) -> tuple[Cell, ...]:
        """No cell."""
        return ()

    def enter(self, h: Tensor | None, batch: int) -> Tensor:
        """Return the state, which begins as zeros (B, C, S, S)."""
        size = self.level.size
        return self.zero.expand(batch, -1, size, size) if h is None else h


class ImageTop(ContextTop):
    """A context that tells the one resolution the image that it stands for.

    Args:
        prior: of the context, which it owns.
        frame: the image's.
    """

    def __init__(self, prior: nn.Module, frame: ImageFrame) -> None:
        super().__init__(prior, (), frame, Ladder(frame.size, 0), everywhere=False)

    def told(self, above: Above) -> list[Tensor | None]:
        """Return x̂(c) on [0, 1], (B, C, S, S)."""
        (c,) = above
        return [(self.context.decode(c).to(next(self.parameters()).dtype) + 1) / 2]


def make_alone(recipe: spec.ContextAlone) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    Raises:
        ValueError: if the context does not fit the images, or the prior the context.

    Source: ours, from algorithms 1 and 2 of Kuzina & Tomczak 2023.

    Example:
        >>> from mrvae.recipes.context import DCT, Autoregressive, MidTread
        >>> context = DCT(2, MidTread(1.0), Autoregressive(hidden=8, components=2))
        >>> model = make_alone(spec.ContextAlone(1, 4, context))
        >>> x = torch.randint(0, 256, (5, 1, 4, 4), generator=torch.manual_seed(0)).byte()
        >>> model.top.fit(x)
        >>> model.shapes, model.elbo(x).kl.shape
        (((1, 2, 2),), torch.Size([5, 1]))
    """
    frame = image_frame(recipe.channels, recipe.size, recipe.likelihood)
    top = ImageTop(make_prior(recipe.context, frame), frame)
    decoder = Decoder([EmptyRung(recipe.channels, recipe.size)])
    return HVAE(Silent(), decoder, AroundImage(frame, recipe.likelihood), frame, top)
