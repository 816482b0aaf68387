"""Parameters, layers and multiply-adds of the parts that models are made of.

With i and o the channels of a convolution, k its side, and s the side of what it is applied to, it
has k²io + o parameters and takes k²io·s² multiply-adds. Those of linear maps and convolutions are
counted, and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add


@dataclass(frozen=True)
class Size:
    """A number of each kind, for a model or a part of one.

    Attributes:
        parameters: numbers that are learnt.
        layers: convolutions and linear maps that have weights of their own.
        calls: how often one of them is applied, for the bound of one image.
        operations: the multiply-adds of these calls and of attention.

    Example:
        >>> convolution(2, 4, kernel=3, side=8) + Size(parameters=1)
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
    inputs: int, outputs: int, kernel: int, side: int, weight_norm: bool = False
) -> Size:
    """Return the size of a convolution on images of ``side`` pixels a side."""
    weights = inputs * outputs * kernel**2
    return Size(weights + outputs * (1 + weight_norm), 1, 1, weights * side**2)


def linear(inputs: int, outputs: int) -> Size:
    """Return the size of a linear map with a bias."""
    return convolution(inputs, outputs, kernel=1, side=1)


def bottleneck(inputs: int, middle: int, outputs: int, kernel: int, side: int) -> Size:
    """Return the size of a :class:`~mrvae.layers.Bottleneck`."""
    return total(
        convolution(inputs, middle, 1, side),
        convolution(middle, middle, kernel, side).times(2),
        convolution(middle, outputs, 1, side),
    )


def activated_before(inputs: int, middle: int, outputs: int, side: int, weight_norm: bool) -> Size:
    """Return the size of what :func:`mrvae.layers.activated_before` makes."""
    last = convolution(middle, outputs, 1, side, weight_norm)
    return _inside(inputs, middle, side, weight_norm) + last


def activated_after(inputs: int, middle: int, outputs: int, side: int, weight_norm: bool) -> Size:
    """Return the size of what :func:`mrvae.layers.activated_after` makes."""
    last = convolution(middle, outputs, 1, side)
    return _inside(inputs, middle, side, weight_norm) + last


def _inside(inputs: int, middle: int, side: int, weight_norm: bool) -> Size:
    """Return the size of a network but for its last convolution."""
    enter = convolution(inputs, middle, 1, side, weight_norm)
    return enter + convolution(middle, middle, 3, side, weight_norm).times(2)


def depthwise(inputs: int, middle: int, outputs: int, side: int, weight_norm: bool) -> Size:
    """Return the size of what :func:`mrvae.layers.activated_after` makes with ``depthwise``."""
    inside = Size(middle * (25 + 1 + weight_norm), 1, 1, 25 * middle * side**2)
    return total(
        convolution(inputs, middle, 1, side, weight_norm),
        inside,
        convolution(middle, outputs, 1, side),
    )


def rezero(inputs: int, outputs: int, side: int) -> Size:
    """Return what a :class:`~mrvae.layers.ReZero` has beside its network."""
    skip = Size() if inputs == outputs else convolution(inputs, outputs, 1, side)
    return Size(parameters=1) + skip


def shortcut(inputs: int, outputs: int, side: int) -> Size:
    """Return what a :class:`~mrvae.layers.Shortcut` has beside its network."""
    return Size(parameters=1) + convolution(inputs, outputs, 1, side)


def unet(size: int, channels: int, outputs: int, width: int, scales: int, blocks: int) -> Size:
    """Return the size of a :class:`~mrvae.layers.UNet` on images of ``size`` pixels a side."""
    sides = [size >> scale for scale in range(scales)]
    # Of n pixels attention makes two products with n² numbers.
    attention = Size(operations=2 * width * sides[-1] ** 4)
    return total(
        attention,
        linear(width, width).times(2),
        convolution(channels, width, 3, size),
        *(_timed(width, width, side).times(blocks) for side in sides),
        _timed(width, width, sides[-1]).times(2),
        Size(parameters=2 * width),
        convolution(width, 3 * width, 1, sides[-1]),
        convolution(width, width, 1, sides[-1]),
        *(_timed(2 * width, width, side).times(blocks + 1) for side in sides),
        Size(parameters=2 * width),
        convolution(width, outputs, 3, size),
    )


def _timed(inputs: int, outputs: int, side: int) -> Size:
    """Return the size of a :class:`~mrvae.layers.TimedBlock`."""
    return total(
        Size(parameters=2 * inputs + 2 * outputs),
        convolution(inputs, outputs, 3, side),
        linear(outputs, 2 * outputs),
        convolution(outputs, outputs, 3, side),
        Size() if inputs == outputs else convolution(inputs, outputs, 1, side),
    )
