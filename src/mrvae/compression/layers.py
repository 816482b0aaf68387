"""Layers: a code of images of which every beginning is a code of coarser images.

A hierarchy tells an image from coarse to fine, and so may a file. Its layers are, in the order of
decoding, the context if the model has one, then each latent of which units are coded, and last the
pixels given all of these:

    -log p(c)   - log p(ẑ₁ | c)   …   - log p(ẑ_L | c, ẑ_<L)   - log p(x | c, ẑ).

ẑ are the latents of the direct code, nearest to the posterior's means. A bits-back code cannot be
cut: it borrows from the posterior, and only who has the image can give that back.

Whoever has the first layers walks down the hierarchy with them, takes the latents that are missing
at their prior's mean, and has the mean of p(x | z). With the pixels he has the image. A latent of
which nothing is coded is at its prior's mean anyway, and needs no layer.

Each layer is a stack of its own, lest one be needed to read another. It stands on the number 2²⁴:
upon that every symbol makes a message longer, those that are all but certain too, so that a message
of so many symbols has a least length.

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

from mrvae.compression.chunks import DamagedError
from mrvae.compression.codec import Codec
from mrvae.compression.coder import Stack, cheapest
from mrvae.compression.latents import Units, choose_by_prior, choose_nearest
from mrvae.compression.parts import gaussian
from mrvae.models.hierarchy.walk import Choose, from_prior
from mrvae.models.trace import Latents

_CHECK = struct.Struct("<I")
_BOTTOM = np.array([1 << 24], dtype=np.uint32)
_SLACK = 64


@dataclass(frozen=True, eq=False)
class Layers:
    """The layers of a model's images.

    The m-th of the model's latents has the mark m, from 1 on, a context being the first of them;
    the pixels have the mark behind the last latent.

    Args:
        codec: whose direct code it is.
        lossless: whether the pixels are a layer.

    Example:
        >>> import mrvae
        >>> from mrvae.compression.latents import all_active, of_shapes
        >>> from mrvae.compression.network import Network
        >>> network = Network.of(mrvae.build(mrvae.recipe("digits-vdvae")))
        >>> codec = Codec(network, of_shapes(all_active(network.shapes), 32), ())
        >>> layers = Layers(codec, lossless=True)
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
        """What each layer is: context, latent m, or pixels."""
        return tuple(
            "context"
            if mark < self._first
            else f"latent {mark}"
            if mark < self._pixels
            else "pixels"
            for mark in self.marks
        )

    def upto(self, mark: int) -> Layers:
        """Return the layers whose marks are not greater; units beyond are not coded."""
        kept = tuple(
            units if place <= mark else Units(torch.zeros_like(units.active), units.sixteenths)
            for place, units in self._latents
        )
        lossless = self.lossless and mark >= self._pixels
        return Layers(replace(self.codec, direct=kept), lossless)

    def push(self, stacks: Mapping[int, Stack], x: Tensor) -> Latents:
        """Push uint8 images (B, C, S, S), each layer on the stack of its mark.

        Returns:
            The context that was pushed.
        """
        network = self.codec.network
        context = network.context(x)
        if context:
            network.push_context(stacks[1], context)
        if self.marks[-1] < self._first:
            return context
        choices = [choose_nearest(units) for _, units in self._latents]
        trace = network.trace(choices, network.features(x), self._silence(len(x)), context)
        for (mark, units), step in zip(self._latents, trace.steps, strict=True):
            if mark in stacks:
                stacks[mark].push(units.prior(len(x)), units.numbers(gaussian(step.prior), step.z))
        if self.lossless:
            network.push_pixels(stacks[self._pixels], trace.state, x)
        return context

    def pop(self, stacks: Mapping[int, Stack], count: int) -> tuple[Tensor, Latents]:
        """Pop the layers that there are, and return images, uint8 (B, C, S, S), and contexts."""
        network = self.codec.network
        context = network.pop_context(stacks[1], count) if self._first > 1 else ()
        choices: list[Choose] = [
            choose_by_prior(units, stacks[mark]) if mark in stacks else from_prior(0.0)
            for mark, units in self._latents
        ]
        h = network.trace(choices, (), self._silence(count), context).state
        if self._pixels in stacks:
            return network.pop_pixels(stacks[self._pixels], h), context
        return network.mean(h), context

    def least(self, mark: int, count: int) -> float:
        """Return the bits that a layer of ``count`` images has at least."""
        if mark < self._first:
            return 0.0
        if mark < self._pixels:
            law = self.codec.direct[mark - self._first].prior(count)
            return law.bits(np.zeros(1, dtype=np.int32)) * law.count
        frame = self.codec.network.model.frame
        return count * frame.dims * cheapest(frame.bins)

    def checked(self, mark: int) -> bool:
        """Tell whether a network has contributed to a layer's laws, so that it needs a check."""
        return mark < self._first or mark == self._pixels

    def check(self, mark: int, x: Tensor, context: Latents) -> bytes:
        """Return the CRC-32 of a layer's values, of images and contexts; none of latents."""
        if mark < self._first:
            return _CHECK.pack(zlib.crc32(context[mark - 1].numpy().astype("<i4").tobytes()))
        if mark < self._pixels:
            return b""
        return _CHECK.pack(zlib.crc32(x.contiguous().numpy().tobytes()))

    @property
    def _first(self) -> int:
        """The mark of the coarsest latent below a context."""
        return 1 + len(self.codec.network.model.context.shapes)

    @property
    def _pixels(self) -> int:
        """The mark of the pixels."""
        return self._first + len(self.codec.direct)

    @property
    def _latents(self) -> list[tuple[int, Units]]:
        """The marks of the latents below a context, and their units."""
        return list(enumerate(self.codec.direct, self._first))

    def _silence(self, count: int) -> Tensor:
        return torch.zeros(count, self.codec.network.noise_size, dtype=torch.float64)


