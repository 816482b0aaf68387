"""Parameters, layers and multiply-adds of the parts that models are made of.

With i and o the channels of a convolution, k the pixels of its kernel, and s those of what it is
applied to, it has kio + o parameters and takes kio·s multiply-adds. Those of linear maps and
convolutions are counted, and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod
from operator import add

from mrvae.sizes import ImageSize, Sides, kernel_for, sides, simplest


@dataclass(frozen=True)
class Size:
    """A number of each kind, for a model or a part of one.

    Attributes:
        parameters: numbers that are learnt.
        layers: convolutions and linear maps that have weights of their own.
        calls: how often one of them is applied, for the bound of one image.
        operations: the multiply-adds of these calls and of attention.

    Example:
        >>> convolution(2, 4, kernel=3, size=8) + Size(parameters=1)
        Size(parameters=77, layers=1, calls=1, operations=4608)
    """

    parameters: int = 0
    layers: int = 0
    calls: int = 0
    operations: int = 0

    def __add__(self, other: Size) -> Size:
        """Return the size of both parts."""
        return Size(
            self.parameters + other.parameters,
            self.layers + other.layers,
            self.calls + other.calls,
            self.operations + other.operations,
        )

    def times(self, count: int, visits: int = 1) -> Size:
        """Return the size of ``count`` such parts, each applied ``visits`` times."""
        return Size(
            self.parameters * count,
            self.layers * count,
            self.calls * count * visits,
            self.operations * count * visits,
        )


def total(*sizes: Size) -> Size:
    """Return the size of all parts."""
    return reduce(add, sizes, Size())


def convolution(
    inputs: int, outputs: int, kernel: ImageSize, size: ImageSize, weight_norm: bool = False
) -> Size:
    """Return the size of a convolution on images of ``size``."""
    weights = inputs * outputs * prod(sides(kernel))
    return Size(weights + outputs * (1 + weight_norm), 1, 1, weights * prod(sides(size)))


def linear(inputs: int, outputs: int) -> Size:
    """Return the size of a linear map with a bias."""
    return convolution(inputs, outputs, kernel=1, size=1)


def bottleneck(inputs: int, middle: int, outputs: int, kernel: ImageSize, size: ImageSize) -> Size:
    """Return the size of a :class:`~mrvae.layers.Bottleneck`."""
    return total(
        convolution(inputs, middle, 1, size),
        convolution(middle, middle, kernel, size).times(2),
        convolution(middle, outputs, 1, size),
    )


def activated_before(
    inputs: int, middle: int, outputs: int, size: ImageSize, weight_norm: bool
) -> Size:
    """Return the size of what :func:`mrvae.layers.activated_before` makes."""
    last = convolution(middle, outputs, 1, size, weight_norm)
    return _inside(inputs, middle, size, weight_norm) + last


def activated_after(
    inputs: int, middle: int, outputs: int, size: ImageSize, weight_norm: bool
) -> Size:
    """Return the size of what :func:`mrvae.layers.activated_after` makes."""
    last = convolution(middle, outputs, 1, size)
    return _inside(inputs, middle, size, weight_norm) + last


def _inside(inputs: int, middle: int, size: ImageSize, weight_norm: bool) -> Size:
    """Return the size of a network but for its last convolution."""
    enter = convolution(inputs, middle, 1, size, weight_norm)
    return enter + convolution(middle, middle, kernel_for(size, 3), size, weight_norm).times(2)


def depthwise(inputs: int, middle: int, outputs: int, size: ImageSize, weight_norm: bool) -> Size:
    """Return the size of what :func:`mrvae.layers.activated_after` makes with ``depthwise``."""
    taps = prod(sides(kernel_for(size, 5)))
    inside = Size(middle * (taps + 1 + weight_norm), 1, 1, taps * middle * prod(sides(size)))
    return total(
        convolution(inputs, middle, 1, size, weight_norm),
        inside,
        convolution(middle, outputs, 1, size),
    )


def rezero(inputs: int, outputs: int, size: ImageSize) -> Size:
    """Return what a :class:`~mrvae.layers.ReZero` has beside its network."""
    skip = Size() if inputs == outputs else convolution(inputs, outputs, 1, size)
    return Size(parameters=1) + skip


def shortcut(inputs: int, outputs: int, size: ImageSize) -> Size:
    """Return what a :class:`~mrvae.layers.Shortcut` has beside its network."""
    return Size(parameters=1) + convolution(inputs, outputs, 1, size)


def unet(
    size: ImageSize, channels: int, outputs: int, width: int, scales: int, blocks: int
) -> Size:
    """Return the size of a :class:`~mrvae.layers.UNet` on images of ``size``."""
    sizes = [simplest(_halved(size, scale)) for scale in range(scales)]
    kernel = kernel_for(size, 3)
    # Of n pixels attention makes two products with n² numbers.
    attention = Size(operations=2 * width * prod(sides(sizes[-1])) ** 2)
    return total(
        attention,
        linear(width, width).times(2),
        convolution(channels, width, kernel, size),
        *(_timed(width, width, kernel, each).times(blocks) for each in sizes),
        _timed(width, width, kernel, sizes[-1]).times(2),
        Size(parameters=2 * width),
        convolution(width, 3 * width, 1, sizes[-1]),
        convolution(width, width, 1, sizes[-1]),
        *(_timed(2 * width, width, kernel, each).times(blocks + 1) for each in sizes),
        Size(parameters=2 * width),
        convolution(width, outputs, kernel, size),
    )


def _halved(size: ImageSize, steps: int) -> Sides:
    """Return the size after so many halvings, rounded down where it cannot be halved."""
    height, width = sides(size)
    return (height if 1 == height < width else height >> steps), (
        width if 1 == width < height else width >> steps
    )


def _timed(inputs: int, outputs: int, kernel: ImageSize, size: ImageSize) -> Size:
    """Return the size of a :class:`~mrvae.layers.TimedBlock`."""
    return total(
        Size(parameters=2 * inputs + 2 * outputs),
        convolution(inputs, outputs, kernel, size),
        linear(outputs, 2 * outputs),
        convolution(outputs, outputs, kernel, size),
        Size() if inputs == outputs else convolution(inputs, outputs, 1, size),
    )
