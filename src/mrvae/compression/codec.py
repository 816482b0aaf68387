"""Two codes for a batch of images, each a pair of push and pop on one stack of bits.

**Direct.** The latents nearest to the posterior's means, or better ones that a search has found,
are coded by the prior, then the image given them, at a cost of -log p(ẑ) - log p(x | ẑ). It takes
no bits from the stack, and so serves single images, small sets, and the beginning of every chain.

A context, which is a function of the image, is coded by its prior in both, before all latents.

**Bits back** (Townsend et al. 2019, for a hierarchy). The latents are popped from the stack by the
posterior, so that they are a draw of it, and what is popped is no loss, for the decoder pushes it
back:

    encode    pop z ~ q(z | x),   push x | z,   push z ~ p(z);
    decode    pop z ~ p(z),       pop x | z,    push z ~ q(z | x).

The net cost is -log p(x, z) + log q(z | x), whose mean is minus the bound. A posterior of a
top-down hierarchy needs all latents context it, and the image: so all are popped before anything is
pushed, and the stack must hold their bits beforehand.

The walk is the decoder's one. Encoding and decoding differ in what chooses a latent, and that is
all that is written here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrvae.compression.coder import Stack
from mrvae.compression.latents import (
    Units,
    choose_by_posterior,
    choose_by_prior,
    choose_numbers,
    push_by_posterior,
    push_by_prior,
    shared_noise,
)
from mrvae.compression.network import Network
from mrvae.compression.searching import search
from mrvae.models.hierarchy.walk import Choose, given

_SPARE = 64


class ExhaustedError(Exception):
    """A stack did not hold the bits that a batch borrows from it."""


@dataclass(frozen=True, eq=False)
class Codec:
    """The codes of a model's images.

    Args:
        network: the model.
        direct: units of the direct code, one entry a latent.
        chained: units of the bits-back code.
        rounds: of the search for the latents of a direct code; of no consequence for who decodes.

    Example:
        >>> import mrvae
        >>> from mrvae.compression.latents import all_active, of_shapes
        >>> network = Network.of(mrvae.build(mrvae.recipe("digits-vdvae")))
        >>> codec = Codec(network, of_shapes(all_active(network.shapes), 32), ())
        >>> x, stack = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) % 17, Stack()
        >>> codec.push_direct(stack, x)
        >>> torch.equal(codec.pop_direct(stack, 1), x), stack.empty
        (True, True)
    """

    network: Network
    direct: tuple[Units, ...]
    bits_back: tuple[Units, ...]
    rounds: int = 0

    def push_direct(self, stack: Stack, x: Tensor) -> None:
        """Push uint8 images (B, C, S, S) by the direct code."""
        context, found = self.network.context(x), search(self.network, self.direct, x, self.rounds)
        choices = [choose_numbers(units, k) for units, k in zip(self.direct, found, strict=True)]
        trace = self.network.trace(choices, (), self._silence(len(x)), context)
        self.network.push_pixels(stack, trace.state, x)
        push_by_prior(stack, self.direct, trace.steps)
        self.network.push_context(stack, context)

    def pop_direct(self, stack: Stack, count: int) -> Tensor:
        """Pop images that were pushed by the direct code."""
        context = self.network.pop_context(stack, count)
        choices = [choose_by_prior(units, stack) for units in self.direct]
        trace = self.network.trace(choices, (), self._silence(count), context)
        return self.network.pop_pixels(stack, trace.state)

    def push_bits_back(self, stack: Stack, x: Tensor, first: int) -> None:
        """Push images by the bits-back code; ``first`` is the number of the first one in the file.

        Raises:
            ExhaustedError: if the stack has too few bits to draw the latents from. What is left on
                it is then of no use.
        """
        noise = shared_noise(first, len(x), self.network.noise_size)
        choices = [choose_by_posterior(units, stack) for units in self.bits_back]
        features, context = self.network.features(x), self.network.context(x)
        trace = self.network.trace(choices, features, noise, context)
        if stack.bits < _SPARE:
            raise ExhaustedError
        self.network.push_pixels(stack, trace.state, x)
        push_by_prior(stack, self.bits_back, trace.steps)
        self.network.push_context(stack, context)

    def pop_bits_back(self, stack: Stack, count: int, first: int) -> Tensor:
        """Pop images that were pushed by the bits-back code, and give their latents' bits back."""
        noise = shared_noise(first, count, self.network.noise_size)
        context = self.network.pop_context(stack, count)
        choices: list[Choose] = [choose_by_prior(units, stack) for units in self.bits_back]
        trace = self.network.trace(choices, (), noise, context)
        x = self.network.pop_pixels(stack, trace.state)
        again = [given(step.z) for step in trace.steps]
        trace = self.network.trace(again, self.network.features(x), noise, context)
        push_by_posterior(stack, self.bits_back, trace.steps)
        return x

    def _silence(self, count: int) -> Tensor:
        """Return noise that is zero: units that are not coded are at their prior's mean."""
        return torch.zeros(count, self.network.noise_size, dtype=torch.float64)
