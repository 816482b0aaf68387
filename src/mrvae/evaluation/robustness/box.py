"""The images that an attack may reach: at most a radius from u at every pixel, within [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_START = 0.2


@dataclass(frozen=True)
class Box:
    """The images within ``radius`` of u, pixel by pixel, and within [0, 1].

    Rounding is inwards: no point of the box is farther than ``radius`` from u, in floating point.

    Args:
        low: the smallest value of every pixel.
        high: the largest.
        radius: largest distance from u.
    """

    low: Tensor
    high: Tensor
    radius: float

    @classmethod
    def around(cls, u: Tensor, radius: float) -> Box:
        """Return the box around images u on [0, 1].

        Raises:
            ValueError: if the radius is not in 0 … 1.

        Example:
            >>> box = Box.around(torch.tensor([0.0, 0.5]), radius=0.25)
            >>> box.low, box.high
            (tensor([0.0000, 0.2500]), tensor([0.2500, 0.7500]))
        """
        check_radius(radius)
        return cls(_end(u, -radius), _end(u, radius), radius)

    def project(self, u: Tensor) -> Tensor:
        """Return the nearest point of the box."""
        return torch.maximum(torch.minimum(u, self.high), self.low)

    def start(self, u: Tensor, noise: Tensor) -> Tensor:
        """Return u + 0.2·noise, cut to the box."""
        return self.project(u + _START * noise)


def check_radius(radius: float) -> None:
    """Refuse a radius outside 0 … 1.

    Raises:
        ValueError: if it is one.
    """
    if not 0 <= radius <= 1:
        raise ValueError(f"radius is {radius}; images are on [0, 1], so give a number from 0 to 1")


def _end(u: Tensor, reach: float) -> Tensor:
    """Return u + reach on [0, 1], never farther from u by a rounding error."""
    end = (u.double() + reach).clamp(0, 1).to(u.dtype)
    beyond = (end.double() - u.double()).abs() > abs(reach)
    return torch.where(beyond, torch.nextafter(end, u), end)
