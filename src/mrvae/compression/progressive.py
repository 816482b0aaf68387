"""Layers: a code of images of which every beginning is a code of coarser images.

A hierarchy generates an image from coarse to fine, and a file may hold it in that order. Its layers
are, in the order of decoding, the context if the model has one, then each latent of which units are
coded, and last the pixels given all of these:

    -log p(c)   - log p(ẑ₁ | c)   …   - log p(ẑ_L | c, ẑ_<L)   - log p(x | c, ẑ).

ẑ are the latents of the direct code, nearest to the posterior's means. A bits-back code cannot be
cut: it borrows bits from the posterior, which only a decoder with the image can give back.

A decoder of the first layers walks down the hierarchy with them, sets the missing latents to their
prior's mean, and returns the mean of p(x | z). With the pixels it returns the image. A latent of
which no unit is coded is at its prior's mean anyway, and has no layer.

Each layer is a stack of its own, so that it is read without the others. Its message starts from the
number 2²⁴ and not from zero: so every symbol makes it longer, even a nearly certain one, and a
message of so many symbols has a minimum length.

Source: the order is that of Kuzina & Tomczak 2023, equation 8; the code is ours.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.chunks import DamagedError, pixel_crc
from mrvae.compression.codec import Codec
from mrvae.compression.coding.context import pop_context, push_context
from mrvae.compression.coding.latents import (
    CodedUnits,
    choose_by_prior,
    choose_nearest,
    gaussian,
)
from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import min_symbol_bits
from mrvae.compression.progress import Progress, no_progress
from mrvae.models.hierarchy.walk import Choose, from_prior
from mrvae.models.trace import Latents

_CRC = struct.Struct("<I")
_START = np.array([1 << 24], dtype=np.uint32)
_SPARE_BITS = 64


@dataclass(frozen=True, eq=False)
class ProgressiveLayers:
    """The layers of a model's images.

    The m-th of the model's latents has the mark m, from 1 on, where a context is the first latent;
    the pixels have the mark after that of the last latent.

    Args:
        codec: the direct code.
        lossless: whether the pixels are a layer.

    Example:
        >>> import mrvae
        >>> from mrvae.compression.coding.latents import all_active, units_of
        >>> from mrvae.compression.network import CodingNetwork
        >>> network = CodingNetwork.of(mrvae.build(mrvae.recipe("digits-vdvae")))
        >>> codec = Codec(network, units_of(all_active(network.shapes), 32), ())
        >>> layers = ProgressiveLayers(codec, lossless=True)
        >>> layers.marks[:3], layers.upto(2).marks
        ((1, 2, 3), (1, 2))
    """

    codec: Codec
    lossless: bool

    @cached_property
    def marks(self) -> tuple[int, ...]:
        """The marks of the layers, in the order of decoding."""
        pixels = (self._pixels,) if self.lossless else ()
        coded = [mark for mark, units in self._latents if bool(units.active.any())]
        return (*range(1, self._first), *coded, *pixels)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each layer: context, latent m, or pixels."""
        return tuple(
            "context"
            if mark < self._first
            else f"latent {mark}"
            if mark < self._pixels
            else "pixels"
            for mark in self.marks
        )

    def upto(self, mark: int) -> ProgressiveLayers:
        """Return the layers up to a mark; units of later latents are not coded."""
        kept = tuple(
            units if place <= mark else CodedUnits(torch.zeros_like(units.active), units.sixteenths)
            for place, units in self._latents
        )
        lossless = self.lossless and mark >= self._pixels
        return ProgressiveLayers(replace(self.codec, direct=kept), lossless)

    def push(self, stacks: Mapping[int, Stack], x: Tensor) -> Latents:
        """Push uint8 images (B, C, H, W), each layer on the stack of its mark.

        Returns:
            The context's codes that were pushed.
        """
        network = self.codec.network
        observed = network.context(x)
        if observed.context:
            push_context(stacks[1], network.model.context, observed.context)
        if self.marks[-1] < self._first:
            return observed.context
        choices = [choose_nearest(units) for _, units in self._latents]
        observed = observed._replace(features=network.features(x))
        trace = network.trace(observed, choices, network.zero_noise(len(x)))
        for (mark, units), step in zip(self._latents, trace.steps, strict=True):
            if mark in stacks:
                k = units.integers(gaussian(step.prior), step.z)
                stacks[mark].push(units.prior(len(x)), k)
        if self.lossless:
            network.push_pixels(stacks[self._pixels], trace.state, x)
        return observed.context

    def pop(self, stacks: Mapping[int, Stack], count: int) -> tuple[Tensor, Latents]:
        """Pop the given layers, and return images, uint8 (B, C, H, W), and a context's codes."""
        network = self.codec.network
        codes = pop_context(stacks[1], network.model.context, count) if self._first > 1 else ()
        choices: list[Choose] = [
            choose_by_prior(units, stacks[mark]) if mark in stacks else from_prior(0.0)
            for mark, units in self._latents
        ]
        trace = network.trace(network.condition(codes), choices, network.zero_noise(count))
        if self._pixels in stacks:
            return network.pop_pixels(stacks[self._pixels], trace.state), codes
        return network.mean(trace.state), codes

    def min_bits(self, mark: int, count: int) -> float:
        """Return the fewest bits of a layer of ``count`` images."""
        if mark < self._first:
            return 0.0
        if mark < self._pixels:
            prior = self.codec.direct[mark - self._first].prior(count)
            return prior.bits(np.zeros(1, dtype=np.int32)) * prior.count
        frame = self.codec.network.model.frame
        return count * frame.dims * min_symbol_bits(frame.bins)

    def has_crc(self, mark: int) -> bool:
        """Return whether a network computes a layer's distributions, so that it needs a check."""
        return mark < self._first or mark == self._pixels

    def crc(self, mark: int, x: Tensor, codes: Latents) -> bytes:
        """Return the CRC-32 of a layer's values as bytes; none for a latent."""
        if mark < self._first:
            return _CRC.pack(zlib.crc32(codes[mark - 1].numpy().astype("<i4").tobytes()))
        if mark < self._pixels:
            return b""
        return _CRC.pack(pixel_crc(x))

    @property
    def _first(self) -> int:
        """The mark of the coarsest latent of the hierarchy."""
        return 1 + len(self.codec.network.model.context.shapes)

    @property
    def _pixels(self) -> int:
        """The mark of the pixels."""
        return self._first + len(self.codec.direct)

    @property
    def _latents(self) -> list[tuple[int, CodedUnits]]:
        """The marks of the latents of the hierarchy, and their coded units."""
        return list(enumerate(self.codec.direct, self._first))


