"""Two codes for a batch of images, each a pair of push and pop on one stack of bits.

**Direct.** The latents ẑ nearest to the posterior's means, or better ones found by a search, are
coded by the prior, then the image given them, at a cost of -log p(ẑ) - log p(x | ẑ). It takes no
bits from the stack, and so serves single images, small sets, and the first batch of every chunk.

**Bits back** (Townsend et al. 2019, for a hierarchy). The encoder pops the latents from the stack
by the posterior, so that they are a draw of it. Those bits are not lost: the decoder pushes them
back.

    encode    pop z ~ q(z | x),   push x | z,   push z ~ p(z);
    decode    pop z ~ p(z),       pop x | z,    push z ~ q(z | x).

The net cost is -log p(x, z) + log q(z | x), whose mean is minus the bound. In a top-down hierarchy
the posterior of a latent depends on all coarser latents and the image, so the encoder pops all
latents before it pushes anything, and the stack must hold their bits beforehand.

A context is a function of the image; both codes code it by its prior, before all latents.

Encoding and decoding both run the model's top-down walk. They differ in the choice of a latent.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mrvae.compression.coding.context import pop_context, push_context
from mrvae.compression.coding.latents import (
    CodedUnits,
    choose_by_posterior,
    choose_by_prior,
    choose_integers,
    push_by_posterior,
    push_by_prior,
    shared_noise,
)
from mrvae.compression.coding.stack import Stack
from mrvae.compression.network import CodingNetwork
from mrvae.compression.search import search
from mrvae.models.hierarchy.walk import given

_MIN_BITS_LEFT = 64


class ExhaustedError(Exception):
    """A stack did not hold the bits that a batch borrows from it."""


@dataclass(frozen=True, eq=False)
class Codec:
    """The two codes of a model's images.

    Args:
        network: the model.
        direct: coded units of the direct code, one entry per latent.
        bits_back: coded units of the bits-back code.
        rounds: of the search for the latents of the direct code; a decoder does not need them.

    Example:
        >>> import mrvae, torch
        >>> from mrvae.compression.coding.latents import all_active, units_of
        >>> network = CodingNetwork.of(mrvae.build(mrvae.recipe("digits-vdvae")))
        >>> codec = Codec(network, units_of(all_active(network.shapes), 32), ())
        >>> x, stack = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8) % 17, Stack()
        >>> codec.push_direct(stack, x)
        >>> torch.equal(codec.pop_direct(stack, 1), x), stack.empty
        (True, True)
    """

    network: CodingNetwork
    direct: tuple[CodedUnits, ...]
    bits_back: tuple[CodedUnits, ...]
    rounds: int = 0

    def push_direct(self, stack: Stack, x: Tensor) -> None:
        """Push uint8 images (B, C, H, W) by the direct code."""
        network, observed = self.network, self.network.context(x)
        integers = search(network, self.direct, x, self.rounds)
        choices = [choose_integers(*pair) for pair in zip(self.direct, integers, strict=True)]
        trace = network.trace(observed, choices, network.zero_noise(len(x)))
        network.push_pixels(stack, trace.state, x)
        push_by_prior(stack, self.direct, trace.steps)
        push_context(stack, network.model.context, trace.context)

    def pop_direct(self, stack: Stack, count: int) -> Tensor:
        """Pop images that were pushed by the direct code."""
        network = self.network
        observed = network.condition(pop_context(stack, network.model.context, count))
        choices = [choose_by_prior(units, stack) for units in self.direct]
        trace = network.trace(observed, choices, network.zero_noise(count))
        return network.pop_pixels(stack, trace.state)

    def push_bits_back(self, stack: Stack, x: Tensor, first: int) -> None:
        """Push images by the bits-back code; ``first`` is the number of the first one in the file.

        Raises:
            ExhaustedError: if the stack has too few bits to draw the latents from; what it then
                holds is of no use.
        """
        network = self.network
        noise = shared_noise(first, len(x), network.noise_size)
        choices = [choose_by_posterior(units, stack) for units in self.bits_back]
        trace = network.trace(network.observe(x), choices, noise)
        if stack.bits < _MIN_BITS_LEFT:
            raise ExhaustedError
        network.push_pixels(stack, trace.state, x)
        push_by_prior(stack, self.bits_back, trace.steps)
        push_context(stack, network.model.context, trace.context)

    def pop_bits_back(self, stack: Stack, count: int, first: int) -> Tensor:
        """Pop images that were pushed by the bits-back code, and push their latents' bits back."""
        network = self.network
        noise = shared_noise(first, count, network.noise_size)
        observed = network.condition(pop_context(stack, network.model.context, count))
        choices = [choose_by_prior(units, stack) for units in self.bits_back]
        trace = network.trace(observed, choices, noise)
        x = network.pop_pixels(stack, trace.state)
        observed = observed._replace(features=network.features(x))
        trace = network.trace(observed, [given(step.z) for step in trace.steps], noise)
        push_by_posterior(stack, self.bits_back, trace.steps)
        return x
