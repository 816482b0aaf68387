r"""Statistics of the bands of a wavelet VAE (Kiruluta 2025, section 5).

The latents are coefficients c of an image, in 3L + 1 bands: the approximation, and cH, cV, cD of
each level. Of each band, over N images and with n coefficients an image, all channels counted:

    energy     mean of Σ c² over the images, and its share of that of all bands,
    sparsity   mean of (√n - ‖c‖₁/‖c‖₂)/(√n - 1): 0 if all are equally large, 1 if one is not zero
               (Hoyer 2004, equation 1); 1 for a band of zeros, none for a single coefficient,
    off        the mean squared error on [0, 1] of the image whose band is set to zero,
    s          mean scale of the noise, and of the prior,

c being posterior means. The prior's λ is 1 over its scale, where it is a Laplace.

In the nested-quadrant layout the approximation stands top left, cV on its right, cH below it, and
cD across, level around level. The map shows magnitudes over 2^depth, in the units of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.data import Images, normal
from mrvae.distributions import Distribution, Gaussian, Laplace, Logistic
from mrvae.evaluation.memory import Progress, batches_within
from mrvae.models import HVAE, unstack
from mrvae.models.finite import check_finite
from mrvae.models.heads.image_head import ImageHead, image_of
from mrvae.models.hierarchy.walk import Step, from_posterior, given
from mrvae.models.image import unit_image
from mrvae.models.wavelet.encoder import WaveletEncoder
from mrvae.resolution import Coefficients

_SHOWN = 3


@dataclass(frozen=True)
class Band:
    """One band: its name and depth, and the means that the module's docstring defines."""

    name: str
    depth: int
    energy: float
    share: float
    sparsity: float | None
    mse_without: float
    noise: float
    prior_scale: float | None
    rate: float | None


@dataclass(frozen=True, eq=False)
class BandReport:
    """The bands of a model, coarse to fine.

    Attributes:
        bands: the approximation first.
        mse: of the reconstruction with all bands.
        average: the layout of the mean magnitudes over all images and channels, (H, W).
        examples: the same of the first few images, (K, H, W).
    """

    bands: tuple[Band, ...]
    mse: float
    average: Tensor
    examples: Tensor


def layout(coefficients: Coefficients) -> Tensor:
    """Return coefficients (…, h, w) in nested quadrants, (…, H, W), magnitudes over 2^depth.

    Source: Kiruluta 2025, figure 2.

    Example:
        >>> from mrvae.resolution import Wavelet
        >>> layout(Wavelet("haar").analysis(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), levels=1))
        tensor([[1., 1.],
                [0., 0.]])
    """
    coarse, details = coefficients
    depth = len(details)
    drawn = coarse.abs() / (1 << depth)
    for level, detail in zip(range(depth, 0, -1), details, strict=True):
        horizontal, vertical, diagonal = (detail.abs() / (1 << level)).unbind(dim=-3)
        above, below = torch.cat((drawn, vertical), -1), torch.cat((horizontal, diagonal), -1)
        drawn = torch.cat((above, below), -2)
    return drawn


@torch.no_grad()
def band_report(
    model: HVAE, images: Images, *, memory: int = 1 << 30, progress: Progress | None = None
) -> BandReport:
    """Measure every band over all images.

    Args:
        model: a wavelet VAE.
        images: of its shape and number of bins.
        memory: bytes that activations may take, about.
        progress: called with the number of images just measured.

    Raises:
        ValueError: if the model has no bands, memory is not positive, or the images are not its.

    Source: Kiruluta 2025, section 5.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "test").subset(torch.arange(4))
        >>> report = band_report(mrvae.build(mrvae.recipe("digits-wavelet")), images)
        >>> [band.name for band in report.bands[:4]], len(report.bands)
        (['approximation', 'cH', 'cV', 'cD'], 10)
    """
    if not isinstance(model.encoder, WaveletEncoder) or not isinstance(model.head, ImageHead):
        raise ValueError("this model has no wavelet bands; inspect one such as digits-wavelet")
    parts, maps = [], []
    for indices, x in batches_within(memory, model, images, progress):
        values, drawn = _measure(model, x, indices)
        parts.append(values)
        maps.append(drawn)
    numbers, drawn = torch.cat(parts), torch.cat(maps)
    check_finite(numbers[..., 0], numbers[..., 2])
    # The last column is of all bands together: only its error is used.
    means = numbers.mean(dim=0)
    total = float(means[:-1, 0].sum())
    bands = tuple(
        _band(index, model.encoder.depth, row.tolist(), total)
        for index, row in enumerate(means[:-1])
    )
    return BandReport(bands, float(means[-1, 2]), drawn.mean(dim=0), drawn[:_SHOWN])


