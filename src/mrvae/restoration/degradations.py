r"""Linear degradations y = A x + σ ε, and the proximal step of each in closed form.

The plug-and-play iteration asks for the image nearest to v that also explains y,

    prox(v) = argmin_x ‖A x - y‖² + w ‖x - v‖² = v + Aᵀ (A Aᵀ + w)⁻¹ (y - A v),   w = σ²/γ²,

γ² being the variance of the decoder's pixels. At w = 0 it is the projection of v onto the images
with A x = y. For each degradation here A Aᵀ is diagonal in a basis that is known:

    noise       A = 1                          pixels: (y + w v)/(1 + w)
    mask        A drops pixels                 the same where y is known, v elsewhere
    averages    A = P of an orthogonal wavelet its coarse coefficients: P Pᵀ = 4^{-L}, 4^{-L} E = Pᵀ
    blur        A = circular convolution       Fourier: (K̄ Y + w V)/(|K|² + w)

P is the ladder's projection, L steps down (:class:`mrvae.resolution.WaveletPooling`): for Haar the
average over blocks of 2^L × 2^L pixels. By theorem 2 of Falck et al. 2022 P is, up to a factor, a
crop in the wavelet basis, so that

    prox(v) = v + E (y - P v) / (1 + 4^L w)

changes the coarse coefficients of v and leaves its details as they are.

Source: Prost et al. 2023, *Inverse problem regularization with hierarchical variational
autoencoders*; the step for averages is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mrvae.resolution import Wavelet, WaveletPooling

Weight = float | Tensor


class Degradation(Protocol):
    """A linear map A of images (B, C, H, W), with its proximal step."""

    def apply(self, x: Tensor) -> Tensor:
        """Return A x."""
        ...

    def first(self, y: Tensor) -> Tensor:
        """Return an image (B, C, H, W) with which the iteration begins."""
        ...

    def prox(self, v: Tensor, y: Tensor, weight: Weight) -> Tensor:
        """Return argmin_x ‖A x - y‖² + w ‖x - v‖²; the weight is at least 0, or (B, 1, 1, 1)."""
        ...


@dataclass(frozen=True)
class Noise:
    """Nothing but noise: A = 1.

    Example:
        >>> Noise().prox(torch.zeros(1), torch.ones(1), weight=1.0)
        tensor([0.5000])
    """

    def apply(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def first(self, y: Tensor) -> Tensor:
        """Return y."""
        return y

    def prox(self, v: Tensor, y: Tensor, weight: Weight) -> Tensor:
        """Return the weighted mean of y and v."""
        return (y + weight * v) / (1 + weight)


@dataclass(frozen=True, eq=False)
class Mask:
    """Pixels of which only some are known.

    Args:
        known: bool, of a shape that broadcasts to images, such as (H, W).

    Example:
        >>> mask = Mask(torch.tensor([[True, False]]))
        >>> mask.prox(torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2), weight=0.0)
        tensor([[[[1., 0.]]]])
    """

    known: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Return x with zeros where it is not known."""
        return torch.where(self.known, x, 0)

    def first(self, y: Tensor) -> Tensor:
        """Return y with the mean of its known pixels elsewhere."""
        count = self.known.expand_as(y).sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        mean = self.apply(y).sum(dim=(1, 2, 3), keepdim=True) / count
        return torch.where(self.known, y, mean)

    def prox(self, v: Tensor, y: Tensor, weight: Weight) -> Tensor:
        """Return v, and the weighted mean of y and v where y is known."""
        return torch.where(self.known, (y + weight * v) / (1 + weight), v)


