"""A data set is uint8 images of shape (N, C, H, W) with a name and a split.

A pixel is an integer 0 … bins-1. These transforms change the pixels, each image by itself:

* ``binarised(seed)``: the grey value v of image i becomes 1 with probability v / (bins-1), by
  one draw that is fixed by (seed, i). Validation and test sets are binarised so, once for all;
* ``keep_bits(b)``: v becomes v >> (8-b), the b leading bits of an 8-bit value;
* ``framed(framing)``: the image is cropped or padded to a size;
* ``in_mode(mode)``: grey becomes RGB, or RGB grey.

Small sets are one tensor. A set larger than memory is a :class:`~mrvae.data.rows.Rows`, and then
the same transforms are applied to a batch when it is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mrvae.data.files.conversion import channels_in, in_mode, to_tensor
from mrvae.data.files.image_files import from_tensor
from mrvae.data.framing import Framing
from mrvae.data.randomness import Purpose, generator
from mrvae.data.rows import MappedRows, PickedRows, Rows, RowTransform, TensorRows
from mrvae.recipes.data import Mode

_CHUNK = 256


@dataclass(frozen=True, eq=False)
class Images:
    """Uint8 images of shape (N, C, H, W) whose pixels are integers 0 … bins-1.

    ``files`` is a digest of the names and sizes of the files of a folder, if they come from one.

    Raises ``ValueError`` for another type or shape, for no images, and for a value that is too
    large: at once for a tensor, when it is taken for images that are read when asked for.

    Example:
        >>> grey = Images(torch.tensor([[[[0, 16]]]], dtype=torch.uint8), "two", "test", bins=17)
        >>> len(grey), grey.shape
        (1, (1, 1, 2))
        >>> grey.binarised(seed=0).take(torch.tensor([0])).tolist()
        [[[[0, 1]]]]

    """

    pixels: Tensor | Rows = field(repr=False)
    name: str
    split: str
    bins: int = 256
    files: str = ""

    def __post_init__(self) -> None:
        if not 2 <= self.bins <= 256:
            raise ValueError(f"{self.name}: bins is {self.bins}; it must be in 2…256")
        shape = tuple(self.pixels.shape)
        if len(shape) != 4 or min(shape) < 1:
            raise ValueError(f"{self.name}: shape is {shape}; give images as (N, C, H, W), N ≥ 1")
        if isinstance(self.pixels, Tensor):
            if self.pixels.dtype != torch.uint8:
                raise ValueError(f"{self.name}: pixels are {self.pixels.dtype}; give them as uint8")
            check_bins(self.pixels, self.bins, self.name)

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self.pixels.shape[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of every image."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    def take(self, indices: Tensor) -> Tensor:
        """Return the images at ``indices`` (b,), in that order, with shape (b, C, H, W).

        Raises ``ValueError`` for an index outside 0 … N-1.
        """
        self._check_indices(indices)
        if isinstance(self.pixels, Tensor):
            return self.pixels[indices]
        images = self.pixels.rows(indices)
        check_bins(images, self.bins, self.name)
        return images

    def tensor(self) -> Tensor:
        """Return all images as one uint8 tensor (N, C, H, W)."""
        return self.take(torch.arange(len(self)))

    def subset(self, indices: Tensor) -> Images:
        """Return the images at ``indices`` as a set of its own.

        Raises ``ValueError`` as :meth:`take` does, and for no indices.
        """
        if isinstance(self.pixels, Tensor):
            return replace(self, pixels=self.take(indices))
        self._check_indices(indices)
        return replace(self, pixels=PickedRows(self.pixels, indices))

    def first(self, count: int | None) -> Images:
        """Return the first ``count`` images as a set of its own; all if None or fewer are there.

        Raises ``ValueError`` for a count below 1.

        Example:
            >>> five = Images(torch.zeros(5, 1, 2, 2, dtype=torch.uint8), "zeros", "test")
            >>> len(five.first(2)), len(five.first(9)), five.first(None) is five
            (2, 5, True)

        """
        if count is not None and count < 1:
            raise ValueError(f"count is {count}; take at least 1 image of {self.name}")
        if count is None or count >= len(self):
            return self
        return self.subset(torch.arange(count))

    def with_bins(self, bins: int) -> Images:
        """Return the same images, read as values 0 … bins-1 (a file does not say how many).

        Raises ``ValueError`` if a pixel is larger.
        """
        return replace(self, bins=bins)

    def binarised(self, seed: int) -> Images:
        """Return binary images: pixel v is 1 with probability v / (bins-1), fixed by the seed.

        The draw of image i depends on (seed, i) only.
        """
        transform = partial(_binarise_fixed, seed=seed, bins=self.bins)
        return self._transformed(transform, self.shape, bins=2)

    def keep_bits(self, bits: int) -> Images:
        """Return the ``bits`` leading bits of 8-bit values: v >> (8-bits), of 2^bits bins.

        Raises ``ValueError`` unless 1 ≤ bits ≤ 8 and the images have 256 bins.
        """
        if not 1 <= bits <= 8:
            raise ValueError(f"bits is {bits}; it must be in 1…8")
        if self.bins != 256:
            raise ValueError(
                f"{self.name} has {self.bins} bins; bits are kept of 8-bit values (256 bins)"
            )
        return self._transformed(partial(_keep_bits, bits=bits), self.shape, bins=2**bits)

    def framed(self, framing: Framing) -> Images:
        """Return images of a size, cropped or padded; see :mod:`mrvae.data.framing`.

        Values stay in 0 … bins-1. Raises ``ValueError`` for images of other than 1 or 3 channels.
        """
        channels, height, width = self.shape
        if (height, width) == (framing.height, framing.width):
            return self
        if channels not in (1, 3):
            raise ValueError(f"{self.name} has {channels} channels; only 1 or 3 can be resized")
        transform = partial(_frame_batch, framing=framing, bins=self.bins)
        shape = (channels, framing.height, framing.width)
        return self._transformed(transform, shape, bins=self.bins)

    def in_mode(self, mode: Mode) -> Images:
        """Return images in a mode: RGB from grey has three equal channels, grey from RGB its luma.

        Example:
            >>> from mrvae.recipes.data import ToRGB
            >>> grey = Images(torch.zeros(5, 1, 2, 2, dtype=torch.uint8), "zeros", "test")
            >>> grey.in_mode(ToRGB()).shape
            (3, 2, 2)

        """
        channels, height, width = self.shape
        if (wanted := channels_in(mode, channels)) == channels:
            return self
        transform = partial(_convert_batch, mode=mode)
        return self._transformed(transform, (wanted, height, width), bins=self.bins)

    def when_taken(self) -> Images:
        """Return the same images, whose transforms are then applied when images are taken."""
        if not isinstance(self.pixels, Tensor):
            return self
        return replace(self, pixels=TensorRows(self.pixels))

    def _transformed(
        self, transform: RowTransform, image: tuple[int, int, int], bins: int
    ) -> Images:
        """Transform every image: now for a tensor, else when images are taken."""
        if not isinstance(self.pixels, Tensor):
            checked = partial(_after_check, transform=transform, bins=self.bins, name=self.name)
            return replace(self, pixels=MappedRows(self.pixels, checked, image), bins=bins)
        pixels = torch.empty((len(self), *image), dtype=torch.uint8)
        for start in range(0, len(self), _CHUNK):
            indices = torch.arange(start, min(start + _CHUNK, len(self)))
            pixels[indices] = transform(indices, self.pixels[indices])
        return replace(self, pixels=pixels, bins=bins)

    def _check_indices(self, indices: Tensor) -> None:
        """Refuse an index that no image has."""
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            raise ValueError(
                f"{self.name}: indices {int(indices.min())}…{int(indices.max())} are not all in "
                f"0…{len(self) - 1}"
            )


def check_bins(images: Tensor, bins: int, name: str) -> None:
    """Refuse uint8 images with a pixel outside 0 … bins-1.

    Raises ``ValueError``.
    """
    if bins < 256 and images.numel() and (largest := int(images.max())) >= bins:
        raise ValueError(
            f"{name}: holds a pixel of {largest}, but with {bins} bins the largest is "
            f"{bins - 1}; give integers 0…{bins - 1}, not values scaled to 255"
        )


def check_shape(name: str, shape: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    """Refuse images of another shape (C, H, W) than a model's.

    Raises ``ValueError``.
    """
    if shape != expected:
        options = [f"data.mode={'rgb' if expected[0] == 3 else 'grey'}"] * (shape[0] != expected[0])
        options += ["data.fit=true or data.pad=true"] * (shape[1:] != expected[1:])
        raise ValueError(
            f"{name} has images of shape {shape}, the recipe's model {expected} "
            "(channels, height, width); override model.channels and model.size, or convert the "
            f"images by {' and '.join(options)}"
        )


def all_batches(
    images: Images, batch: int, part: range | None = None
) -> Iterator[tuple[range, Tensor]]:
    """Visit every image once, in order: (its indices, the images), the last batch being shorter.

    ``part`` is a range of the images, in steps of 1; by default all of them.

    Example:
        >>> images = Images(torch.zeros(5, 1, 2, 2, dtype=torch.uint8), "zeros", "test")
        >>> [(indices, len(x)) for indices, x in all_batches(images, 2)]
        [(range(0, 2), 2), (range(2, 4), 2), (range(4, 5), 1)]
        >>> [indices for indices, _ in all_batches(images, 2, range(1, 4))]
        [range(1, 3), range(3, 4)]

    """
    if batch < 1:
        raise ValueError(f"batch is {batch}; it must be at least 1")
    every = range(len(images)) if part is None else part
    for start in range(every.start, every.stop, batch):
        indices = range(start, min(start + batch, every.stop))
        yield indices, images.take(torch.arange(indices.start, indices.stop))


def bernoulli(image: Tensor, bins: int, stream: torch.Generator) -> Tensor:
    """Draw a binary image: pixel v is 1 with probability v / (bins-1).

    ``image`` is uint8 of any shape, and the result has its shape.

    Example:
        >>> bernoulli(torch.tensor([0, 255], dtype=torch.uint8), 256, generator(0)).tolist()
        [0, 1]

    """
    uniform = torch.rand(image.shape, generator=stream)
    return (uniform < image / (bins - 1)).to(torch.uint8)


def _after_check(
    indices: Tensor, images: Tensor, *, transform: RowTransform, bins: int, name: str
) -> Tensor:
    check_bins(images, bins, name)
    return transform(indices, images)


def _binarise_fixed(indices: Tensor, images: Tensor, *, seed: int, bins: int) -> Tensor:
    draws = [
        bernoulli(image, bins, generator(seed, Purpose.FIXED_PIXELS, int(index)))
        for index, image in zip(indices, images, strict=True)
    ]
    return torch.stack(draws)


def _keep_bits(indices: Tensor, images: Tensor, *, bits: int) -> Tensor:
    return images >> (8 - bits)


def _frame_batch(indices: Tensor, images: Tensor, *, framing: Framing, bins: int) -> Tensor:
    framed = [to_tensor(np.array(framing.apply(from_tensor(image)))) for image in images]
    return torch.stack(framed).clamp(max=bins - 1)


def _convert_batch(indices: Tensor, images: Tensor, *, mode: Mode) -> Tensor:
    converted = [to_tensor(in_mode(np.array(from_tensor(image)), mode)) for image in images]
    return torch.stack(converted)
