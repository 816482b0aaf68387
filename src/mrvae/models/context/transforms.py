"""The context: a fixed, discrete function of the image, as the top latent of a hierarchy.

Kuzina & Tomczak (2023) put c = f(x) above the learnt latents. Its posterior is certain, so it
cannot collapse, and it costs -log p(c) nats, once for each image. f is a linear map A, of few rows,
and a quantiser (their algorithms 1 and 3); the decoder sees the decoded image
(algorithms 2 and 4):

    c = quantise(A x / S),         x̂ = A⁺ (S c),         S = max |A x| over the training set,

the maximum taken for each coefficient and channel. Three maps A:

    DCT        the lowest m × m' frequencies of x on [0, 1], as published;
    pooled     averages of blocks of x on [-1, 1], which nearest neighbours undo;
    wavelet    the coarse part of x on [-1, 1] after some steps of a wavelet: for Haar, the averages
               times 2^steps (theorem 2 of Falck et al. 2022), hence the same codes.

One image has one context, whatever batch it is in and whatever device computes it. For that the
coefficients are rounded to multiples of 2⁻⁴⁰ before anything is decided by them: a coefficient that
is zero by symmetry, and comes out as 10⁻¹⁷ of either sign, is zero. S is kept in that unit, as
integers, which no change of the model's precision touches. Beyond S a coefficient is clipped, and
``clipped`` counts how many were. Devices need float64, if only for this.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn

from mrvae.distributions import Bins, Grid, Quantiser
from mrvae.models.hierarchy.walk import Shape
from mrvae.resolution import DCT, Coefficients, Wavelet
from mrvae.sizes import ImageSize, can_halve, halved, sides, size_text

_UNIT = 2.0**-40
_AT_ONCE = 4096

# Y, Cb, Cr of JPEG (ITU-R BT.601) from R, G, B; the last two without their offset of ½.
_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.299 / 1.772, -0.587 / 1.772, 0.886 / 1.772),
    (0.701 / 1.402, -0.587 / 1.402, -0.114 / 1.402),
)


class ContextTransform(Protocol):
    """A deterministic map from images to integers, and from these to images."""

    @property
    def shape(self) -> Shape:
        """Shape (C, h, w) of one image's codes."""
        ...

    @property
    def grid(self) -> Grid:
        """The values of the codes on [-1, 1]; known once the context is fitted."""
        ...

    def fit(self, images: Tensor) -> None:
        """Measure S on the training images, uint8 (N, C, H, W), once and for all."""
        ...

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes, int64 (B, c, h, w), of uint8 images (B, C, H, W)."""
        ...

    def place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes of real-valued images, and their values before rounding."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Return the decoded images (B, C, H, W) on [-1, 1] of codes."""
        ...

    def clipped(self, x: Tensor) -> Tensor:
        """Return how many coefficients of each image are beyond S, int64 (B,)."""
        ...


