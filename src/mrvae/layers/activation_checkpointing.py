"""Activation checkpointing: a block keeps its inputs, and is recomputed in the backward pass.

A network of n blocks keeps the activations inside all of them until its backward pass. If only the
states between the blocks are kept and each block is recomputed for its gradient, it keeps n states
and the activations of one block, for a third more operations (Chen et al. 2016, *Training deep nets
with sublinear memory cost*). The gradients are the same, because a block draws no random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple, Unpack, cast

from torch.utils.checkpoint import checkpoint

Inputs = TypeVarTuple("Inputs")
Result = TypeVar("Result")


def checkpointed(
    block: Callable[[Unpack[Inputs]], Result],
) -> Callable[[Unpack[Inputs]], Result]:
    """Return ``block`` as a function that keeps only its inputs for the backward pass.

    The block must be a function of its inputs; random numbers would be drawn again.

    Example:
        >>> import torch
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> checkpointed(lambda x: x.sin().exp())(x).backward()
        >>> bool(torch.isclose(x.grad, x.cos() * x.sin().exp()))
        True
    """

    def run(*inputs: *Inputs) -> Result:
        result = checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)
        return cast(Result, result)

    return run
