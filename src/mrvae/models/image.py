"""Between a uint8 image and the tensor that a network sees.

A pixel takes one of n values (bins), 0 … n-1. The network sees (x - mean)/std. Where the finest
resolution of the hierarchy is larger than the image, the image is padded with black on all sides.
The network's output is cropped to the image's own pixels before it is scored.

Fourier features (Kingma et al. 2021, *Variational diffusion models*, appendix C) may follow the
image's channels: with v the pixel on [-1, 1] and n each of a few exponents,

    sin(2ⁿπ v),   cos(2ⁿπ v),

which separate neighbouring values. Of binary images they are constant, since v = ±1.

With ``space_to_depth`` n the network sees n × n pixels as one place with n² times the channels, and
its output at a place holds the parameters of all these pixels. Both are orders of the same numbers,
so the likelihood is that of the pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.distributions import Bins
from mrvae.sizes import ImageSize, Sides, sides, size_text


@dataclass(frozen=True)
class ImageFrame:
    """An image of ``channels`` and ``size`` in a network of ``network_size``.

    A size is one number for a square, or (height, width). Pixels take the values 0 … bins-1;
    ``fourier`` are the exponents of the image's features, and ``space_to_depth`` pixels a side,
    which divide ``network_size``, are one place of the network.

    Raises:
        ValueError: if the image does not fit into the network.

    Example:
        >>> frame = ImageFrame(channels=1, size=2, network_size=4, mean=0.5, std=0.5)
        >>> frame.prepare(torch.ones(1, 1, 2, 2, dtype=torch.uint8), torch.float32)[0, 0]
        tensor([[-1., -1., -1., -1.],
                [-1.,  1.,  1., -1.],
                [-1.,  1.,  1., -1.],
                [-1., -1., -1., -1.]])
    """

    channels: int
    size: ImageSize
    network_size: ImageSize
    mean: float
    std: float
    bins: int = 256
    fourier: tuple[int, ...] = ()
    space_to_depth: int = 1

    def __post_init__(self) -> None:
        pairs = zip(self.sides, sides(self.network_size), strict=True)
        if any(side > within for side, within in pairs):
            raise ValueError(
                f"images of {size_text(self.size)} pixels do not fit into a hierarchy whose finest "
                f"resolution is {size_text(self.network_size)}; add a level, or resize the images"
            )

    @property
    def sides(self) -> Sides:
        """Height and width of an image."""
        return sides(self.size)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return self.channels, *self.sides

    @property
    def dims(self) -> int:
        """Number of values of one image."""
        return math.prod(self.shape)

    @property
    def inputs(self) -> int:
        """Number of channels that the network sees."""
        return self.channels * (1 + 2 * len(self.fourier)) * self.space_to_depth**2

    def check(self, x: Tensor) -> None:
        """Refuse a batch that is not uint8 of shape (B, C, H, W)."""
        expected = self.shape
        if x.dtype != torch.uint8:
            raise ValueError(f"images are {x.dtype}; they must be torch.uint8, values from 0")
        if x.dim() != 4 or tuple(x.shape[1:]) != expected:
            raise ValueError(f"images have shape {tuple(x.shape)}; expected (B, *{expected})")
        if self.bins < 256 and x.numel() and int(x.max()) >= self.bins:
            raise ValueError(
                f"a pixel has the value {int(x.max())}; this model's images have "
                f"{self.bins} bins, 0 … {self.bins - 1}"
            )

    def check_real(self, x: Tensor) -> None:
        """Refuse a batch that is not real numbers in 0 … bins-1, (B, C, H, W).

        Images are integers at every border but one: a gradient in the image needs real numbers.
        :meth:`prepare` and the encoder take such images as well.
        """
        expected = self.shape
        if not x.is_floating_point() or x.dim() != 4 or tuple(x.shape[1:]) != expected:
            raise ValueError(
                f"images are {x.dtype} of shape {tuple(x.shape)}; expected real numbers of shape"
                f" (B, *{expected})"
            )
        if x.numel() and not bool(((x >= 0) & (x <= self.bins - 1)).all()):
            raise ValueError(
                f"pixels are {float(x.min())} … {float(x.max())}; expected 0 … {self.bins - 1}"
            )

    def prepare(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return (x - mean)/std and its Fourier features, (B, inputs, H', W').

        The image is padded with black to the network's size; a place is ``space_to_depth`` pixels a
        side of it.
        """
        padded = self.pad(x.to(dtype), black=0.0)
        normalised = (padded - self.mean) / self.std
        if not self.fourier:
            return self._to_depth(normalised)
        angles = [math.pi * 2**n * Bins(self.bins).to_unit(padded, dtype) for n in self.fourier]
        waves = [wave for angle in angles for wave in (angle.sin(), angle.cos())]
        return self._to_depth(torch.cat([normalised, *waves], dim=1))

    def pad(self, x: Tensor, black: float) -> Tensor:
        """Return images (B, C, H, W) in the middle of black ones of the network's size."""
        return functional.pad(x, self.margins, value=black)

    def crop_state(self, h: Tensor) -> Tensor:
        """Return the places of a state that are image; all, if a place is many pixels."""
        return self.crop(h) if self.space_to_depth == 1 else h

    def assemble(self, parameters: Tensor) -> Tensor:
        """Return the parameters of the pixels, (B, C, size, size), of (B, C · n², S, S).

        Where a place is a pixel, those of :meth:`crop_state` are returned as they are.

        Example:
            >>> frame = ImageFrame(1, 3, network_size=4, mean=0, std=1, space_to_depth=2)
            >>> x = torch.arange(9, dtype=torch.uint8).view(1, 1, 3, 3)
            >>> bool((frame.assemble(frame.prepare(x, torch.float32)) == x).all())
            True
        """
        if self.space_to_depth == 1:
            return parameters
        return self.crop(functional.pixel_shuffle(parameters, self.space_to_depth))

    def _to_depth(self, x: Tensor) -> Tensor:
        """Return (B, C · n², S, S) of (B, C, network_size, network_size)."""
        if self.space_to_depth == 1:
            return x
        places = functional.pixel_unshuffle(x, self.space_to_depth)
        return places.contiguous(memory_format=torch.channels_last)

    def crop(self, h: Tensor) -> Tensor:
        """Return what is image, (B, C, H, W), of a tensor of the network's size."""
        if self.size == self.network_size:
            return h
        # The gradient of a slice would leave the order of memory in which convolutions are fast.
        return functional.pad(h, tuple(-margin for margin in self.margins))

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Pixels of padding: left, right, above and below."""
        (height, width), (down, across) = self.sides, sides(self.network_size)
        above, left = (down - height) // 2, (across - width) // 2
        return left, across - width - left, above, down - height - above


def unit_image(x: Tensor, bins: int, dtype: torch.dtype) -> Tensor:
    """Return uint8 images on [0, 1].

    Example:
        >>> unit_image(torch.tensor([0, 1, 2], dtype=torch.uint8), 3, torch.float32)
        tensor([0.0000, 0.5000, 1.0000])
    """
    return (Bins(bins).to_unit(x, dtype) + 1) / 2