class LinearContext(nn.Module, ABC):
    """What the contexts have in common: S, the quantiser, and the borders.

    Args:
        image: shape (C, H, W) of the images.
        shape: shape (c, h, w) of the coefficients.
        quantiser: makes integers of them.
        bins: the number of values of a pixel, 0 … bins-1.
    """

    magnitude: Tensor

    def __init__(self, image: Shape, shape: Shape, quantiser: Quantiser, bins: int) -> None:
        super().__init__()
        self.image, self.shape, self.quantiser, self.bins = image, shape, quantiser, Bins(bins)
        self._known = False
        self.register_buffer("magnitude", torch.full(shape, -1, dtype=torch.int64))

    @abstractmethod
    def analyse(self, u: Tensor) -> Tensor:
        """Return the coefficients (B, c, h, w) of images (B, C, H, W) on [-1, 1]."""

    @abstractmethod
    def synthesise(self, c: Tensor) -> Tensor:
        """Return the images, on [-1, 1] but for what rounding adds, of coefficients."""

    @property
    def fitted(self) -> bool:
        """Whether S is known, from :meth:`fit` or with loaded weights."""
        if self.magnitude.is_meta:
            return True  # a meta tensor has no values, and its shape is all that is used
        # Read from the buffer only until it is so, for reading waits for the device.
        self._known = self._known or not bool((self.magnitude < 0).any())
        return self._known

    @property
    def scale(self) -> Tensor:
        """S, float64 of shape (c, h, w), in units of the coefficients."""
        return self._limit().double() * _UNIT

    @property
    def grid(self) -> Grid:
        """The values of the codes on [-1, 1]."""
        return self.quantiser.grid(self.scale)

    def fit(self, images: Tensor) -> None:
        """Measure S = max |A x| on the training images, once and for all.

        Raises:
            ValueError: if there is no image, an image has another shape or a value beyond its bins,
                or S is known already.
        """
        if self.fitted:
            raise ValueError("this context is fitted already; its S belongs to the weights")
        if not len(images):
            raise ValueError("there are no images; S is measured on the training set")
        self.bins.check(images)
        parts = [self._fixed(part).abs().amax(0) for part in torch.split(images, _AT_ONCE)]
        self.magnitude.copy_(torch.stack(parts).amax(0))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes, int64 (B, c, h, w), of uint8 images (B, C, H, W).

        Raises:
            ValueError: if the images are not uint8 or of another shape, or S is not known.
        """
        return self.quantiser.encode(self._fixed(x).double() * _UNIT, self.scale)

    def place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes of images of real numbers 0 … bins-1, int64, and their places.

        A place is the code before it is rounded, float64 (B, c, h, w), differentiable in x.
        """
        c = self.analyse(self.bins.to_unit(x, torch.float64))
        fixed = torch.floor(c.detach() / _UNIT + 0.5) * _UNIT
        return self.quantiser.encode(fixed, self.scale), self.quantiser.place(c, self.scale)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the decoded images (B, C, H, W) of codes, clipped to [-1, 1].

        Raises:
            ValueError: if the codes have another shape, or S is not known.
        """
        if codes.shape[1:] != self.shape:
            raise ValueError(
                f"codes have shape {tuple(codes.shape)}; expected (B, *{self.shape}), as encode"
                " returns them"
            )
        c = self.quantiser.decode(codes, self.scale)
        return self.synthesise(c).clamp(-1, 1).to(torch.get_default_dtype())

    def clipped(self, x: Tensor) -> Tensor:
        """Return how many coefficients of each image are beyond S, int64 (B,).

        None of a training image is. Those of other images lose what is beyond.

        Raises:
            ValueError: if the images are not uint8 or of another shape, or S is not known.
        """
        return (self._fixed(x).abs() > self._limit()).flatten(1).sum(1)

    def _limit(self) -> Tensor:
        """Return S in multiples of 2⁻⁴⁰, or refuse if it is not fitted."""
        if not self.fitted:
            raise ValueError(
                "this context is not fitted; call fit with the training images, or load weights"
            )
        return self.magnitude

    def _fixed(self, x: Tensor) -> Tensor:
        """Return A x in multiples of 2⁻⁴⁰, as integers."""
        if x.dtype != torch.uint8 or x.shape[1:] != self.image:
            raise ValueError(
                f"images are {x.dtype} of shape {tuple(x.shape)}; expected torch.uint8 of shape"
                f" (B, *{self.image})"
            )
        c = self.analyse(self.bins.to_unit(x, torch.float64))
        return torch.floor(c / _UNIT + 0.5).long()


class DCTContext(LinearContext):
    """The lowest frequencies of an image.

    Args:
        image: shape (C, H, W) of the images.
        size: frequencies kept along each axis, or (down, across).
        quantiser: makes integers of the coefficients.
        bins: the number of values of a pixel.
        ycbcr: whether colour is changed to luminance and chrominance first, as JPEG does.
        chroma: frequencies of chrominance kept along each axis, all by default; the others are
            zero, have S = 0, and in even steps no more than one code.

    Raises:
        ValueError: if an image has fewer pixels than frequencies along an axis, or ``ycbcr`` is set
            and there are not three channels.

    The published S is the maximum of |⌊A x⌋|; here there is no floor, so that S is attained by
    an image. An independent comparison found 0.13 % of the codes to differ by that.

    Source: Kuzina & Tomczak 2023, algorithms 1 and 2; luminance and chrominance are ours.

    Example:
        >>> from mrvae.distributions import MidRise
        >>> context = DCTContext((1, 4, 4), size=2, quantiser=MidRise(bits=2), bins=2)
        >>> x = torch.eye(4, dtype=torch.uint8).view(1, 1, 4, 4)
        >>> context.fit(x)
        >>> context.encode(x)[0, 0].tolist()
        [[3, 2], [2, 3]]
        >>> context.decode(context.encode(x)).shape
        torch.Size([1, 1, 4, 4])
    """

    def __init__(
        self,
        image: Shape,
        size: ImageSize,
        quantiser: Quantiser,
        bins: int = 256,
        ycbcr: bool = False,
        chroma: int | None = None,
    ) -> None:
        channels, height, width = image
        down, across = sides(size)
        if down > height or across > width:
            raise ValueError(
                f"size is {size_text(size)}; images of {height}×{width} have no more than"
                f" {height if down > height else width} frequencies along an axis"
            )
        if ycbcr and channels != 3:
            raise ValueError(f"images have {channels} channels; ycbcr is of red, green and blue")
        super().__init__(image, (channels, down, across), quantiser, bins)
        self.dct, self.ycbcr = DCT(size), ycbcr
        self.chroma = max(down, across) if chroma is None else chroma

    def analyse(self, u: Tensor) -> Tensor:
        """Return the lowest frequencies of the images scaled to [0, 1]."""
        x = (u + 1) / 2
        if not self.ycbcr:
            return self.dct.analysis(x)
        c = self.dct.analysis(_mix(_colours(x), x))
        down, across = (torch.arange(n, device=c.device) < self.chroma for n in c.shape[-2:])
        return torch.cat((c[:, :1], c[:, 1:] * (across & down[:, None])), dim=1)

    def synthesise(self, c: Tensor) -> Tensor:
        """Return the images of these frequencies, the others being zero."""
        x = self.dct.synthesis(c, *self.image[1:])
        return 2 * (_mix(torch.linalg.inv(_colours(x)), x) if self.ycbcr else x) - 1


class PooledContext(LinearContext):
    """The averages of blocks of pixels.

    The published algorithm takes S = 1, which is what S is wherever a training image has a block
    that is all black or all white.

    Args:
        image: shape (C, H, W) of the images.
        factor: pixels of a block along each axis, or (down, across).
        quantiser: makes integers of the averages.
        bins: the number of values of a pixel.

    Raises:
        ValueError: if a side of the image is no multiple of ``factor``.

    Source: Kuzina & Tomczak 2023, algorithms 3 and 4.

    Example:
        >>> from mrvae.distributions import MidTread
        >>> context = PooledContext((1, 2, 4), factor=2, quantiser=MidTread(0.5), bins=2)
        >>> x = torch.tensor([[1, 1, 0, 0], [1, 1, 0, 1]], dtype=torch.uint8).view(1, 1, 2, 4)
        >>> context.fit(x)
        >>> context.decode(context.encode(x))[0, 0, 0]
        tensor([ 1.0000,  1.0000, -0.5000, -0.5000])
    """

    def __init__(
        self, image: Shape, factor: ImageSize, quantiser: Quantiser, bins: int = 256
    ) -> None:
        channels, height, width = image
        down, across = sides(factor)
        if min(down, across) < 1 or height % down or width % across:
            raise ValueError(
                f"factor is {size_text(factor)}; it must divide both sides of images of"
                f" {height}×{width}"
            )
        super().__init__(image, (channels, height // down, width // across), quantiser, bins)
        self.factor = down, across

    def analyse(self, u: Tensor) -> Tensor:
        """Return the averages of blocks."""
        return nn.functional.avg_pool2d(u, self.factor)

    def synthesise(self, c: Tensor) -> Tensor:
        """Return the images that are constant on blocks."""
        factors = [float(side) for side in self.factor]
        return nn.functional.interpolate(c, scale_factor=factors, mode="nearest")


class WaveletContext(LinearContext):
    """The coarse part of an image in a wavelet basis.

    Args:
        image: shape (C, H, W) of the images.
        name: of the wavelet, as :class:`mrvae.resolution.Wavelet` has it.
        steps: of the transform; each halves the sides, of a signal (C, 1, T) its length.
        quantiser: makes integers of the coefficients.
        bins: the number of values of a pixel.

    Raises:
        ValueError: if there is no such wavelet, ``steps`` is negative, or a side of the image is no
            multiple of 2^steps.

    Source: ours, after algorithms 1 and 2 of Kuzina & Tomczak 2023, with another basis.

    Example:
        >>> from mrvae.distributions import MidRise
        >>> context = WaveletContext((1, 4, 4), "haar", steps=1, quantiser=MidRise(2), bins=2)
        >>> x = torch.eye(4, dtype=torch.uint8).view(1, 1, 4, 4)
        >>> context.fit(x)
        >>> context.encode(x)[0, 0].tolist()
        [[2, 0], [0, 2]]
    """

    def __init__(
        self, image: Shape, name: str, steps: int, quantiser: Quantiser, bins: int = 256
    ) -> None:
        channels, height, width = image
        if steps < 0 or width == 1 or not can_halve((height, width), steps):
            raise ValueError(
                f"steps is {steps}; images of {height}×{width} cannot be halved that often"
            )
        shape = (channels, *halved((height, width), steps))
        super().__init__(image, shape, quantiser, bins)
        self.wavelet, self.steps = Wavelet(name, 1 if height == 1 else 2), steps

    def analyse(self, u: Tensor) -> Tensor:
        """Return the coarse part."""
        return self.wavelet.analysis(u, self.steps).approximation

    def synthesise(self, c: Tensor) -> Tensor:
        """Return the images without details."""
        return self.wavelet.synthesis(Coefficients(c, self._no_details(c)))

    def _no_details(self, c: Tensor) -> tuple[Tensor, ...]:
        """Return details of zero for a coarse part, coarse to fine."""
        *lead, height, width = c.shape
        if self.wavelet.dims == 1:
            return tuple(c.new_zeros(*lead, height, 1, width << step) for step in range(self.steps))
        return tuple(
            c.new_zeros(*lead, 3, height << step, width << step) for step in range(self.steps)
        )


def _colours(like: Tensor) -> Tensor:
    """Return the matrix from red, green and blue to luminance and chrominance."""
    return torch.tensor(_YCBCR, dtype=like.dtype, device=like.device)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    """Apply a matrix to the channels of images (B, C, H, W)."""
    return torch.einsum("dc,bchw->bdhw", matrix, x)