@dataclass(frozen=True)
class CodedLayer:
    """The bytes of one layer of some images, and -log₂ P of its symbols."""

    payload: bytes
    ideal: float


def encode_layers(
    layers: ProgressiveLayers, x: Tensor, most: int, progress: Progress = no_progress
) -> tuple[CodedLayer, ...]:
    """Code uint8 images (n, C, H, W) in batches of ``most``, and return every layer."""
    stacks = {mark: Stack(_START) for mark in layers.marks}
    coded, done = [], 0
    for part in torch.split(x, most):
        coded.append(layers.push(stacks, part))
        done += len(part)
        progress(done, sum(stack.bits for stack in stacks.values()) // 8)
    codes = _joined(coded)
    return tuple(
        CodedLayer(layers.crc(mark, x, codes) + stack.to_bytes(), stack.ideal)
        for mark, stack in stacks.items()
    )


def decode_layers(
    layers: ProgressiveLayers,
    payloads: Sequence[bytes],
    count: int,
    most: int,
    progress: Progress = no_progress,
) -> Tensor:
    """Return ``count`` images of which the first layers are given.

    They are exact if the pixels are among these, else the mean given the first layers.

    Raises:
        DamagedError: if bytes are not a layer, cannot hold so many images, or decode to other
            images.
    """
    opened = {
        mark: _open(payload, layers.has_crc(mark), layers.min_bits(mark, count))
        for mark, payload in zip(layers.marks, payloads, strict=False)
    }
    stacks = {mark: stack for mark, (_, stack) in opened.items()}
    sizes = [min(most, count - start) for start in range(0, count, most)]
    parts, done, total = [], 0, sum(map(len, payloads))
    for size in reversed(sizes):
        parts.append(layers.pop(stacks, size))
        done += size
        progress(done, total - sum(stack.bits for stack in stacks.values()) // 8)
    parts.reverse()
    x, codes = torch.cat([part for part, _ in parts]), _joined([part for _, part in parts])
    for mark, (crc, stack) in opened.items():
        if stack.words.tolist() != _START.tolist() or crc != layers.crc(mark, x, codes):
            raise DamagedError(
                "it decodes to other values than were written; the model computes differently here"
            )
    return x


def _joined(parts: Sequence[Latents]) -> Latents:
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _open(payload: bytes, has_crc: bool, min_bits: float) -> tuple[bytes, Stack]:
    """Return the CRC and the stack of a layer, or refuse it."""
    head = _CRC.size if has_crc else 0
    length = len(payload) - head
    if length < 0:
        raise DamagedError(f"its {len(payload)} bytes are not those of a layer")
    if min_bits > 8 * length + _SPARE_BITS:
        raise DamagedError(f"its {len(payload)} bytes cannot hold so many images")
    try:
        return payload[:head], Stack.from_bytes(payload[head:])
    except ValueError as error:
        raise DamagedError(str(error)) from None
