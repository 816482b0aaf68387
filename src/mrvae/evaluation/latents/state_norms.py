r"""The norm of the residual state after every block, bottom-up and top-down.

Falck et al. (2022, section 3.2, figure 6) measure ‖Z_i‖₂ of the state after block i, flattened, for
each image by itself, and report its mean over images ± 2 standard deviations. Where the resolution
changes the norm jumps, because the state changes its dimension: the embedding E repeats every value
n² times and so multiplies the norm by n, and the projection P divides it by n or more. The norm is
compared within a resolution, where it rises if the model uses it as a clock.

Top-down, the latents are drawn from the posterior, as in training, with the noise of
:func:`mrvae.evaluation.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Images, normal
from mrvae.evaluation.memory import Progress, batches_within
from mrvae.models import HVAE, Encoder
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.sizes import ImageSize, simplest


@dataclass(frozen=True)
class PassNorms:
    """Norms of one pass, one entry for each application of a block, in their order.

    Attributes:
        sizes: of the block's resolution in pixels: a side, or (height, width) of a rectangle.
        means: mean of ‖Z_i‖₂ over images.
        deviations: its standard deviation over images, with N - 1 (0 for one image).
    """

    sizes: tuple[ImageSize, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]


@torch.no_grad()
def state_norms(
    model: HVAE,
    images: Images,
    *,
    seed: int = 0,
    memory: int = 1 << 30,
    progress: Progress | None = None,
) -> tuple[PassNorms, PassNorms]:
    """Return the norms of the bottom-up and of the top-down pass, over all given images.

    Bottom-up, the state of a block that pools is taken before it is pooled. ``progress`` is called
    with the number of images just measured.

    Raises:
        ValueError: if memory is not positive, the images are not the model's, or a norm is not
            finite.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(3))
        >>> up, down = state_norms(mrvae.build(mrvae.recipe("digits-vdvae")), images)
        >>> up.sizes, down.sizes
        ((8, 8, 4, 4, 1), (1, 4, 4, 4, 8, 8, 8))
    """
    measure = _NormMeasurement(model, _encoder(model), seed)
    batches = batches_within(memory, model, images, progress)
    chunks = [measure.chunk(x, indices) for indices, x in batches]
    sizes = [size for size, _ in measure.up(images.take(torch.zeros(1, dtype=torch.long)))]
    up, down = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    check_finite(up, down)
    return _summary(sizes, up), _summary(
        [simplest(shape[1:]) for shape in model.latent_shapes], down
    )


def _encoder(model: HVAE) -> Encoder:
    """Return the model's encoder, or refuse one that has no residual states."""
    if not isinstance(model.encoder, Encoder):
        raise ValueError(f"{type(model.encoder).__name__} has no residual states to measure")
    return model.encoder


@dataclass(frozen=True)
class _NormMeasurement:
    """Norms of a few images at a time."""

    model: HVAE
    encoder: Encoder
    seed: int

    def chunk(self, x: Tensor, indices: range) -> tuple[Tensor, Tensor]:
        """Return the norms (B, blocks) of both passes."""
        self.model.frame.check(x)
        up = torch.stack([norms for _, norms in self.up(x)], dim=1)
        weight = next(self.model.parameters())
        noise = normal(self.seed, 0, indices, self.model.noise_size, weight.device, weight.dtype)
        observed = self.model.observe(x.to(weight.device))
        steps = self.model.trace(observed, from_posterior(), noise).steps
        return up, torch.stack([_norm(step.state) for step in steps], dim=1)

    def up(self, x: Tensor) -> list[tuple[ImageSize, Tensor]]:
        """Return the side and the norms (B,) of every block of the bottom-up pass."""
        return [(size, _norm(state)) for size, state in self.encoder.states(self._prepared(x))]

    def _prepared(self, x: Tensor) -> Tensor:
        weight = next(self.model.parameters())
        return self.model.frame.prepare(x.to(weight.device), weight.dtype)


def _norm(state: Tensor) -> Tensor:
    """Return ‖Z‖₂ of every image (B,), in double precision on the CPU."""
    norms: Tensor = torch.linalg.vector_norm(state.flatten(start_dim=1).cpu().double(), dim=1)
    return norms


def _summary(sizes: Sequence[ImageSize], norms: Tensor) -> PassNorms:
    spread = norms.std(dim=0) if len(norms) > 1 else torch.zeros_like(norms[0])
    return PassNorms(tuple(sizes), tuple(norms.mean(dim=0).tolist()), tuple(spread.tolist()))
