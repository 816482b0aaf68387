"""A context on the stack: the integers that stand above the latents, by their explicit prior.

A context is a function of the image, so nothing is drawn and no bits are given back: it costs
-log p(c), as in the bound. Its prior must be one that has probabilities. A factorised one has the
same table for each image. An autoregressive one has a table for each level, given those before it:

    p(c) = Π_i p(c_i | c_<i),

all of which one pass of the network gives to the encoder; the decoder takes a pass for each level.
The levels that are not known yet are zero there, and their weights are masked, so that the numbers
are the same. Images are taken one at a time, lest a product of matrices depend on how many there
are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mrvae.compression.coder import Stack, Table, weights_of
from mrvae.distributions import DiscretizedGaussian, Grid
from mrvae.models import AutoregressivePrior, NormalPrior
from mrvae.models.top import Above, ContextTop, NoTop, Top
from mrvae.models.walk import Shape

CodedPrior = NormalPrior | AutoregressivePrior


def check_top(top: Top) -> None:
    """Refuse what stands above a hierarchy if it has no probabilities.

    Raises:
        ValueError: if it is a context whose prior is only bounded.
    """
    if not isinstance(top, NoTop) and _prior(top) is None:
        raise ValueError(
            "the prior of this model's context is a diffusion, which bounds the probability of a "
            "context and does not give it; a file needs a model with context.prior=autoregressive "
            "or normal"
        )


def push_above(stack: Stack, top: Top, above: Above) -> None:
    """Push the contexts of some images, so that :func:`pop_above` returns them."""
    prior = _prior(top)
    if prior is None:
        return
    for c in reversed(above[0]):
        laws = _laws(prior, c[None])
        for place, law in reversed(list(zip(_order(prior), laws, strict=True))):
            if _says_something(law):
                stack.push(law, c.flatten()[place : place + 1].numpy().astype(np.int32))


def pop_above(stack: Stack, top: Top, count: int) -> Above:
    """Pop the contexts of ``count`` images; nothing if the model has none.

    Raises:
        ValueError: if a level is none of the context's, which happens to damaged files alone.
    """
    prior = _prior(top)
    if prior is None:
        return ()
    found = torch.zeros(count, *prior.lattice.shape, dtype=torch.int64)
    for c in found:
        for index, place in enumerate(_order(prior)):
            # Of an autoregressive prior the laws change with each level; of a normal one they do
            # not, and to compute them again is cheap enough.
            law = next(_laws(prior, c[None], index))
            c.view(-1)[place] = int(stack.pop(law)[0]) if _says_something(law) else 0
    prior.lattice.grid.check(found)
    return (found,)


def _prior(top: Top) -> CodedPrior | None:
    """Return the prior of a context, if there is one that can be coded by."""
    prior = top.prior if isinstance(top, ContextTop) else None
    return prior if isinstance(prior, CodedPrior) else None


def _says_something(law: Table) -> bool:
    """Whether there is more than one level; a coefficient that is always zero has one."""
    _, levels = law.weights.shape
    return bool(levels > 1)


def _order(prior: CodedPrior) -> tuple[int, ...]:
    if isinstance(prior, AutoregressivePrior):
        return prior.order
    return tuple(range(torch.Size(prior.lattice.shape).numel()))


def _laws(prior: CodedPrior, c: Tensor, first: int = 0) -> Iterator[Table]:
    """Yield the law of each level of one context (1, C, h, w), from the one at place ``first``."""
    shape = prior.lattice.shape
    if isinstance(prior, AutoregressivePrior):
        logits, law = prior.conditionals(c)
        weight = logits.softmax(1).reshape(logits.shape[1], -1)
    else:
        law = prior.law()
        weight = torch.ones(1, torch.Size(shape).numel(), dtype=torch.float64)
    mean, scale = law.mean.reshape(len(weight), -1), law.scale.reshape(len(weight), -1)
    for place in _order(prior)[first:]:
        grid = _grid_of(prior.lattice.grid, shape, place)
        each = DiscretizedGaussian(mean[:, place], scale[:, place], grid).pmf()
        pmf = (weight[:, place, None] * each).sum(0, keepdim=True)
        yield Table(weights_of(pmf.double().numpy()))


def _grid_of(grid: Grid, shape: Shape, place: int) -> Grid:
    """Return the grid of one level of a context."""

    def at(field: float | Tensor) -> float:
        return float(torch.as_tensor(field, dtype=torch.float64).expand(shape).flatten()[place])

    return Grid(int(at(grid.count)), at(grid.first), at(grid.spacing))
