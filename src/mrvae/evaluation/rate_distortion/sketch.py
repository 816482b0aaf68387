"""Pictures from the top latents of a hierarchy, and their rate in bits per pixel.

Kuzina & Tomczak (2023, section 5.3.2) cut a photograph into independent patches of the model's
size, keep the top m latents of each, and take the others from the prior, at temperature 0.1 or at
0, its mean. Of DCT-VAE they keep only the context (m = 1), of VDVAE two latents. The rate is

    bits per pixel = Σ_patches Σ_{l ≤ m} KL_l / (ln 2 · H W),

with H W the pixels of the picture, not of its patches, and for a context its own term in place of
KL, minus the bound on log p(c). Its meaning depends on the latents:

    an explicit prior    −log₂ p(c), the length of a file but for the fraction of a bit that an
                         entropy coder adds to the whole: it can be decoded;
    a diffusion prior    minus a bound: reached by bits-back coding only, in the limit of many
                         patches;
    latents              KL(q‖p): what relative entropy coding of one draw comes near to. Nothing
                         here writes such a file.

The picture is the mean of p(x | z), rounded to pixel values. :func:`context_picture` decodes the
context without the decoder's network: algorithm 2. Kept latents are draws of the posterior, for KL
is the price of a draw and not of a mean; the noise of a picture is a function of the seed and of
its name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from mrvae.data import Picture, generator
from mrvae.data.patches import cut_patches, join_patches
from mrvae.distributions import Bins
from mrvae.models import HVAE
from mrvae.models.context.transforms import ContextTransform
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.models.trace import Latents, divergences

_TOGETHER = 64


@dataclass(frozen=True)
class Sketch:
    """A picture decoded from its top latents.

    Attributes:
        pixels: uint8 (C, H, W).
        nats: of the kept latents, summed over patches: float64 (kept,), coarse to fine.
    """

    pixels: Tensor
    nats: Tensor

    @property
    def bpp(self) -> float:
        """Rate in bits per pixel.

        Example:
            >>> four = Sketch(torch.zeros(3, 1, 4), torch.tensor([1.0, 3.0]))
            >>> four.bpp == 1 / math.log(2.0)
            True
        """
        return float(self.nats.sum()) / (math.log(2.0) * self.pixels[0].numel())


@torch.no_grad()
def sketch(
    model: HVAE, picture: Picture, keep: int, temperature: float = 0.1, seed: int = 0
) -> Sketch:
    """Return a picture from its top ``keep`` latents, the others from the prior.

    Args:
        model: of square images.
        picture: of the model's channels and bins, of any size.
        keep: m, a context counted.
        temperature: of the other latents; 0 is the prior's mean.
        seed: of all noise.

    Raises:
        ValueError: if ``keep`` is not in 1 … stochastic_depth, or the picture is not the model's.

    Example:
        >>> import mrvae
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> grey = Picture("grey", torch.full((1, 11, 9), 8, dtype=torch.uint8))
        >>> found = sketch(model, grey, keep=2)
        >>> found.pixels.shape, found.nats.shape
        (torch.Size([1, 11, 9]), torch.Size([2]))
    """
    return sketches(model, picture, keep, (temperature,), seed)[0]


@torch.no_grad()
def sketches(
    model: HVAE, picture: Picture, keep: int, temperatures: Sequence[float], seed: int = 0
) -> list[Sketch]:
    """Return :func:`sketch` at several temperatures, from the same kept latents.

    Raises:
        ValueError: as :func:`sketch` does, or if a temperature is negative.
    """
    model.check_keep(keep)
    device = next(model.parameters()).device
    word = _word(picture.name)
    stream = generator(seed, 0, word, device=device)
    below = [generator(seed, 1, word, device=device) for _ in temperatures]
    decoded: list[list[Tensor]] = [[] for _ in temperatures]
    nats = torch.zeros(keep, dtype=torch.float64)
    for x in _patches(model, picture):
        latents, kl = _kept(model, x, keep, model.noise(len(x), stream))
        nats += kl.double().sum(0).cpu()
        for parts, temperature, noise in zip(decoded, temperatures, below, strict=True):
            parts.append(model.decode(latents, temperature, noise).cpu())
    return [Sketch(_joined(parts, picture), nats) for parts in decoded]


def _kept(model: HVAE, x: Tensor, keep: int, noise: Tensor) -> tuple[Latents, Tensor]:
    """Return the top latents of x and their terms of the bound in nats, (B, keep)."""
    observed = model.observe(x)
    context = observed.context
    nats = model.context.nats(context, noise, None)
    if keep <= len(context):
        return context, nats
    steps = model.trace(observed, from_posterior(), noise).steps[: keep - len(context)]
    latents = (*context, *(step.z for step in steps))
    return latents, torch.cat([nats, divergences(steps, nats)], dim=1)


@torch.no_grad()
def context_picture(model: HVAE, picture: Picture) -> Tensor:
    """Return the picture (C, H, W), uint8, decoded from its context without a network: algorithm 2.

    Raises:
        ValueError: if the model has no context, or the picture is not the model's.
    """
    context, bins = _transform(model), Bins(model.frame.bins)
    return _joined(
        [bins.to_bin(context.decode(context.encode(x))).cpu() for x in _patches(model, picture)],
        picture,
    )


@torch.no_grad()
def context_clipped(model: HVAE, picture: Picture) -> int:
    """Return how many of a picture's coefficients are beyond S, in all patches.

    Raises:
        ValueError: if the model has no context, or the picture is not the model's.
    """
    context = _transform(model)
    return sum(int(context.clipped(x).sum()) for x in _patches(model, picture))


def _transform(model: HVAE) -> ContextTransform:
    if model.context.prior is None:
        raise ValueError("this model has no context; give one whose recipe has model.context")
    return model.context.prior.lattice


def _patches(model: HVAE, picture: Picture) -> Iterator[Tensor]:
    """Yield a picture's patches, a few at a time, on the model's device."""
    patches = cut_patches(picture.pixels, model.frame.size)
    model.frame.check(patches)
    device = next(model.parameters()).device
    yield from torch.split(patches.to(device), _TOGETHER)


def _joined(parts: list[Tensor], picture: Picture) -> Tensor:
    height, width = picture.pixels.shape[1:]
    return join_patches(torch.cat(parts), height, width)


def _word(name: str) -> int:
    """Return a number for a picture's name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=7).digest(), "little")
