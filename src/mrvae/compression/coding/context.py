"""The codes of a context on the stack, by their prior.

A context is a function of the image, so nothing is drawn and no bits are given back: it costs
-log p(c), as in the bound. Its prior must give probabilities. A factorised prior has the same table
for each image. An autoregressive one has a table for each code, given the codes before it:

    p(c) = Π_i p(c_i | c_<i).

The encoder computes all tables in one pass of the network; the decoder takes one pass for each
code. Codes not yet known are zero there, and their weights are masked, so that the numbers are the
same. Code after code is coded, each of all images of a batch together: matrix products have the
same shape in encoder and decoder, so that sums have the same order, and one pass serves all images.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import SymbolTable, weights_of
from mrvae.distributions import DiscretizedGaussian, Grid
from mrvae.models import AutoregressivePrior, FactorisedPrior
from mrvae.models.context.conditioner import Conditioner, NoContext
from mrvae.models.hierarchy.walk import Shape
from mrvae.models.trace import Latents

CodedPrior = FactorisedPrior | AutoregressivePrior


def check_conditioner(context: Conditioner) -> None:
    """Refuse a context whose prior does not give probabilities.

    Raises:
        ValueError: if the prior only bounds them.
    """
    if not isinstance(context, NoContext) and _prior(context) is None:
        raise ValueError(
            "the prior of this model's context is a diffusion, which bounds the probability of a "
            "context and does not give it; a file needs a model with context.prior=autoregressive "
            "or factorised"
        )


@torch.no_grad()
def push_context(stack: Stack, context: Conditioner, codes: Latents) -> None:
    """Push the codes of some images, so that :func:`pop_context` returns them."""
    prior = _prior(context)
    if prior is None:
        return
    (c,) = codes
    for place, table in reversed(list(zip(_order(prior), _tables(prior, c), strict=True))):
        stack.push(table, c.flatten(1)[:, place].numpy().astype(np.int32))


@torch.no_grad()
def pop_context(stack: Stack, context: Conditioner, count: int) -> Latents:
    """Pop the codes of ``count`` images; nothing if the model has no context.

    Raises:
        ValueError: if a code is outside the context's grid, as in damaged files.
    """
    prior = _prior(context)
    if prior is None:
        return ()
    codes = torch.zeros(count, *prior.lattice.shape, dtype=torch.int64)
    for index, place in enumerate(_order(prior)):
        # The tables of an autoregressive prior change with each code. Those of a factorised one do
        # not, and computing them again is cheap enough.
        symbols = stack.pop(next(_tables(prior, codes, index)))
        codes.view(count, -1)[:, place] = torch.from_numpy(symbols.astype(np.int64))
    prior.lattice.grid.check(codes)
    return (codes,)


def _prior(context: Conditioner) -> CodedPrior | None:
    """Return the prior of a context, if there is one that gives probabilities."""
    prior: object = context.prior
    return prior if isinstance(prior, CodedPrior) else None


def _order(prior: CodedPrior) -> tuple[int, ...]:
    """Return the places of the codes in coding order, without those of one possible value."""
    shape = torch.Size(prior.lattice.shape)
    places = prior.order if isinstance(prior, AutoregressivePrior) else range(shape.numel())
    counts = torch.as_tensor(prior.lattice.grid.count).expand(shape).flatten()
    return tuple(place for place in places if int(counts[place]) > 1)


def _tables(prior: CodedPrior, c: Tensor, first: int = 0) -> Iterator[SymbolTable]:
    """Yield the table of each code of contexts (B, C, h, w), from the code at place ``first``."""
    grid, shape = prior.lattice.grid, prior.lattice.shape
    for place, (logits, mean, scale) in _parameters(prior, c, first):
        components = DiscretizedGaussian(mean, scale, _grid_of(grid, shape, place)).pmf()
        pmf = (logits.softmax(1).unsqueeze(-1) * components).sum(1)
        yield SymbolTable(weights_of(pmf.double().numpy()))


def _parameters(
    prior: CodedPrior, c: Tensor, first: int
) -> Iterator[tuple[int, tuple[Tensor, Tensor, Tensor]]]:
    """Yield places and the mixtures at them: logits, means and scales (B, K)."""
    order = _order(prior)[first:]
    if isinstance(prior, AutoregressivePrior):
        hidden = prior.hidden(c)
        yield from ((place, prior.conditional(hidden, place)) for place in order)
        return
    gaussian = prior.distribution()
    columns = [torch.zeros_like(gaussian.mean), gaussian.mean, gaussian.scale]
    logits, mean, scale = (column.flatten().expand(len(c), -1) for column in columns)
    for place in order:
        at = slice(place, place + 1)
        yield place, (logits[:, at], mean[:, at], scale[:, at])


def _grid_of(grid: Grid, shape: Shape, place: int) -> Grid:
    """Return the grid of the code at one place."""

    def at(field: float | Tensor) -> float:
        return float(torch.as_tensor(field, dtype=torch.float64).expand(shape).flatten()[place])

    return Grid(int(at(grid.count)), at(grid.first), at(grid.spacing))
