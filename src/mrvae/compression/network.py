"""A model as the coder uses it: in float64, without gradients, a few images at a time.

Coding needs the same numbers twice, on the way in and on the way out. In float32 an image's
activations depend on the batch that it is in, and a file cannot be read with another one. In
float64 they do not, on one kind of processor at least; what is left of rounding errors is far below
the grids on which the tables are made.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrvae.compression.coder import Stack, Table, weights_of
from mrvae.compression.context_coding import check_conditioner, pop_context, push_context
from mrvae.compression.parts import StageInParts, cut
from mrvae.models import HVAE
from mrvae.models.hierarchy.walk import Choose, Shape, from_prior
from mrvae.models.trace import Latents, Observation, Trace

MOST = 64
"""Images of one batch, at most."""

_STATES = 1 << 28
_TABLES = 1 << 22


@dataclass(frozen=True, eq=False)
class Network:
    """The parts of a model that coding asks for.

    Args:
        model: in float64, on the CPU.
        rows: how many images it sees at once; of no consequence for what comes out.
    """

    model: HVAE
    rows: int = MOST

    @classmethod
    def of(cls, model: HVAE) -> Network:
        """Return the network of a model, which is copied.

        Raises:
            ValueError: if the model has a context whose prior is only bounded.
        """
        check_conditioner(model.context)
        return cls(copy.deepcopy(model).to("cpu", torch.float64).eval())

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, coarse to fine."""
        return self.model.latent_shapes

    @property
    def image(self) -> Shape:
        """Shape (C, S, S) of an image."""
        frame = self.model.frame
        return frame.channels, frame.size, frame.size

    @property
    def noise_size(self) -> int:
        """Number of latent values of one image."""
        return self.model.latent_noise_size

    @torch.no_grad()
    def batch(self, copies: int = 1) -> int:
        """Return how many images' states fit into memory so many times at once, 64 at most."""
        noise = torch.zeros(1, self.noise_size, dtype=torch.float64)
        context = tuple(torch.zeros(1, *shape).long() for shape in self.model.context.shapes)
        steps = self.trace([from_prior(0.0)] * len(self.shapes), (), noise, context).steps
        image = max(self.model.frame.dims, sum(step.state.numel() for step in steps)) * 8
        return max(1, min(MOST, _STATES // (copies * image)))

    @torch.no_grad()
    def features(self, x: Tensor) -> Latents:
        """Return the encoder's features of uint8 images, one for each latent."""
        parts = [self.model.features(part) for part in cut(x, self.rows)]
        joined: dict[int, Tensor] = {}
        for index, feature in enumerate(parts[0]):
            # One feature serves all cells of a resolution, and is joined once.
            if id(feature) not in joined:
                joined[id(feature)] = torch.cat([part[index] for part in parts])
        return tuple(joined[id(feature)] for feature in parts[0])

    @torch.no_grad()
    def trace(
        self, choices: Sequence[Choose], features: Latents, noise: Tensor, context: Latents
    ) -> Trace:
        """Descend the hierarchy given a context, the batch in parts; noise is (B, noise_size)."""
        observed = self._observation(context)._replace(features=features)
        return self.model.trace(
            observed, choices, noise, wrap=lambda stage: StageInParts(stage, self.rows)
        )

    def log_likelihood(self, choices: Sequence[Choose], x: Tensor, context: Latents) -> Tensor:
        """Return log p(x | z) in nats of images, (B,); only this method has gradients by z."""
        noise = torch.zeros(len(x), self.noise_size, dtype=torch.float64)
        return self.model.trace(self._observation(context), choices, noise).likelihood.log_prob(x)

    @torch.no_grad()
    def context(self, x: Tensor) -> Latents:
        """Return the codes of images' context; nothing if the model has none."""
        return self.model.context.encode(x)

    @torch.no_grad()
    def push_context(self, stack: Stack, context: Latents) -> None:
        """Push contexts, so that :meth:`pop_context` returns them."""
        push_context(stack, self.model.context, context)

    @torch.no_grad()
    def pop_context(self, stack: Stack, count: int) -> Latents:
        """Pop the contexts of ``count`` images."""
        return pop_context(stack, self.model.context, count)

    @torch.no_grad()
    def push_pixels(self, stack: Stack, h: Tensor, x: Tensor) -> None:
        """Push images x, given the last state h, so that :meth:`pop_pixels` returns them."""
        for channel in reversed(range(x.shape[1])):
            parts = list(self._parts(h, x))
            for h_part, x_part in reversed(parts):
                table = self._table(h_part, x_part, channel)
                stack.push(table, x_part[:, channel].flatten().numpy().astype(np.int32))

    @torch.no_grad()
    def pop_pixels(self, stack: Stack, h: Tensor) -> Tensor:
        """Pop images, uint8 (B, C, S, S), given the last state h."""
        x = torch.zeros(len(h), *self.image, dtype=torch.uint8)
        for channel in range(x.shape[1]):
            for h_part, x_part in self._parts(h, x):
                found = stack.pop(self._table(h_part, x_part, channel))
                levels = torch.from_numpy(found.astype(np.uint8))
                x_part[:, channel] = levels.view(-1, *self.image[1:])
        return x

    @torch.no_grad()
    def mean(self, h: Tensor) -> Tensor:
        """Return the mean images given the last state h, as levels, uint8 (B, C, S, S)."""
        parts = [self.model.pixels(part).mean().round() for part in cut(h, self.rows)]
        return torch.cat(parts).to(torch.uint8)

    def _observation(self, context: Latents) -> Observation:
        """Condition on contexts one image at a time, so that no sum depends on the batch."""
        if not context:
            return self.model.condition(())
        single = [self.model.condition((c[None],)).conditioning for c in context[0]]
        conditioning = tuple(
            torch.cat([added for added in column if added is not None])
            if column[0] is not None
            else None
            for column in zip(*single, strict=True)
        )
        return Observation((), context, conditioning)

    def _parts(self, h: Tensor, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield states and images whose tables fit into memory; the images are views."""
        _, size, _ = self.image
        rows = min(self.rows, max(1, _TABLES // (size * size * self.model.frame.bins)))
        yield from zip(torch.split(h, rows), torch.split(x, rows), strict=True)

    def _table(self, h: Tensor, x: Tensor, channel: int) -> Table:
        """Return the laws of a channel's pixels given the channels before, (B·S·S, levels)."""
        # What the later channels hold has no influence, and the decoder does not know it.
        known = x.clone()
        known[:, channel:] = 0
        pmf = self.model.pixels(h.contiguous()).pmf(known)[:, channel].flatten(0, -2)
        probabilities: NDArray[np.float64] = pmf.double().numpy()
        return Table(weights_of(probabilities))
