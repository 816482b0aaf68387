"""The VAE whose latents are the wavelet coefficients of the image (Kiruluta 2025).

An L-level transform W turns an image u on [0, 1] into its approximation c_L and 3L bands of details
(equation 8). The encoder outputs such coefficients, noise of scale s is added to them (equation
12), and the inverse transform makes an image of them,

    c̃ = c(x) + s ε,        x̂ = W⁻¹ c̃,

as published, or followed by a small U-Net. It is a hierarchy like every other: its latents are the
approximation and the details of each level, from coarse to fine, its state is an approximation, and
the walk is synthesis (:mod:`mrvae.models.wavelet.bands`).

The encoder is W itself, or a residual network over the levels of W, whose first step is invertible
and halves the sides. With ``residual`` the network computes a correction of W u,

    c(x) = W u + f(x),        f = 0 at the start,

so that training begins at x̂ = u up to the noise. From there the paper's loss measures the noise
only, which for an orthonormal W adds s² to the mean squared error. A bound also counts the nats of
the coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.models.hvae import HVAE
from mrvae.models.image import unit_image
from mrvae.models.wavelet.bands import gain
from mrvae.models.wavelet.noise import NoiseScales
from mrvae.resolution import Coefficients, Wavelet
from mrvae.sizes import halved, simplest, size_text


class WaveletEncoder(nn.Module):
    """From an image on [-1, 1] to the mean and log-scale of every latent.

    Args:
        wavelet: W.
        depth: L.
        noise: s.
        network: f's features, coarse to fine, from the first step of W; none for W itself.
        heads: from the features to the coefficients, and perhaps their scales; one a level.
        residual: whether W u is added to the output of the heads.

    Source: Kiruluta 2025, equations 8, 12 and 13.
    """

    def __init__(
        self,
        wavelet: Wavelet,
        depth: int,
        noise: NoiseScales,
        network: nn.Module | None = None,
        heads: Sequence[nn.Module] = (),
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.wavelet = wavelet
        self.depth = depth
        self.noise = noise
        self.network = network
        self.heads = nn.ModuleList(heads)
        self.residual = residual

    def forward(self, v: Tensor) -> tuple[Tensor, ...]:
        """Return [mean, log s] of each latent, coarse to fine: (B, 2c, h, w) for c channels."""
        bands = stack(self.wavelet.analysis((v + 1) / 2, self.depth))
        if self.network is None:
            posteriors = [(band, torch.zeros_like(band)) for band in bands]
        else:
            posteriors = self._corrected(self.network, v, bands)
        pieces = [
            (mean, (spread + self.noise(index)).expand_as(mean))
            for index, (mean, spread) in enumerate(posteriors)
        ]
        return tuple(torch.cat(piece, dim=1) for piece in pieces)

    def _corrected(
        self, network: nn.Module, v: Tensor, bands: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return mean and log-scale, less the noise's own, of each latent."""
        coarse, fine = self.wavelet.step.analysis(v)
        features = network(
            torch.cat((coarse / gain(1, self.wavelet.dims), fine.flatten(1, 2)), dim=1)
        )
        raw = [head(feature) for head, feature in zip(self.heads, features, strict=True)]
        # The coarsest feature serves two latents, the approximation and the details of its depth.
        split = [bands[0].shape[1], bands[1].shape[1]]
        count = raw[0].shape[1] // sum(split)
        first = torch.split(raw[0], [count * channels for channels in split], dim=1)
        result = []
        for output, band in zip((*first, *raw[1:]), bands, strict=True):
            mean, spread = (
                output.split(band.shape[1], dim=1) if count == 2 else (output, 0 * output)
            )
            result.append((mean + band if self.residual else mean, spread))
        return result


def stack(coefficients: Coefficients) -> list[Tensor]:
    """Return coefficients of (B, C, H, W) as latents: (B, C, h, w), then (B, 3C, h, w) each.

    Example:
        >>> bands = stack(Wavelet("haar").analysis(torch.ones(1, 2, 4, 4), levels=2))
        >>> [tuple(band.shape) for band in bands]
        [(1, 2, 1, 1), (1, 6, 1, 1), (1, 6, 2, 2)]
    """
    coarse, details = coefficients
    return [coarse, *(detail.flatten(1, 2) for detail in details)]


def unstack(latents: Sequence[Tensor]) -> Coefficients:
    """Return latents as the coefficients that they are; the inverse of :func:`stack`."""
    coarse, *details = latents
    bands = details[0].shape[1] // coarse.shape[1] if details else 1
    parts = tuple(torch.unflatten(detail, 1, (-1, bands)) for detail in details)
    return Coefficients(coarse, parts)


def super_resolve(
    model: HVAE,
    coarse: Tensor,
    temperature: float | Sequence[float] = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return images at the model's size whose approximation is a coarse image.

    The coarse image fixes the top latents; the details below come from the prior. With k steps
    between the two sizes, its pixels times 2^k, of a signal 2^(k/2), are scaling coefficients: for
    Haar, the average over each block of the result is then the coarse pixel, up to rounding, noise
    of the pixels and what a refinement adds.

    Args:
        model: a wavelet VAE, as :func:`mrvae.build` makes it of such a recipe.
        coarse: uint8 images (B, C, h, w) of the model's size, or its half, …, its coarsest.
        temperature: of the details that are drawn.
        generator: of their noise.

    Returns:
        uint8 (B, C, H, W).

    Raises:
        ValueError: if the model is no wavelet VAE, or the size none of its approximations.

    Source: ours.
    """
    encoder, frame = model.encoder, model.frame
    if not isinstance(encoder, WaveletEncoder):
        raise ValueError(f"{type(encoder).__name__} encodes no wavelets; give a wavelet VAE")
    sizes = [halved(frame.size, k) for k in range(encoder.depth + 1)]
    found = tuple(coarse.shape[-2:])
    if found not in sizes:
        names = ", ".join(size_text(simplest(size)) for size in sizes)
        raise ValueError(f"coarse has {found[0]}×{found[1]} pixels; expected one of {names}")
    steps = sizes.index(found)
    weight = next(model.parameters())
    u = unit_image(coarse.to(weight.device), frame.bins, weight.dtype)
    top = encoder.wavelet.analysis(u * gain(steps, encoder.wavelet.dims), encoder.depth - steps)
    return model.decode(stack(top), temperature, generator)