@dataclass(frozen=True)
class Averages:
    """The projection onto a coarser level of an orthogonal wavelet's ladder.

    Args:
        steps: L, levels down; each halves the sides.
        wavelet: whose ladder it is; for Haar the averages over blocks.

    Raises:
        ValueError: if the wavelet is unknown or not orthogonal.

    Example:
        >>> averages = Averages(steps=1)
        >>> x = averages.prox(torch.tensor([[[[1.0, 2], [3, 6]]]]), torch.zeros(1, 1, 1, 1), 0.0)
        >>> x
        tensor([[[[-2., -1.],
                  [ 0.,  3.]]]])
    """

    steps: int
    wavelet: str = "haar"

    def __post_init__(self) -> None:
        _ = self.pooling

    @property
    def pooling(self) -> WaveletPooling:
        """P and E."""
        return WaveletPooling(Wavelet(self.wavelet))

    def apply(self, x: Tensor) -> Tensor:
        """Return P x, (B, C, H/2^L, W/2^L)."""
        return self.pooling.project(x, self.steps)

    def first(self, y: Tensor) -> Tensor:
        """Return E y, the image without details."""
        return self.pooling.embed(y, self.steps)

    def prox(self, v: Tensor, y: Tensor, weight: Weight) -> Tensor:
        """Return v with the coarse coefficients moved towards those of y."""
        pooling = self.pooling
        residual = y - pooling.project(v, self.steps)
        return v + pooling.embed(residual / (1 + 4**self.steps * weight), self.steps)


@dataclass(frozen=True, eq=False)
class Blur:
    """Circular convolution with a kernel whose middle is the pixel itself.

    Args:
        kernel: (h, w), real numbers of a positive sum; it is divided by its sum.

    Raises:
        ValueError: if the kernel is no finite matrix of a positive sum.

    Example:
        >>> blur = Blur(torch.ones(1, 3))
        >>> blur.apply(torch.tensor([[[[0.0, 3.0, 0.0, 0.0]]]]))
        tensor([[[[1., 1., 1., 0.]]]])
    """

    kernel: Tensor

    def __post_init__(self) -> None:
        kernel = self.kernel
        if kernel.dim() != 2 or not kernel.numel() or not bool(kernel.isfinite().all()):
            raise ValueError(
                f"the kernel has shape {tuple(kernel.shape)}; expected a matrix of finite numbers"
            )
        if float(kernel.sum()) <= 0:
            raise ValueError(f"the kernel's sum is {float(kernel.sum())}; it must be positive")

    def apply(self, x: Tensor) -> Tensor:
        """Return the blurred images."""
        return _image(torch.fft.rfft2(x) * self._transfer(x), x)

    def first(self, y: Tensor) -> Tensor:
        """Return y."""
        return y

    def prox(self, v: Tensor, y: Tensor, weight: Weight) -> Tensor:
        """Return the division in the Fourier domain."""
        k = self._transfer(v)
        numerator = k.conj() * torch.fft.rfft2(y) + weight * torch.fft.rfft2(v)
        return _image(numerator / (k.abs().square() + weight), v)

    def _transfer(self, like: Tensor) -> Tensor:
        """Return the kernel's Fourier transform on the grid of an image."""
        height, width = like.shape[-2:]
        rows, columns = self.kernel.shape
        if rows > height or columns > width:
            raise ValueError(
                f"the kernel has {rows}×{columns} pixels and the image {height}×{width}; give a"
                " smaller kernel"
            )
        whole = like.new_zeros(height, width)
        whole[:rows, :columns] = (self.kernel / self.kernel.sum()).to(whole)
        transfer: Tensor = torch.fft.rfft2(whole.roll((-(rows // 2), -(columns // 2)), (0, 1)))
        return transfer


def gaussian_kernel(sigma: float) -> Tensor:
    """Return a Gaussian of a standard deviation in pixels, cut at 3 σ, of sum 1.

    Raises:
        ValueError: if sigma is not a positive number.

    Example:
        >>> gaussian_kernel(0.5).shape
        torch.Size([5, 5])
    """
    if not 0 < sigma < float("inf"):
        raise ValueError(f"sigma is {sigma}; a kernel's standard deviation is positive, in pixels")
    reach = -int(-3 * sigma // 1)
    taps = torch.arange(-reach, reach + 1, dtype=torch.float64).div(sigma).square().mul(-0.5).exp()
    kernel = taps[:, None] * taps
    return kernel / kernel.sum()


def _image(spectrum: Tensor, like: Tensor) -> Tensor:
    image: Tensor = torch.fft.irfft2(spectrum, s=like.shape[-2:])
    return image