def _band(index: int, depth: int, row: Sequence[float], total: float) -> Band:
    energy, sparsity, without, noise, scale, rate = row
    level, kind = divmod(index - 1, 3)
    return Band(
        name="approximation" if index == 0 else ("cH", "cV", "cD")[kind],
        depth=depth if index == 0 else depth - level,
        energy=energy,
        share=energy / total if total else 0.0,
        sparsity=None if sparsity != sparsity else sparsity,
        mse_without=without,
        noise=noise,
        prior_scale=None if scale != scale else scale,
        rate=None if rate != rate else rate,
    )


def _measure(model: HVAE, x: Tensor, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return six numbers of each image and band, and of all bands; and each image's layout."""
    weight = next(model.parameters())
    x = x.to(weight.device)
    noise = normal(0, 0, indices, model.noise_size, weight.device, weight.dtype)
    trace = model.trace(model.observe(x), from_posterior(0.0), noise)
    steps, unconditioned = trace.steps, model.condition(())
    u = unit_image(x, model.frame.bins, weight.dtype)

    def error(image: Tensor) -> Tensor:
        return (image - u).cpu().double().square().flatten(1).mean(dim=1)

    columns = []
    for latent, step in enumerate(steps):
        for band in range(3 if latent else 1):
            cut = [other.z for other in steps]
            cut[latent] = _without(step.z, band, latent)
            off = model.trace(unconditioned, [given(z) for z in cut], noise)
            columns.append(_numbers(step, band, latent, error(image_of(off))))
    still = error(image_of(trace))
    columns.append(torch.stack([still] * 6, dim=1))
    drawn = layout(unstack([step.z for step in steps])).cpu().double().mean(dim=1)
    return torch.stack(columns, dim=1).cpu(), drawn.cpu()


def _of(values: Tensor, band: int, latent: int) -> Tensor:
    """Return one band of a latent (B, 3C, h, w), or the approximation, as (B, n)."""
    chosen = torch.unflatten(values, 1, (-1, 3))[:, :, band] if latent else values
    return chosen.flatten(1).cpu().double()


def _without(z: Tensor, band: int, latent: int) -> Tensor:
    """Return a latent with one of its bands set to zero."""
    if not latent:
        return torch.zeros_like(z)
    left = torch.unflatten(z, 1, (-1, 3)).clone()
    left[:, :, band] = 0
    return left.flatten(1, 2)


def _numbers(step: Step, band: int, latent: int, off: Tensor) -> Tensor:
    """Return energy, sparsity, error without, noise, prior's scale and λ of a band: (B, 6)."""
    if step.posterior is None:
        raise ValueError("a band's noise needs the encoder's features")
    c = _of(step.z, band, latent)
    root = c.shape[1] ** 0.5
    ratio = c.abs().sum(dim=1) / c.square().sum(dim=1).sqrt()
    sparsity = (root - ratio.nan_to_num(1.0)) / (root - 1) if root > 1 else c[:, 0] * torch.nan
    noise = _of(step.posterior.log_scale.expand_as(step.z), band, latent).exp().mean(dim=1)
    wide = _of(_log_scale(step.prior, step.z).expand_as(step.z), band, latent)
    rate = (-wide).exp().mean(dim=1)
    rate = rate if isinstance(step.prior, Laplace) else rate * torch.nan
    energy, scale = c.square().sum(dim=1), wide.exp().mean(dim=1)
    return torch.stack([energy, sparsity, off, noise, scale, rate], dim=1)


def _log_scale(prior: Distribution, z: Tensor) -> Tensor:
    """Return the log-scale of a prior of one of the families that have one, or else NaN."""
    if isinstance(prior, Gaussian | Laplace | Logistic):
        return prior.log_scale
    return torch.full_like(z, torch.nan)
