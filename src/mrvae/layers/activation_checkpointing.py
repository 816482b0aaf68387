"""Memory for time: a block that keeps its ends, and is computed again for the backward pass.

A network of n blocks holds the activations inside all of them until its backward pass. If only the
states between the blocks are kept and each block is run once more when its gradient is wanted, it
holds n states and the inside of one block, for a third more operations (Chen et al. 2016, *Training
deep nets with sublinear memory cost*). The gradients are the same, because a block draws nothing.
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

    The block must be a function of its inputs: what it draws would be drawn anew.

    Example:
        >>> import torch
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> checkpointed(lambda x: x.sin().exp())(x).backward()
        >>> bool(torch.isclose(x.grad, x.cos() * x.sin().exp()))
        True
    """

    def run(*inputs: *Inputs) -> Result:
        found = checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)
        return cast(Result, found)

    return run
