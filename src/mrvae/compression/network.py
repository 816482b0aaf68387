"""A model as the codec runs it: in float64, without gradients, a few images at a time.

Encoder and decoder need the same numbers. In float32 an image's activations depend on the other
images of its batch, and a file could not be read in other batches. In float64 they do not, on one
kind of processor at least; the remaining rounding errors are far below the grids on which the
tables are made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrvae.compression.coding.context import check_conditioner
from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import SymbolTable, weights_of
from mrvae.compression.microbatches import MicrobatchedStage, microbatches
from mrvae.models import HVAE
from mrvae.models.finite import check_finite
from mrvae.models.hierarchy.walk import Choose, Shape, from_prior
from mrvae.models.trace import Latents, Observation, Trace

MAX_BATCH = 64
"""Images of one batch, at most."""

_MAX_STATE_BYTES = 1 << 28
_MAX_TABLE_VALUES = 1 << 22


@dataclass(frozen=True, eq=False)
class CodingNetwork:
    """A model, and how many images it sees at once.

    Args:
        model: in float64, on the CPU.
        rows: images of a microbatch; no number depends on it.
    """

    model: HVAE
    rows: int = MAX_BATCH

    @classmethod
    def of(cls, model: HVAE) -> CodingNetwork:
        """Return the network of a model, which is copied.

        Raises:
            ValueError: if the prior of the model's context only bounds its probabilities.
        """
        check_conditioner(model.context)
        return cls(copy.deepcopy(model).to("cpu").to(torch.float64).eval())

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, coarse to fine."""
        return self.model.latent_shapes

    @property
    def image(self) -> Shape:
        """Shape (C, H, W) of an image."""
        return self.model.frame.shape

    @property
    def noise_size(self) -> int:
        """Number of latent values of one image."""
        return self.model.latent_noise_size

    def zero_noise(self, count: int) -> Tensor:
        """Return zero noise (count, noise_size), which sets units to their prior's mean."""
        return torch.zeros(count, self.noise_size, dtype=torch.float64)

    @torch.no_grad()
    def batch(self, copies: int = 1) -> int:
        """Return how many images' states fit into memory, ``copies`` times; 64 at most."""
        observed = self.condition(
            tuple(torch.zeros(1, *shape).long() for shape in self.model.context.shapes)
        )
        choices = [from_prior(0.0)] * len(self.shapes)
        steps = self.trace(observed, choices, self.zero_noise(1)).steps
        image = max(self.model.frame.dims, sum(step.state.numel() for step in steps)) * 8
        return max(1, min(MAX_BATCH, _MAX_STATE_BYTES // (copies * image)))

    @torch.no_grad()
    def features(self, x: Tensor) -> Latents:
        """Return the encoder's features of uint8 images, one for each latent."""
        parts = [self.model.features(part) for part in microbatches(x, self.rows)]
        joined: dict[int, Tensor] = {}
        for index, feature in enumerate(parts[0]):
            # One feature serves all cells of a resolution, and is joined once.
            if id(feature) not in joined:
                joined[id(feature)] = torch.cat([part[index] for part in parts])
        return tuple(joined[id(feature)] for feature in parts[0])

    @torch.no_grad()
    def context(self, x: Tensor) -> Observation:
        """Return the observation of the context of uint8 images, without features."""
        return self.condition(self.model.context.encode(x))

    def observe(self, x: Tensor) -> Observation:
        """Return the observation of uint8 images."""
        return self.context(x)._replace(features=self.features(x))

    @torch.no_grad()
    def condition(self, codes: Latents) -> Observation:
        """Return the observation of the codes of a context, without features.

        The conditioning is computed one image at a time, so that no sum depends on the batch.
        """
        if not codes:
            return self.model.condition(())
        single = [self.model.condition((c[None],)).conditioning for c in codes[0]]
        conditioning = tuple(
            torch.cat([added for added in column if added is not None])
            if column[0] is not None
            else None
            for column in zip(*single, strict=True)
        )
        return Observation((), codes, conditioning)

    @torch.no_grad()
    def trace(self, observed: Observation, choices: Sequence[Choose], noise: Tensor) -> Trace:
        """Descend the hierarchy in microbatches; noise is (B, noise_size).

        Raises:
            ValueError: if the model computes numbers that are not finite.
        """
        trace = self.model.trace(
            observed, choices, noise, wrap=lambda stage: MicrobatchedStage(stage, self.rows)
        )
        check_finite(trace.state, *(step.z for step in trace.steps))
        return trace

    def log_likelihood(self, observed: Observation, choices: Sequence[Choose], x: Tensor) -> Tensor:
        """Return log p(x | z) in nats of images, (B,); only this method has gradients by z."""
        noise = self.zero_noise(len(x))
        return self.model.trace(observed, choices, noise).likelihood.log_prob(x)

    @torch.no_grad()
    def push_pixels(self, stack: Stack, h: Tensor, x: Tensor) -> None:
        """Push images x, given the last state h, so that :meth:`pop_pixels` returns them."""
        for channel in reversed(range(x.shape[1])):
            for h_part, x_part in reversed(list(self._table_batches(h, x))):
                table = self._table(h_part, x_part, channel)
                stack.push(table, x_part[:, channel].flatten().numpy().astype(np.int32))

    @torch.no_grad()
    def pop_pixels(self, stack: Stack, h: Tensor) -> Tensor:
        """Pop images, uint8 (B, C, H, W), given the last state h."""
        x = torch.zeros(len(h), *self.image, dtype=torch.uint8)
        for channel in range(x.shape[1]):
            for h_part, x_part in self._table_batches(h, x):
                symbols = stack.pop(self._table(h_part, x_part, channel))
                values = torch.from_numpy(symbols.astype(np.uint8))
                x_part[:, channel] = values.view(-1, *self.image[1:])
        return x

    @torch.no_grad()
    def mean(self, h: Tensor) -> Tensor:
        """Return the mean images given the last state h, rounded to uint8 (B, C, H, W)."""
        parts = [self.model.pixels(part).mean().round() for part in microbatches(h, self.rows)]
        check_finite(*parts)
        return torch.cat(parts).to(torch.uint8)

    def _table_batches(self, h: Tensor, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield states and images whose tables fit into memory; the images are views."""
        _, height, width = self.image
        table = height * width * self.model.frame.bins
        rows = min(self.rows, max(1, _MAX_TABLE_VALUES // table))
        yield from zip(torch.split(h, rows), torch.split(x, rows), strict=True)

    def _table(self, h: Tensor, x: Tensor, channel: int) -> SymbolTable:
        """Return the table of a channel's pixels given the channels before, (B·H·W, bins)."""
        # The later channels have no influence, and the decoder does not know them yet.
        known = x.clone()
        known[:, channel:] = 0
        pmf = self.model.pixels(h.contiguous()).pmf(known)[:, channel].flatten(0, -2)
        probabilities: NDArray[np.float64] = pmf.double().numpy()
        return SymbolTable(weights_of(probabilities))
