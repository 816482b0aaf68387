r"""Enlarging by a context: x ~ p(x | c), with c computed from the small picture.

A context c = quantise(A x/S) is a function of a few averages, low frequencies or coarse
coefficients of the image, and a picture of as many pixels determines these. With y on [-1, 1], of
the size of c,

    pooled    A x = y                          its pixels are the averages,
    wavelet   A x = 2^L y                      coarse coefficients are 2^L times the averages,
    DCT       A x = √(HW)/s · DCT_s((y + 1)/2) low frequencies of the large image on [0, 1].

So c is known, and the model draws the rest from the distribution that it was trained to be: there
is no iteration and nothing to tune. How near the enlarged picture's own averages are to y depends
on the model, since its pixels are drawn after c and need not have the context c.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrvae.data import Purpose, generator
from mrvae.models import HVAE, ContextTransform, DCTContext, PooledContext, WaveletContext
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.restoration.restored import PixelMoments, Restored


@torch.inference_mode()
def enlarge(model: HVAE, y: Tensor, n: int, temperature: float = 1.0, seed: int = 0) -> Restored:
    """Return n draws x ~ p(x | c) for each small picture, with their mean and spread.

    Args:
        model: one whose context is pooled, of wavelet coefficients or of the DCT.
        y: small pictures on [0, 1], (B, C, s, s), s being the side of the context.
        n: draws of each.
        temperature: of the latents below the context.
        seed: of all random numbers.

    Raises:
        ValueError: if the model has no such context, y another shape, or n is not positive.
    """
    if n < 1:
        raise ValueError(f"n is {n}; draw at least one image")
    scale, device = model.frame.bins - 1, next(model.parameters()).device
    random = generator(seed, Purpose.RESTORATION, device=device)
    codes = context_of(model, y.to(device))
    moments, draws = PixelMoments(1), []
    for _ in range(n):
        pixels = model.likelihood((codes,), temperature, random)
        draws.append(pixels.sample(random) / scale)
        moments.add(pixels.mean() / scale, draws[-1])
    stacked = torch.stack(draws)
    return Restored(stacked, moments.mean.to(stacked), moments.deviation.to(stacked))


def context_of(model: HVAE, y: Tensor) -> Tensor:
    """Return the codes, int64 (B, c, h, w), of the images of which y are the small pictures.

    Raises:
        ValueError: as :func:`enlarge` does.
    """
    transform = context_transform(model)
    if tuple(y.shape[1:]) != tuple(transform.shape):
        raise ValueError(
            f"small pictures have shape {tuple(y.shape)}; the context of this model is computed "
            f"from (B, {', '.join(map(str, transform.shape))})"
        )
    image = transform.synthesise(_coefficients(transform, 2 * y.double() - 1))
    bins = model.frame.bins
    codes, _ = transform.place((image + 1) / 2 * (bins - 1))
    return codes


def context_transform(model: HVAE) -> DCTContext | PooledContext | WaveletContext:
    """Return the transform of a context that a small picture determines.

    Raises:
        ValueError: if the model has none.
    """
    conditioner = model.context
    if isinstance(conditioner, ContextConditioner):
        transform: ContextTransform = conditioner.transform
        if isinstance(transform, DCTContext | PooledContext | WaveletContext):
            return transform
    raise ValueError("this model has no context that a small picture determines")


def _coefficients(transform: DCTContext | PooledContext | WaveletContext, v: Tensor) -> Tensor:
    """Return A x of the images of which v, on [-1, 1], are the small pictures."""
    match transform:
        case PooledContext():
            return v
        case WaveletContext():
            return v * float(2**transform.steps)
        case DCTContext():
            _, height, width = transform.image
            # The transform reads s × s pixels as well, as an image that has no higher frequencies.
            coefficients: Tensor = transform.analyse(v)
            return coefficients * (math.sqrt(height * width) / transform.shape[-1])