@dataclass(frozen=True)
class Message:
    """The bytes of one layer of some images, and the bits that its laws say."""

    payload: bytes
    ideal: float


def write_layers(layers: Layers, x: Tensor, most: int) -> tuple[Message, ...]:
    """Code uint8 images (n, C, S, S), at most ``most`` at once, and return a message a layer."""
    stacks = {mark: Stack(_BOTTOM) for mark in layers.marks}
    context = _joined([layers.push(stacks, part) for part in torch.split(x, most)])
    return tuple(
        Message(
            layers.check(mark, x, context) + stack.words.astype("<u4").tobytes(),
            stack.ideal,
        )
        for mark, stack in stacks.items()
    )


def read_layers(layers: Layers, payloads: Sequence[bytes], count: int, most: int) -> Tensor:
    """Return ``count`` images of which the first layers are given.

    They are exact if the pixels are among these, else the mean of what is known.

    Raises:
        DamagedError: if bytes are none of a layer, cannot hold so many images, or decode to others
            than were written.
    """
    opened = {
        mark: _open(payload, layers.checked(mark), layers.least(mark, count))
        for mark, payload in zip(layers.marks, payloads, strict=False)
    }
    stacks = {mark: stack for mark, (_, stack) in opened.items()}
    sizes = [min(most, count - start) for start in range(0, count, most)]
    parts = [layers.pop(stacks, size) for size in reversed(sizes)][::-1]
    x, context = torch.cat([part for part, _ in parts]), _joined([each for _, each in parts])
    for mark, (check, stack) in opened.items():
        if stack.words.tolist() != _BOTTOM.tolist() or check != layers.check(mark, x, context):
            raise DamagedError(
                "it decodes to something else than was written; the model is computed differently "
                "here"
            )
    return x


def _joined(aboves: Sequence[Latents]) -> Latents:
    return tuple(torch.cat(column) for column in zip(*aboves, strict=True))


def _open(payload: bytes, checked: bool, least: float) -> tuple[bytes, Stack]:
    """Return the check and the stack of a layer, or refuse it."""
    head = _CHECK.size if checked else 0
    length = len(payload) - head
    if length < 0 or length % 4:
        raise DamagedError(f"its {len(payload)} bytes are not those of a layer")
    if least > 8 * length + _SLACK:
        raise DamagedError(f"its {len(payload)} bytes cannot hold so many images")
    words = np.frombuffer(payload, dtype="<u4", offset=head).astype(np.uint32)
    try:
        return payload[:head], Stack(words)
    except ValueError as error:
        raise DamagedError(str(error)) from None
