"""Images that are read on demand.

A set larger than memory is a file and a rule. :class:`Rows` is what such a set must offer: its
shape, and the images at given indices. The members compose: an array in a file, some of its
rows, and a transform applied to each image, so that nothing is read before it is needed. Everything
here is a pure function of the indices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Shape = tuple[int, int, int, int]
RowTransform = Callable[[Tensor, Tensor], Tensor]
"""A function (indices, images) -> images that treats every image by itself."""


class Rows(Protocol):
    """A set of images that need not be in memory."""

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""

    def rows(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``: uint8 of shape (len(indices), C, H, W)."""


@dataclass(frozen=True, eq=False)
class TensorRows:
    """Images in memory, uint8 of shape (N, C, H, W)."""

    pixels: Tensor

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        count, channels, height, width = self.pixels.shape
        return count, channels, height, width

    def rows(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``."""
        return self.pixels[indices]


@dataclass(frozen=True, eq=False)
class PickedRows:
    """The images of ``source`` at the positions ``order``."""

    source: Rows
    order: Tensor

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return (len(self.order), *self.source.shape[1:])

    def rows(self, indices: Tensor) -> Tensor:
        """Return the picked images at ``indices``."""
        return self.source.rows(self.order[indices])


@dataclass(frozen=True, eq=False)
class MappedRows:
    """The images of ``source`` after ``transform``, each of shape ``image`` = (C, H, W)."""

    source: Rows
    transform: RowTransform
    image: tuple[int, int, int]

    @property
    def shape(self) -> Shape:
        """(N, C, H, W)."""
        return (self.source.shape[0], *self.image)

    def rows(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices``, transformed."""
        return self.transform(indices, self.source.rows(indices))
