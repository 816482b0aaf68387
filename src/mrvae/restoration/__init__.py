r"""Restoration: what a damaged image was, with a trained model as the prior of images.

    inpaint   some pixels are missing                 exact in the limit: Metropolis within Gibbs
    denoise   y = x + σ ε                             the same
    upscale   y = P x + σ ε, P the ladder's averages  plug and play, or x ~ p(x | c) by a context
    deblur    y = k * x + σ ε                         plug and play

Each returns n draws, their mean, which is the estimate of least squared error, and the standard
deviation of every pixel, on [0, 1]. Noise and deviations are in these units.

    chain, conditionals             the Markov chain on images and latents, and its pixel step
    plug_and_play, degradations     the decoder's mean against a proximal step in closed form
    enlarge                         draws given a context
    baselines                       bicubic, biharmonic, total variation, Wiener
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrvae.models import HVAE
from mrvae.restoration.baselines import bicubic, biharmonic, total_variation, wiener
from mrvae.restoration.chain import MarkovChain, sample_posterior
from mrvae.restoration.conditionals import KnownPixels, NoisyPixels
from mrvae.restoration.degradations import (
    Averages,
    Blur,
    Degradation,
    Mask,
    Noise,
    gaussian_kernel,
)
from mrvae.restoration.enlarge import context_of, context_transform, enlarge
from mrvae.restoration.plug_and_play import PlugAndPlay, restore
from mrvae.restoration.restored import Progress, Restored, image_shape, joined

__all__ = [
    "Averages",
    "Blur",
    "Degradation",
    "KnownPixels",
    "MarkovChain",
    "Mask",
    "Noise",
    "NoisyPixels",
    "PlugAndPlay",
    "Progress",
    "Restored",
    "bicubic",
    "biharmonic",
    "context_of",
    "context_transform",
    "deblur",
    "denoise",
    "enlarge",
    "gaussian_kernel",
    "image_shape",
    "inpaint",
    "joined",
    "restore",
    "sample_posterior",
    "total_variation",
    "upscale",
    "wiener",
]

_CHAIN = MarkovChain()
_PLUG_AND_PLAY = PlugAndPlay()


@torch.inference_mode()
def inpaint(
    model: HVAE,
    x: Tensor,
    known: Tensor,
    n: int = 4,
    chain: MarkovChain = _CHAIN,
    seed: int = 0,
    progress: Progress | None = None,
) -> Restored:
    """Draw the missing pixels of images from p(x_missing | x_known), exactly in the limit.

    Args:
        model: without a context.
        x: uint8 images (B, C, H, W); what is not known has no influence.
        known: bool (H, W), or (B, 1, H, W), true where a pixel is known.
        n: independent chains, and draws, of each image.
        chain: their length.
        seed: of all random numbers.
        progress: called after every step.

    Raises:
        ValueError: if images or mask have another shape, or the model has a context.

    Source: Mattei & Frellsen 2018, *Leveraging the exact likelihood of deep latent variable
    models*, algorithm 2; the moves of the finer latents only are ours.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> model, digits = mrvae.load("digits-vdvae"), load("digits", "test").first(1).tensor()
        >>> known = torch.arange(8)[:, None].expand(8, 8) < 4
        >>> result = inpaint(model, digits, known, n=2, chain=MarkovChain(4, 2, 1))
        >>> bool((result.draws[:, 0, 0, :4] * 16 == digits[0, 0, :4]).all())
        True
    """
    model.frame.check(x)
    if known.dtype != torch.bool or known.shape[-2:] != x.shape[-2:]:
        raise ValueError(
            f"the mask is {known.dtype} of shape {tuple(known.shape)}; expected torch.bool of "
            f"{tuple(x.shape[-2:])}"
        )
    if known.dim() not in (2, 4) or (known.dim() == 4 and known.shape[:2] != (len(x), 1)):
        raise ValueError(
            f"the mask has shape {tuple(known.shape)}; expected {tuple(x.shape[-2:])}, or one for "
            f"each image, {(len(x), 1, *x.shape[-2:])}"
        )
    pixels = KnownPixels(x, known.to(x.device), model.frame.bins)
    return sample_posterior(model, pixels, n, chain, seed, progress)


@torch.inference_mode()
def denoise(
    model: HVAE,
    y: Tensor,
    sigma: float,
    n: int = 4,
    chain: MarkovChain = _CHAIN,
    seed: int = 0,
    progress: Progress | None = None,
) -> Restored:
    """Draw images from p(x | y), y = x + σ ε, exactly in the limit.

    Args:
        model: without a context.
        y: noisy images (B, C, H, W) on the scale of [0, 1], which noise may leave.
        sigma: standard deviation of the noise.
        n: independent chains, and draws, of each image.
        chain: their length.
        seed: of all random numbers.
        progress: called after every step.

    Raises:
        ValueError: if y has another shape, sigma is not positive, or the model has a context.

    Source: ours, after Mattei & Frellsen 2018, algorithm 2.
    """
    _check_observation(y, image_shape(model.frame))
    _check_sigma(sigma, least="above 0")
    scale = model.frame.bins - 1
    pixels = NoisyPixels(y.float() * scale, sigma * scale, model.frame.bins)
    return sample_posterior(model, pixels, n, chain, seed, progress)


@torch.inference_mode()
def upscale(
    model: HVAE,
    y: Tensor,
    factor: int,
    sigma: float = 0.0,
    wavelet: str = "haar",
    n: int = 4,
    method: PlugAndPlay = _PLUG_AND_PLAY,
    seed: int = 0,
    progress: Progress | None = None,
) -> Restored:
    """Enlarge pictures whose pixels are averages over blocks, by plug and play.

    Without noise the averages of every draw are y, up to rounding: the last step changes the coarse
    coefficients to y's and nothing else.

    Args:
        model: the prior.
        y: small pictures (B, C, H/factor, W/factor) on the scale of [0, 1].
        factor: a power of two that divides the model's sides.
        sigma: standard deviation of noise in y.
        wavelet: an orthogonal one; the small picture is its projection. For Haar, averages.
        n: draws of each picture.
        method: number of steps, temperature, spread.
        seed: of all random numbers.
        progress: called after every step.

    Raises:
        ValueError: if the factor or the shape of y does not fit the model, or sigma is negative.

    Source: Prost et al. 2023, algorithm 1; Falck et al. 2022, theorem 2.
    """
    steps = ladder_steps(model, factor)
    channels, height, width = image_shape(model.frame)
    _check_observation(y, (channels, height // factor, width // factor))
    _check_sigma(sigma, least="at least 0")
    return restore(model, Averages(steps, wavelet), y, sigma, n, method, seed, progress)


@torch.inference_mode()
def deblur(
    model: HVAE,
    y: Tensor,
    kernel: Tensor,
    sigma: float = 0.01,
    n: int = 4,
    method: PlugAndPlay = _PLUG_AND_PLAY,
    seed: int = 0,
    progress: Progress | None = None,
) -> Restored:
    """Restore images that were blurred by a known kernel, circularly, by plug and play.

    Args:
        model: the prior.
        y: blurred images (B, C, H, W) on the scale of [0, 1].
        kernel: (h, w); it is divided by its sum.
        sigma: standard deviation of noise in y.
        n: draws of each image.
        method: number of steps, temperature, spread.
        seed: of all random numbers.
        progress: called after every step.

    Raises:
        ValueError: if y or the kernel does not fit the model, or sigma is not positive.

    Source: Prost et al. 2023, algorithm 1.
    """
    _check_observation(y, image_shape(model.frame))
    _check_sigma(sigma, least="above 0")
    return restore(model, Blur(kernel.to(y.device)), y, sigma, n, method, seed, progress)


def ladder_steps(model: HVAE, factor: int) -> int:
    """Return how many halvings a factor is.

    Raises:
        ValueError: if it is no power of two above 1, or does not divide the model's sides.

    Example:
        >>> import mrvae
        >>> ladder_steps(mrvae.build(mrvae.recipe("digits-vdvae")), 4)
        2
    """
    _, height, width = image_shape(model.frame)
    steps = factor.bit_length() - 1
    if factor < 2 or factor != 1 << steps:
        raise ValueError(f"factor is {factor}; the ladder halves, so give 2, 4, 8, …")
    if height % factor or width % factor:
        raise ValueError(f"factor is {factor}; it must divide the model's {height}×{width} pixels")
    return steps


def _check_observation(y: Tensor, shape: tuple[int, int, int]) -> None:
    if not y.is_floating_point() or y.dim() != 4 or tuple(y.shape[1:]) != shape:
        raise ValueError(
            f"observations are {y.dtype} of shape {tuple(y.shape)}; expected real numbers of shape "
            f"(B, {', '.join(map(str, shape))})"
        )
    if not bool(y.isfinite().all()):
        raise ValueError("observations have values that are not finite; repair or remove them")


def _check_sigma(sigma: float, least: str) -> None:
    lowest = sigma > 0 if least == "above 0" else sigma >= 0
    if not (lowest and math.isfinite(sigma)):
        raise ValueError(f"sigma is {sigma}; it must be a number {least}, pixels being on [0, 1]")
