"""A context on the stack: the integers that stand above the latents, by their explicit prior.

A context is a function of the image, so nothing is drawn and no bits are given back: it costs
-log p(c), as in the bound. Its prior must be one that has probabilities. A factorised one has the
same table for each image. An autoregressive one has a table for each level, given those before it:

    p(c) = Π_i p(c_i | c_<i),

all of which one pass of the network gives to the encoder; the decoder takes a pass for each level.
The levels that are not known yet are zero there, and their weights are masked, so that the numbers
are the same. Level after level is coded, of all images of a batch together: the products of
matrices have the same shape on both sides, lest a sum depend on it, and a pass serves many images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coder import Stack, Table, weights_of
from mrvae.distributions import DiscretizedGaussian, Grid
from mrvae.models import AutoregressivePrior, FactorisedPrior
from mrvae.models.context.conditioner import Conditioner, NoContext
from mrvae.models.hierarchy.walk import Shape
from mrvae.models.trace import Latents

CodedPrior = FactorisedPrior | AutoregressivePrior


def check_conditioner(context: Conditioner) -> None:
    """Refuse what stands above a hierarchy if it has no probabilities.

    Raises:
        ValueError: if it is a context whose prior is only bounded.
    """
    if not isinstance(context, NoContext) and _prior(context) is None:
        raise ValueError(
            "the prior of this model's context is a diffusion, which bounds the probability of a "
            "context and does not give it; a file needs a model with context.prior=autoregressive "
            "or normal"
        )


def push_context(stack: Stack, context: Conditioner, codes: Latents) -> None:
    """Push the contexts of some images, so that :func:`pop_context` returns them."""
    prior = _prior(context)
    if prior is None:
        return
    (c,) = codes
    for place, law in reversed(list(zip(_order(prior), _laws(prior, c), strict=True))):
        stack.push(law, c.flatten(1)[:, place].numpy().astype(np.int32))


def pop_context(stack: Stack, context: Conditioner, count: int) -> Latents:
    """Pop the contexts of ``count`` images; nothing if the model has none.

    Raises:
        ValueError: if a level is none of the context's, which happens to damaged files alone.
    """
    prior = _prior(context)
    if prior is None:
        return ()
    found = torch.zeros(count, *prior.lattice.shape, dtype=torch.int64)
    for index, place in enumerate(_order(prior)):
        # Of an autoregressive prior the laws change with each level; of a normal one they do not,
        # and to compute them again is cheap enough.
        levels = stack.pop(next(_laws(prior, found, index)))
        found.view(count, -1)[:, place] = torch.from_numpy(levels.astype(np.int64))
    prior.lattice.grid.check(found)
    return (found,)


def _prior(context: Conditioner) -> CodedPrior | None:
    """Return the prior of a context, if there is one that can be coded by."""
    prior: object = context.prior
    return prior if isinstance(prior, CodedPrior) else None


def _order(prior: CodedPrior) -> tuple[int, ...]:
    """Return the places of the levels, but for those that have one value only."""
    shape = torch.Size(prior.lattice.shape)
    every = prior.order if isinstance(prior, AutoregressivePrior) else range(shape.numel())
    counts = torch.as_tensor(prior.lattice.grid.count).expand(shape).flatten()
    return tuple(place for place in every if int(counts[place]) > 1)


def _laws(prior: CodedPrior, c: Tensor, first: int = 0) -> Iterator[Table]:
    """Yield the law of each level of contexts (B, C, h, w), from the one at place ``first``."""
    grid, shape = prior.lattice.grid, prior.lattice.shape
    for place, (logits, mean, scale) in _parameters(prior, c, first):
        each = DiscretizedGaussian(mean, scale, _grid_of(grid, shape, place)).pmf()
        pmf = (logits.softmax(1).unsqueeze(-1) * each).sum(1)
        yield Table(weights_of(pmf.double().numpy()))


def _parameters(
    prior: CodedPrior, c: Tensor, first: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor, Tensor]]]:
    """Yield places, and the mixtures there: logits, means and scales (B, K)."""
    order = _order(prior)[first:]
    if isinstance(prior, AutoregressivePrior):
        units = prior.hidden(c)
        yield from ((place, prior.conditional(units, place)) for place in order)
        return
    gaussian = prior.distribution()
    columns = [torch.zeros_like(gaussian.mean), gaussian.mean, gaussian.scale]
    logits, mean, scale = (column.flatten().expand(len(c), -1) for column in columns)
    for place in order:
        one = slice(place, place + 1)
        yield place, (logits[:, one], mean[:, one], scale[:, one])


def _grid_of(grid: Grid, shape: Shape, place: int) -> Grid:
    """Return the grid of one level of a context."""

    def at(field: float | Tensor) -> float:
        return float(torch.as_tensor(field, dtype=torch.float64).expand(shape).flatten()[place])

    return Grid(int(at(grid.count)), at(grid.first), at(grid.spacing))
