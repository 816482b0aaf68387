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

from mrvae.compression.above import check_top, pop_above, push_above
from mrvae.compression.coder import Stack, Table, weights_of
from mrvae.compression.parts import RungInParts, cut
from mrvae.models import HVAE
from mrvae.models.top import Above
from mrvae.models.walk import Choose, Shape, Step, descend, from_prior

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
        check_top(model.top)
        return cls(copy.deepcopy(model).to("cpu", torch.float64).eval())

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, coarse to fine."""
        return self.model.decoder.shapes

    @property
    def image(self) -> Shape:
        """Shape (C, S, S) of an image."""
        frame = self.model.frame
        return frame.channels, frame.size, frame.size

    @property
    def noise_size(self) -> int:
        """Number of latent values of one image."""
        return self.model.decoder.noise_size

    @torch.no_grad()
    def batch(self, copies: int = 1) -> int:
        """Return how many images' states fit into memory so many times at once, 64 at most."""
        noise = torch.zeros(1, self.noise_size, dtype=torch.float64)
        above = tuple(torch.zeros(1, *shape).long() for shape in self.model.top.shapes)
        _, steps = self.walk([from_prior(0.0)] * len(self.shapes), None, noise, above)
        each = max(self.model.frame.dims, sum(step.state.numel() for step in steps)) * 8
        return max(1, min(MOST, _STATES // (copies * each)))

    @torch.no_grad()
    def features(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's features of uint8 images, one for each latent."""
        parts = [self.model.features(part) for part in cut(x, self.rows)]
        joined: dict[int, Tensor] = {}
        for index, feature in enumerate(parts[0]):
            # One feature serves all cells of a resolution, and is joined once.
            if id(feature) not in joined:
                joined[id(feature)] = torch.cat([part[index] for part in parts])
        return [joined[id(feature)] for feature in parts[0]]

    @torch.no_grad()
    def walk(
        self,
        choices: Sequence[Choose],
        features: Sequence[Tensor] | None,
        noise: Tensor,
        above: Above,
    ) -> tuple[Tensor, list[Step]]:
        """Descend the hierarchy below a context; noise is (B, noise_size)."""
        decoder = self.model.decoder
        rungs = [RungInParts(rung, self.rows) for rung in decoder.rungs]
        told = self._told(above)
        pieces: Sequence[Tensor | None] = features or [None] * len(choices)
        return descend(rungs, pieces, choices, decoder.split_noise(noise), told)

    def log_likelihood(self, choices: Sequence[Choose], x: Tensor, above: Above) -> Tensor:
        """Return log p(x | z) in nats of images, (B,); unlike all else, it has gradients by z."""
        silence = torch.zeros(len(x), self.noise_size, dtype=torch.float64)
        h, _ = self.model.decoder.walk(None, choices, silence, self._told(above))
        found: Tensor = self.model.head(h).log_prob(x)
        return found

    @torch.no_grad()
    def above(self, x: Tensor) -> Above:
        """Return the contexts of images; nothing if the model has none."""
        return self.model.top.encode(x)

    @torch.no_grad()
    def push_above(self, stack: Stack, above: Above) -> None:
        """Push contexts, so that :meth:`pop_above` returns them."""
        push_above(stack, self.model.top, above)

    @torch.no_grad()
    def pop_above(self, stack: Stack, count: int) -> Above:
        """Pop the contexts of ``count`` images."""
        return pop_above(stack, self.model.top, count)

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
        parts = [self.model.head(part).mean().round() for part in cut(h, self.rows)]
        return torch.cat(parts).to(torch.uint8)

    def _told(self, above: Above) -> list[Tensor | None]:
        """Return what contexts add to each resolution, one image at a time, lest it matter."""
        if not above:
            return self.model.top.told(())
        each = [self.model.top.told((c[None],)) for c in above[0]]
        columns = zip(*each, strict=True)
        return [
            torch.cat([word for word in column if word is not None])
            if column[0] is not None
            else None
            for column in columns
        ]

    def _parts(self, h: Tensor, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield states and images whose tables fit into memory; the images are views."""
        _, size, _ = self.image
        rows = min(self.rows, max(1, _TABLES // (size * size * self.model.frame.levels)))
        yield from zip(torch.split(h, rows), torch.split(x, rows), strict=True)

    def _table(self, h: Tensor, x: Tensor, channel: int) -> Table:
        """Return the laws of a channel's pixels given the channels before, (B·S·S, levels)."""
        # What the later channels hold has no influence, and the decoder does not know it.
        known = x.clone()
        known[:, channel:] = 0
        pmf = self.model.head(h.contiguous()).pmf(known)[:, channel].flatten(0, -2)
        probabilities: NDArray[np.float64] = pmf.double().numpy()
        return Table(weights_of(probabilities))
